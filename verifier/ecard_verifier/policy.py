"""What a relying party demands, as data. Times in seconds."""

from __future__ import annotations

from dataclasses import dataclass

from ecard_card.card import ChipAssurance


@dataclass(frozen=True, slots=True)
class Policy:
    """How strict a check is.

    A status younger than `status_fresh` is good for `valid`; up to `status_usable` a person must decide (`check`);
    beyond that we do not know. The defaults are the offline class: lists live 24 hours.
    """

    skew: int = 60  # accepted difference of two clocks, both directions
    code_life: int = 60  # a code is refreshed every 30 s and lives this long
    status_fresh: int = 24 * 3600
    status_usable: int = 24 * 3600
    minimum_assurance: ChipAssurance = ChipAssurance.DECLARED
    audience_required: bool = False


#: A verifier that follows the live feed knows a change within a second; silence of five is already worth a look.
ONLINE_POLICY = Policy(status_fresh=5, status_usable=15 * 60)
