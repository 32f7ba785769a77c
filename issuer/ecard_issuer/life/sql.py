"""`Cases` on SQL. The card's row lock comes first in every verb, as in all that changes a card."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, select, update

from ecard_card.errors import Conflict, NotFound, RuleViolation
from ecard_card.status import CardChange, CardStatus
from ecard_issuer.change_order import Reported
from ecard_issuer.life.cases import Judge
from ecard_issuer.life.rules import TERM, Decision, step
from ecard_issuer.life.values import UNDER_WAY, CaseKind, CaseRow, CaseState, Outcome
from ecard_issuer.register import tables
from ecard_issuer.register.sql import columns, insert_new, lock_card, many, one
from ecard_issuer.register.sql_cards import correct
from ecard_issuer.register.sql_changes import SqlChanges, end_binding
from ecard_issuer.rows import CardRow, HolderRow
from ecard_verifier.verdict import rfc3339

_cases, _directory, _cards, _events = tables.card_case, tables.card_case_directory, tables.card, tables.card_event


class SqlCases(SqlChanges):
    """`Cases` over a register's engine."""

    def open_case(self, draft: CaseRow, judge: Judge, now: datetime, *, whole_person: bool = False) -> Outcome:
        """See `Cases`."""
        with self._writing() as connection:
            refs = self._whole_person(connection, draft.card_ref) if whole_person else [draft.card_ref]
            cards = {ref: lock_card(connection, ref) for ref in sorted({*refs, draft.card_ref})}
            before = self._case(connection, draft.case_id)
            if before is not None:
                if before.fingerprint != draft.fingerprint:
                    raise Conflict("request_differs", "this request id was used for something else")
                return self._outcome(connection, before, now)
            card = cards.pop(draft.card_ref)
            decision = judge(card, self._policy_of(card.region, now))
            case = replace(
                draft,
                state=decision.state,
                applied=decision.applied,
                due_at=decision.due_at,
                due_end=decision.due_end,
                steps=((decision.state.value, rfc3339(now), draft.caller),),
            )
            if not insert_new(connection, _directory, case_id=case.case_id, card_ref=case.card_ref):
                raise Conflict("request_differs", "this request id was used for something else")
            self._decided(connection, card, decision, case.case_id, now)
            if not insert_new(connection, _cases, **_columns(case)):
                raise Conflict("replacement_under_way", "a new card is being made for this one already")
            also = []
            for other in cards.values():
                if other.status is not CardStatus.CANCELLED or other.replacing:
                    more = judge(other, self._policy_of(other.region, now))
                    self._decided(connection, other, more, case.case_id, now)
                    also.append(other.card_ref)
            return replace(self._outcome(connection, case, now), before=card.status, also=tuple(also))

    def find_case(self, case_id: str) -> CaseRow | None:
        """See `Cases`."""
        with self._reading() as connection:
            return self._case(connection, case_id)

    def outcome_of(self, case: CaseRow, now: datetime) -> Outcome:
        """See `Cases`."""
        with self._reading() as connection:
            return self._outcome(connection, case, now)

    def cases_of(self, card_ref: str) -> tuple[CaseRow, ...]:
        """See `Cases`."""
        of_card = select(_cases).where(_cases.c.card_ref == card_ref).order_by(_cases.c.opened_at)
        with self._reading() as connection:
            return tuple(map(_row, many(connection, CaseRow, of_card)))

    def advance(
        self, case_id: str, to: CaseState, caller: str, now: datetime, *, new_card_ref: str | None = None
    ) -> Outcome:
        """See `Cases`."""
        with self._writing() as connection:
            case = self._replacement(connection, case_id)
            refs = {case.card_ref, new_card_ref or case.card_ref}
            cards = {ref: lock_card(connection, ref) for ref in sorted(refs)}
            case = self._replacement(connection, case_id)  # as it is, now that nobody else moves it
            if to is CaseState.MADE and case.new_card_ref not in (None, new_card_ref):
                raise Conflict("request_differs", "another card was made for this order")
            if not step(case.state, to):
                return self._outcome(connection, case, now)
            old = cards[case.card_ref]
            if to is CaseState.MADE:
                _require_successor(old, cards.get(new_card_ref or ""), case)
            if to is CaseState.WITHDRAWN:
                self._decided(connection, old, Decision(replacing=False), case_id, now)
            moved = _stepped(replace(case, new_card_ref=case.new_card_ref or new_card_ref), to, caller, now)
            _keep(connection, moved)
            return replace(self._outcome(connection, moved, now), before=old.status)

    def collect(
        self, case_id: str, enrolment_id: str | None, renamed: HolderRow | None, caller: str, now: datetime
    ) -> Outcome:
        """See `Cases`."""
        with self._writing() as connection:
            case = self._replacement(connection, case_id)
            new_ref = case.new_card_ref
            cards = {ref: lock_card(connection, ref) for ref in sorted({case.card_ref, new_ref or case.card_ref})}
            case = self._replacement(connection, case_id)
            if not step(case.state, CaseState.COLLECTED):
                return self._outcome(connection, case, now)
            old, new = cards[case.card_ref], cards[new_ref or case.card_ref]
            _require_successor(old, new, case)
            if not _took_its_place(connection, old, new):  # else the card system told of it first
                reported = Reported(CardChange.REPLACE, f"{case_id}-collected", now, successor=new.card_ref)
                self._replace(connection, old, new, reported, enrolment_id, now, new_holder=case.new_holder_ref)
            if new.status is CardStatus.SEALED:
                new = lock_card(connection, new.card_ref)
                self._apply(connection, new, Reported(CardChange.ENABLE, f"{case_id}-enabled", now), now)
            if renamed is not None:
                correct(connection, renamed)
            moved = _stepped(case, CaseState.COLLECTED, caller, now)
            _keep(connection, moved)
            return replace(self._outcome(connection, moved, now), before=old.status)

    def end_due(self, now: datetime, *, limit: int = 100) -> int:
        """See `Cases`."""
        due = select(_cases.c.card_ref, _cases.c.case_id).where(_cases.c.due_at.is_not(None), _cases.c.due_at <= now)
        with self._reading() as connection:
            found = connection.execute(due.order_by(_cases.c.due_at).limit(limit)).all()
        for card_ref, case_id in found:
            with self._writing() as connection:
                self._end(connection, lock_card(connection, card_ref), case_id, now)
        return len(found)

    def _end(self, connection: Connection, card: CardRow, case_id: str, now: datetime) -> None:
        case = self._case(connection, case_id)
        if case is None or case.due_at is None or case.due_end is None or case.due_at > now:
            return  # another process was here
        if card.status is CardStatus.TEMPORARILY_LOST and self._in_force(connection, case):
            change = TERM[case.due_end]
            self._apply(connection, card, Reported(change, f"{case_id}-term", now, reason="term over"), now)
        _keep(connection, _stepped(replace(case, due_at=None), CaseState.ENDED, "", now))

    @staticmethod
    def _in_force(connection: Connection, case: CaseRow) -> bool:
        """Whether the card is temporarily lost because of this case, and not lost anew after it was released."""
        last = (
            select(_events.c.event_id)
            .where(
                _events.c.card_ref == case.card_ref,
                _events.c.status == CardStatus.TEMPORARILY_LOST,
                _events.c.previous != CardStatus.TEMPORARILY_LOST,
            )
            .order_by(_events.c.sequence.desc())
            .limit(1)
        )
        return connection.scalar(last) == case.case_id

    def _decided(self, connection: Connection, card: CardRow, decision: Decision, event_id: str, now: datetime) -> None:
        """Do to a locked card what was decided."""
        if decision.replacing is not None:
            card = replace(card, replacing=decision.replacing)
            row = _cards.c.card_ref == card.card_ref
            connection.execute(update(_cards).where(row).values(replacing=decision.replacing, updated_at=now))
            if not decision.replacing:
                self._withdraw(connection, card, now)
        if decision.change is not None:
            self._apply(connection, card, Reported(decision.change, event_id, now), now)
            over = (_cases.c.card_ref == card.card_ref, _cases.c.state == CaseState.OPEN)
            connection.execute(update(_cases).where(*over).values(state=CaseState.ENDED, due_at=None, changed_at=now))

    @staticmethod
    def _withdraw(connection: Connection, card: CardRow, now: datetime) -> None:
        """No new card comes: what waited for it on a cancelled card ends."""
        under_way = (
            _cases.c.card_ref == card.card_ref,
            _cases.c.kind == CaseKind.REPLACEMENT,
            _cases.c.state.in_(sorted(UNDER_WAY)),
        )
        connection.execute(update(_cases).where(*under_way).values(state=CaseState.WITHDRAWN, changed_at=now))
        if card.status is CardStatus.CANCELLED:
            end_binding(connection, card.card_ref, now)

    @staticmethod
    def _whole_person(connection: Connection, card_ref: str) -> list[str]:
        holder = connection.scalar(select(_cards.c.holder_ref).where(_cards.c.card_ref == card_ref))
        return list(connection.scalars(select(_cards.c.card_ref).where(_cards.c.holder_ref == holder)))

    @staticmethod
    def _case(connection: Connection, case_id: str) -> CaseRow | None:
        card_ref = connection.scalar(select(_directory.c.card_ref).where(_directory.c.case_id == case_id))
        if card_ref is None:
            return None
        this = select(_cases).where(_cases.c.card_ref == card_ref, _cases.c.case_id == case_id)
        case = one(connection, CaseRow, this)
        return None if case is None else _row(case)

    def _replacement(self, connection: Connection, case_id: str) -> CaseRow:
        case = self._case(connection, case_id)
        if case is None or case.kind is not CaseKind.REPLACEMENT:
            raise NotFound("case_unknown", "no such replacement")
        return case

    def _outcome(self, connection: Connection, case: CaseRow, now: datetime) -> Outcome:
        """Of the new card, once it is collected; else of the card that the case is about."""
        collected = case.state is CaseState.COLLECTED and case.new_card_ref is not None
        shown = case.new_card_ref if collected and case.new_card_ref else case.card_ref
        card = one(connection, CardRow, select(_cards).where(_cards.c.card_ref == shown))
        if card is None:
            raise NotFound("card_unknown", "no such card in the register")
        return Outcome(case, card.region, card.status, self._effect(card, now), before=card.status)


