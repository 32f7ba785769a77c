"""What a card of the register makes of its e-card: the one place where all that bears on it is put together."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime

from ecard_card.china import china_date
from ecard_card.effective import effective_status
from ecard_card.region_policy import STRICT, RegionPolicy
from ecard_card.status import EcardStatus
from ecard_issuer.rows import CardRow

#: The policy that holds in a region at a time (aware UTC).
PolicyOf = Callable[[str, datetime], RegionPolicy]
#: The codes of policies (county, city, province or `ANY_REGION`) that became another one after the first time, up to
#: and including the second. What was entered late counts at the time it was entered.
PolicyChanges = Callable[[datetime, datetime], Collection[str]]


def strict_everywhere(region: str, now: datetime) -> RegionPolicy:
    """`PolicyOf` where no region has said otherwise."""
    return STRICT


def no_changes(since: datetime, until: datetime) -> Collection[str]:
    """`PolicyChanges` to go with it."""
    return ()


def is_expired(card: CardRow, now: datetime) -> bool:
    """Whether the card's last day is over, by China's calendar."""
    return china_date(now) > card.expires_on


def card_effect(card: CardRow, policy: RegionPolicy, now: datetime) -> EcardStatus:
    """The value of the card's entries on the status lists at `now` (aware UTC), under its region's policy."""
    return effective_status(
        card.status,
        policy=policy,
        holder_locked=card.holder_locked,
        consented=card.consented,
        expired=is_expired(card, now),
    )
