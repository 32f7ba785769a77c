"""What happened to a card, and what that did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ecard_card.status import CardChange, CardStatus, EcardStatus


@dataclass(frozen=True, slots=True)
class EntryChange:
    """A status list entry and its new value."""

    list_id: int
    index: int
    value: EcardStatus


@dataclass(frozen=True, slots=True)
class CardEventRow:
    card_ref: str
    sequence: int  # the register's own count of this card's events
    event_id: str
    change: CardChange
    previous: CardStatus
    status: CardStatus
    missed: int  # the sender's numbers never seen before this one; 0 where nothing is missing
    occurred_at: datetime
    recorded_at: datetime
    reason: str
    successor: str | None = None  # the new card's reference, where change is `replace`
    source: str = ""  # the sender, or empty: our own desks
    source_sequence: int | None = None  # the sender's number of this card's change, where it gives one


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """What a change did. `applied` is False for a repeated event: `event` is then the one recorded before."""

    applied: bool
    event: CardEventRow
    entries: tuple[EntryChange, ...] = ()
