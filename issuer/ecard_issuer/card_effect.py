"""What a card of the register makes of its e-card: the one place where all that bears on it is put together."""

from __future__ import annotations

from datetime import datetime

from ecard_card.effective import effective_status
from ecard_card.region_policy import RegionPolicy
from ecard_card.status import EcardStatus
from ecard_issuer.rows import CardRow


def card_effect(card: CardRow, policy: RegionPolicy, now: datetime) -> EcardStatus:
    """The value of the card's entries on the status lists at `now` (aware UTC), under its region's policy."""
    return effective_status(card.status, policy=policy)
