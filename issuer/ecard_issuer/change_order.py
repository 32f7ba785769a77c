"""In which order the changes of a card count, when several report them: our own desks, and senders that number theirs.

Pure rules. The register counts a card's changes itself (1, 2, 3 …); what a sender's numbers say is judged among that
sender's own. Between origins the time at which something happened decides: an old event never undoes a newer one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from ecard_card.errors import Conflict, InvalidInput, RuleViolation
from ecard_card.status import ALLOWED_CHANGES, ECARD_CHANGES, CardChange, CardStatus, apply_change
from ecard_issuer.rows import CardEventRow, CardRow, ChangeResult

#: The origin of what our own desks report; they number nothing.
OWN: Final = ""
#: The largest per-card sequence number taken from a sender: exact in every JSON library.
MAX_SEQUENCE: Final = 2**53 - 1
#: A sender that skips more numbers than this has lost count: taken at its word, it would shut out its later changes.
MAX_MISSED: Final = 1_000_000
#: How far ahead of ours a sender's clock may be.
MAX_AHEAD: Final = timedelta(minutes=5)

#: What each word of the holder sets on the card.
_WORDS: Final[Mapping[CardChange, tuple[str, bool]]] = {
    CardChange.HOLDER_LOCK: ("holder_locked", True),
    CardChange.HOLDER_UNLOCK: ("holder_locked", False),
    CardChange.CONSENT: ("consented", True),
    CardChange.WITHDRAW_CONSENT: ("consented", False),
}


def own_event_id(caller: str, event_id: str) -> str:
    """One caller's event id among those of our own desks: each chooses them without knowing the others'."""
    return hashlib.sha256(f"{caller}\0{event_id}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Reported:
    """A change as somebody reports it. `source` names a sender, `OWN` our own desks; `sequence` is the sender's.

    Raises `InvalidInput` `bad_card_sequence`.
    """

    change: CardChange
    event_id: str
    occurred_at: datetime
    source: str = OWN
    sequence: int | None = None
    reason: str = ""
    successor: str | None = None

    def __post_init__(self) -> None:
        if self.sequence is None:
            return
        if self.source == OWN:
            raise InvalidInput("bad_card_sequence", "a sequence number needs the sender whose it is")
        if not 1 <= self.sequence <= MAX_SEQUENCE:
            raise InvalidInput("bad_card_sequence", "a card's sequence number is at least 1 and below 2^53")


@dataclass(frozen=True, slots=True)
class Past:
    """What the register knows that bears on a report. Times and numbers are of applied changes of the status."""

    same: CardEventRow | None = None  # recorded by the same origin under the same event id or number
    last: int = 0  # the source's last number
    newest: datetime | None = None  # when the latest change of other origins happened; of any, for an unnumbered one
    successor: str | None = None  # the card that replaced this one


def next_event(card: CardRow, reported: Reported, past: Past, now: datetime) -> CardEventRow | ChangeResult:
    """The event to record, or the result of the one that is repeated. Raises as `Changes.apply_change` says."""
    if past.same is not None:
        return _repeated(past.same, reported)
    if reported.occurred_at > now + MAX_AHEAD:
        raise RuleViolation("card_event_from_future", "dated more than five minutes ahead of our clock")
    missed = 0
    if reported.sequence is not None:
        if reported.sequence <= past.last:
            raise RuleViolation("card_change_superseded", "a newer change by this sender was applied before")
        missed = reported.sequence - past.last - 1
        if missed >= MAX_MISSED:
            raise InvalidInput("bad_card_sequence", "the sequence number is too far ahead of the sender's last one")
    return CardEventRow(
        card_ref=card.card_ref,
        sequence=card.sequence + 1,
        event_id=reported.event_id,
        change=reported.change,
        previous=card.status,
        status=card.status if _is_echo(card, reported, past) else _moved(card, reported, past),
        missed=missed,
        occurred_at=reported.occurred_at,
        recorded_at=now,
        reason=reported.reason,
        successor=reported.successor,
        source=reported.source,
        source_sequence=reported.sequence,
    )


def _repeated(before: CardEventRow, reported: Reported) -> ChangeResult:
    same = (before.change, before.successor) == (reported.change, reported.successor)
    if not same or reported.sequence not in (None, before.source_sequence):
        raise Conflict("card_event_differs", "this event id or sequence number was used for something else")
    return ChangeResult(applied=False, event=before)


def _is_echo(card: CardRow, reported: Reported, past: Past) -> bool:
    """Whether a sender tells us what we know: that the card is in the status that it is in."""
    if reported.source == OWN or reported.change in ECARD_CHANGES:
        return False
    if reported.change is CardChange.REPLACE and reported.successor != past.successor:
        return False
    return ALLOWED_CHANGES[reported.change][1] is card.status


def _moved(card: CardRow, reported: Reported, past: Past) -> CardStatus:
    if reported.change in ECARD_CHANGES:
        return _after_word(card, reported)
    if reported.change is CardChange.REPLACE and card.replacing:
        return CardStatus.CANCELLED  # perhaps it is so already: its e-card waits here
    status = apply_change(card.status, reported.change)
    outdated = past.newest is not None and reported.occurred_at < past.newest
    if outdated and reported.source != OWN and status is CardStatus.NORMAL:
        raise RuleViolation("card_change_superseded", "something stricter happened to this card after that")
    return status


def _after_word(card: CardRow, reported: Reported) -> CardStatus:
    """The status as it is, unless the word is not the holder's here, or says nothing new."""
    name, value = _WORDS.get(reported.change, ("", False))
    if reported.source != OWN or not name or getattr(card, name) is value:
        raise RuleViolation("card_change_impossible", f"{reported.change.value} says nothing new of this card")
    return apply_change(card.status, reported.change)


def is_echo(card: CardRow, event: CardEventRow) -> bool:
    """Whether `event` of `card`, as it was before, told us what we knew already."""
    moved = event.change is CardChange.REPLACE and card.replacing
    return event.source != OWN and event.previous is event.status and not moved


def card_after(card: CardRow, event: CardEventRow) -> CardRow:
    """The card once `event` is applied. What a holder permits in one status holds in that status only."""
    after = replace(card, status=event.status, sequence=event.sequence, updated_at=event.recorded_at)
    if event.status is not event.previous:
        after = replace(after, consented=False)
    if event.change is CardChange.REPLACE:
        after = replace(after, replacing=False)
    if event.change in _WORDS:
        name, value = _WORDS[event.change]
        after = replace(after, **{name: value})  # type: ignore[arg-type]
    return after
