"""What a relying party demands, as data. Times in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

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
    accept_test: bool = False  # cards of a test issuer, about which nothing is real


class VerifierClass(StrEnum):
    """How a verifier hears of changes."""

    ONLINE = "online"  # A: follows the live feed
    LIST = "list"  # B: fetches status lists when a card is shown
    PUSH = "push"  # C: is sent events, with lists as backstop
    OFFLINE = "offline"  # D: a bundle, and deltas when somebody brings them


@dataclass(frozen=True, slots=True)
class Freshness:
    """What a class of verifier may promise, and how it is kept.

    `typical`: after so many seconds a change is known while everything works. `bound`: an older status is never good
    for `valid`, whatever failed. `usable`: up to this age a person may decide (`check`); beyond, it is `undecided`.
    """

    typical: int
    bound: int
    usable: int
    kept_by: str


#: A later step of the same class never says `valid` on less: what is old ages by itself, without anybody noticing an
#: outage. Ages are counted from the time as of which the issuer's signature says that all changes are known.
FRESHNESS: Final[Mapping[VerifierClass, Freshness]] = MappingProxyType(
    {
        VerifierClass.ONLINE: Freshness(
            1, 5, 15 * 60, "signed beats of the feed, one a second at the latest; silence of 4 s ends the connection"
        ),
        VerifierClass.LIST: Freshness(
            5 * 60, 15 * 60, 3600, "lists signed anew on a change and every 5 minutes, kept for their ttl of 60 s"
        ),
        VerifierClass.PUSH: Freshness(
            5, 15 * 60, 3600, "events sent at once; what is not sent is in the list that is fetched besides"
        ),
        VerifierClass.OFFLINE: Freshness(
            60,
            24 * 3600,
            24 * 3600,
            "signed deltas within 60 s where there is a network; else lists that live 24 hours",
        ),
    }
)


def policy_for(kind: VerifierClass) -> Policy:
    """The policy that keeps the bound of a class."""
    freshness = FRESHNESS[kind]
    return Policy(status_fresh=freshness.bound, status_usable=freshness.usable)


#: A verifier that follows the live feed knows a change within a second; silence of five is already worth a look.
ONLINE_POLICY: Final = policy_for(VerifierClass.ONLINE)