def _took_its_place(connection: Connection, old: CardRow, new: CardRow) -> bool:
    """Whether `new` replaced `old`, both locked, by an event that was applied."""
    of_card = (_events.c.card_ref == old.card_ref, _events.c.successor == new.card_ref)
    return connection.scalar(select(_events.c.successor).where(*of_card).limit(1)) is not None


def _require_successor(old: CardRow, new: CardRow | None, case: CaseRow) -> None:
    if new is None or new.card_ref == old.card_ref:
        raise RuleViolation("replacement_needs_new_card", "say which card was made")
    if new.holder_ref != (case.new_holder_ref or old.holder_ref):
        raise RuleViolation("replacement_of_other_holder", "the new card belongs to another person")
    if new.status is CardStatus.CANCELLED:
        raise RuleViolation("replacement_by_cancelled_card", "the new card is cancelled")


def _stepped(case: CaseRow, to: CaseState, caller: str, now: datetime) -> CaseRow:
    return replace(case, state=to, changed_at=now, steps=(*case.steps, (to.value, rfc3339(now), caller)))


def _keep(connection: Connection, case: CaseRow) -> None:
    this = (_cases.c.card_ref == case.card_ref, _cases.c.case_id == case.case_id)
    connection.execute(update(_cases).where(*this).values(_columns(case)))


def _columns(case: CaseRow) -> dict[str, object]:
    return columns(case) | {"steps": [list(item) for item in case.steps]}


def _row(case: CaseRow) -> CaseRow:
    return replace(case, steps=tuple((str(a), str(b), str(c)) for a, b, c in case.steps))
