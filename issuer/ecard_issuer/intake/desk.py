"""Taking what sources say: each event once, in its sender's order, and what cannot be taken shown to a person.

An event is safe once `receive` has returned: applied, known already, or kept as an exception. What waits for something
(its card, or an earlier event) is tried again when that comes, and now and then by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from ecard_card.errors import CheckFailed, Conflict, InvalidInput, NotAllowed, NotFound, RuleViolation
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.intake.event import CardEvent, CardRegistered, Outcome, Receipt, Subject
from ecard_issuer.intake.ports import ExceptionRow, ExceptionStore, GapRow, GapStore
from ecard_issuer.intake.set_token import read_set
from ecard_issuer.intake.sources import Source
from ecard_issuer.intake.states import ExceptionState
from ecard_issuer.lifecycle import LifeCycle
from ecard_issuer.people import References
from ecard_issuer.ports import Cards
from ecard_issuer.rows import CardRow, ChangeResult

#: What may go away by itself: the card is registered later, an earlier event arrives, its time comes.
WAITING: Final = frozenset({"card_unknown", "card_change_impossible", "card_event_from_future"})
FIRST_TRY: Final = timedelta(minutes=1)
LONGEST_PAUSE: Final = timedelta(hours=6)
_MAX_REASON: Final = 200
_REFUSALS: Final = (CheckFailed, Conflict, InvalidInput, NotAllowed, NotFound, RuleViolation)


class Intake:
    """Applies events of sources and keeps what is left over."""

    def __init__(
        self,
        cards: Cards,
        desk: CardDesk,
        lifecycle: LifeCycle,
        exceptions: ExceptionStore,
        gaps: GapStore,
        speaks_for: Callable[[str, str], bool] = lambda source, region: True,
    ) -> None:
        """`speaks_for` says whether a source's word counts for a region now, when what it said before is tried again;
        it raises `NotFound` `source_unknown` for one that was ended."""
        self._cards, self._desk, self._lifecycle = cards, desk, lifecycle
        self._exceptions, self._gaps, self._speaks_for = exceptions, gaps, speaks_for

    def receive(self, source: Source, token: str, now: datetime) -> Receipt:
        """Take one signed event of `source`.

        Raises what makes a token unacceptable to its sender (`read_set`, and `NotAllowed` `region_not_of_source`),
        each also kept as an exception; `Unavailable` where nothing was kept and the sender must come again.
        """
        try:
            event = read_set(token, source, now)
            region = event.card.chip.identification_code.region if isinstance(event, CardRegistered) else None
            _require(region is None or source.speaks_for(region))
        except _REFUSALS as error:
            self._exceptions.note(
                ExceptionRow(exception_ref(source.name, f"!{error.code}"), source.name, error.code, "", now, now)
            )
            raise
        if isinstance(event, CardRegistered):
            return self._registered(source, event, now)
        receipt = self.take(source.name, event, now, speaks_for=source.speaks_for)
        _require(receipt.code != "region_not_of_source")
        return receipt

    def take(
        self, source: str, event: CardEvent, now: datetime, *, speaks_for: Callable[[str], bool] = lambda region: True
    ) -> Receipt:
        """Apply an event, or keep it as an exception. Raises `Unavailable` only."""
        row = exception_of(source, event, self._desk.references, now)
        try:
            for subject in (event.subject, event.successor):
                if subject is not None:
                    _require(speaks_for(subject.region))
            receipt = self._apply(row, now)
        except _REFUSALS as error:
            self.show(row, error.code, now)
            return Receipt(Outcome.SHOWN, error.code)
        self._resolve(row.exception_ref, now)
        if receipt.card_ref is not None and receipt.outcome is Outcome.APPLIED:
            self.retry_waiting(receipt.card_ref, now)
        return receipt

    def retry_unknown(self, now: datetime) -> int:
        """Try all that wait for a card, after many were registered; says how many went through."""
        done, after = 0, None
        while rows := self._exceptions.open_exceptions(after):
            done += sum(self._try(row, now, again=False) for row in rows if row.code == "card_unknown" and row.change)
            after = (rows[-1].first_seen, rows[-1].exception_ref)
        return done

    def mind_gap(self, card_ref: str, result: ChangeResult, now: datetime) -> None:
        """Note the numbers that an applied event skipped."""
        event = result.event
        if event.missed and event.source_sequence is not None:
            first = event.source_sequence - event.missed
            self._gaps.open_gap(GapRow(card_ref, event.source, first, event.source_sequence - 1, now))

    def show(self, row: ExceptionRow, code: str, now: datetime) -> None:
        """Keep an event that was refused; one that came late closes its gap."""
        due = now + FIRST_TRY if code in WAITING else None
        card_ref = self._close_gap(row, now)
        self._exceptions.note(replace(row, code=code, card_ref=card_ref or row.card_ref, next_try_at=due))

    def retry_waiting(self, card_ref: str, now: datetime) -> int:
        """Try what waits for this card again, in the senders' order, for as long as that helps; says how many went
        through."""
        number = self._cards.get_card(card_ref).number_mac
        done = 0
        while True:
            rows = [row for row in self._exceptions.waiting_for(card_ref, number) if row.code in WAITING]
            helped = sum(self._try(row, now, again=False) for row in rows)
            done += helped
            if not helped:
                return done

    def upkeep(self, now: datetime, limit: int = 200) -> int:
        """Try what is due again; says how many went through."""
        return sum(self._try(row, now, again=True) for row in self._exceptions.due_exceptions(now, limit))

    def retry(self, reference: str, actor: str, now: datetime) -> ExceptionRow:
        """Try one again because a person says so.

        Raises `NotFound` `exception_unknown`, `Conflict` `exception_settled`, `RuleViolation`
        `exception_not_repeatable` for one whose event could not be read, and whatever still refuses the event.
        """
        receipt = self._apply(self._open(reference), now, again=True)
        settled = self._exceptions.settle(reference, ExceptionState.RESOLVED, actor, now, "retried")
        if receipt.card_ref is not None:
            self.retry_waiting(receipt.card_ref, now)
        return settled

    def dismiss(self, reference: str, actor: str, reason: str, now: datetime) -> ExceptionRow:
        """Decide that nothing follows. Raises `NotFound` `exception_unknown`, `Conflict` `exception_settled`,
        `InvalidInput` `bad_reason`."""
        if not 1 <= len(reason.strip()) <= _MAX_REASON or not reason.isprintable():
            raise InvalidInput("bad_reason", "a reason is 1 to 200 printable characters")
        self._open(reference)
        return self._exceptions.settle(reference, ExceptionState.DISMISSED, actor, now, reason)

    def _open(self, reference: str) -> ExceptionRow:
        row = self._exceptions.get_exception(reference)
        if row.state is not ExceptionState.OPEN:
            raise Conflict("exception_settled", "somebody has decided this already")
        return row

    def _try(self, row: ExceptionRow, now: datetime, *, again: bool) -> bool:
        """Whether an exception went through now. `again`: then put the next try off, twice as far each time."""
        try:
            self._apply(row, now, again=True)
        except _REFUSALS as error:
            if error.code not in WAITING:
                self._close_gap(row, now)
            if again or error.code != row.code:
                pause = min(FIRST_TRY * 2 ** min(row.tries + 1, 12), LONGEST_PAUSE)
                due = now + pause if error.code in WAITING else None
                self._exceptions.tried(row.exception_ref, error.code, due)
            return False
        self._resolve(row.exception_ref, now)
        return True

    def _resolve(self, reference: str, now: datetime) -> None:
        """An event went through: nobody needs to see it any more, if anybody did."""
        try:
            if self._exceptions.get_exception(reference).state is ExceptionState.OPEN:
                self._exceptions.settle(reference, ExceptionState.RESOLVED, "", now, "")
        except NotFound:
            return
        except Conflict:
            return  # another process settled it in this very moment

    def _apply(self, row: ExceptionRow, now: datetime, *, again: bool = False) -> Receipt:
        if row.change is None or row.sequence is None:
            raise RuleViolation("exception_not_repeatable", "nothing of that event was kept: its sender must repeat it")
        card = self._card(row.card_ref, row.number_mac, row.region)
        _require(not again or self._speaks_for(row.source, card.region))
        facts = {"event_id": row.event_id, "source": row.source, "sequence": row.sequence}
        if row.successor_ref is None and row.successor_mac is None:
            result = self._lifecycle.change(card.card_ref, row.change, now, occurred_at=row.occurred_at, **facts)  # type: ignore[arg-type]
        else:
            new = self._card(row.successor_ref, row.successor_mac, row.region)
            _require(not again or self._speaks_for(row.source, new.region))
            result = self._lifecycle.replace(card.card_ref, new.card_ref, now, occurred_at=row.occurred_at, **facts)  # type: ignore[arg-type]
        self.mind_gap(card.card_ref, result, now)
        return Receipt(Outcome.APPLIED if result.applied else Outcome.REPEATED, card_ref=card.card_ref)

    def _card(self, card_ref: str | None, number_mac: str | None, region: str | None) -> CardRow:
        """Raises `NotFound` `card_unknown`, `Conflict` `card_ambiguous`."""
        if card_ref is not None:
            return self._cards.get_card(card_ref)
        found = [card for card in self._cards.cards_by_number(str(number_mac)) if card.region == region]
        if len(found) > 1:
            raise Conflict("card_ambiguous", "several cards of that region have this number")
        if not found:
            raise NotFound("card_unknown", "no such card in the register")
        return found[0]

    def _close_gap(self, row: ExceptionRow, now: datetime) -> str | None:
        """This number arrived, if too late or impossible: it is no longer missing. Gives the card, where known."""
        try:
            card_ref = self._card(row.card_ref, row.number_mac, row.region).card_ref
        except _REFUSALS:
            return None
        if row.sequence is not None:
            self._gaps.close_gap(card_ref, row.source, row.sequence, now)
        return card_ref

    def _registered(self, source: Source, event: CardRegistered, now: datetime) -> Receipt:
        try:
            card_ref = self._desk.register(event.card, event.status, now)
        except Conflict as conflict:
            if conflict.code == "card_exists":
                return Receipt(Outcome.REPEATED)
            reference = exception_ref(source.name, event.event_id)
            self._exceptions.note(ExceptionRow(reference, source.name, conflict.code, event.event_id, now, now))
            return Receipt(Outcome.SHOWN, conflict.code)
        self.retry_waiting(card_ref, now)
        return Receipt(Outcome.REGISTERED, card_ref=card_ref)


def _require(its_region: bool) -> None:
    if not its_region:
        raise NotAllowed("region_not_of_source", "a card of a region that this source may not speak for")


def exception_ref(source: str, event_id: str) -> str:
    """One reference for each event of a source, and for each way in which its tokens were unreadable."""
    return hashlib.sha256(f"{source}\n{event_id}".encode()).hexdigest()[:32]


def exception_of(source: str, event: CardEvent, references: References, now: datetime) -> ExceptionRow:
    """The event as a row: all that applying it needs, and nothing of the card in the clear."""
    card_ref, number_mac = _keyed(event.subject, references)
    new_ref, new_mac = _keyed(event.successor, references) if event.successor is not None else (None, None)
    return ExceptionRow(
        exception_ref=exception_ref(source, event.event_id),
        source=source,
        code="",
        event_id=event.event_id,
        first_seen=now,
        last_seen=now,
        card_ref=card_ref,
        number_mac=number_mac,
        region=event.subject.region,
        change=event.change,
        sequence=event.sequence,
        successor_ref=new_ref,
        successor_mac=new_mac,
        occurred_at=event.occurred_at,
    )


def _keyed(subject: Subject, references: References) -> tuple[str | None, str | None]:
    return (
        references.card(subject.code) if subject.code is not None else None,
        references.card_number(subject.number) if subject.number is not None else None,
    )
