"""Card events as nouns: whom they are about, what happened, in which order; and what became of them here."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ecard_card.card import Card, CardNumber, IdentificationCode
from ecard_card.errors import InvalidInput
from ecard_card.region import is_region
from ecard_card.status import CardChange, CardStatus

#: The largest per-card sequence number: exact in every JSON library.
MAX_SEQUENCE = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Subject:
    """Which card: by its identification code, or by card number and region. Shows nothing in `repr`."""

    code: IdentificationCode | None = field(default=None, repr=False)
    number: CardNumber | None = field(default=None, repr=False)
    stated_region: str | None = None

    def __post_init__(self) -> None:
        if (self.code is None) is (self.number is None):
            raise InvalidInput("bad_card_event", "a card is named by its identification code, or by number and region")
        if (self.number is None) is not (self.stated_region is None):
            raise InvalidInput("bad_card_event", "a card number needs its region, an identification code has it")
        if self.stated_region is not None and not is_region(self.stated_region):
            raise InvalidInput("bad_region", "a region is six digits")

    @property
    def region(self) -> str:
        """Six digits of GB/T 2260."""
        return self.code.region if self.code is not None else str(self.stated_region)


@dataclass(frozen=True, slots=True)
class CardEvent:
    """Something that a source says happened to a card. `sequence` is the source's own number for this card."""

    event_id: str
    subject: Subject
    change: CardChange
    sequence: int
    occurred_at: datetime
    successor: Subject | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.sequence <= MAX_SEQUENCE:
            raise InvalidInput("bad_card_sequence", "a sequence is a whole number from 1 to 2^53 - 1")
        if (self.successor is not None) is not (self.change is CardChange.REPLACE):
            raise InvalidInput("bad_card_event", "a replacement names the new card, and nothing else does")
        new = self.successor
        if new is not None and new.number is not None and new.region != self.subject.region:
            raise InvalidInput("bad_card_event", "a new card of another region is named by its identification code")


@dataclass(frozen=True, slots=True)
class CardRegistered:
    """A card that a source has given out."""

    event_id: str
    card: Card = field(repr=False)
    status: CardStatus


class Outcome(StrEnum):
    """What became of an event or a row."""

    APPLIED = "applied"
    REGISTERED = "registered"
    REPEATED = "repeated"  # known already: nothing changed
    SHOWN = "shown"  # kept as an exception for a person


@dataclass(frozen=True, slots=True)
class Receipt:
    """`code` says why an event is shown to a person; empty otherwise."""

    outcome: Outcome
    code: str = ""
    card_ref: str | None = None
