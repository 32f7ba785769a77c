"""What the register itself does not keep for ever: proofs of chips that led to nothing or whose binding ended, the
record of exports, and the list of erased people.

Left alone: evidence of a binding that holds; plans, bindings and credentials (they say which status index was whose);
approvals (they prove that two people agreed, and name nobody); the outbox (partners and feeds read on from a place in
it).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    Select,
    and_,
    case,
    delete,
    exists,
    literal,
    not_,
    or_,
    select,
    text,
    true,
    tuple_,
    update,
)

from ecard_card.region import EVERYWHERE, span
from ecard_issuer.privacy.retention import BATCH, Purgeable, Scope
from ecard_issuer.register import tables
from ecard_issuer.register.engine import reading, writing
from ecard_issuer.register.sql import fixed
from ecard_issuer.states import PlanState

_enrolment, _card, _history = tables.enrolment, tables.card, tables.binding_history
_binding, _plan = tables.binding, tables.plan
_erased, _export = tables.erased_person, tables.subject_export


def in_scope(region: Column[Any], scope: Scope) -> ColumnElement[bool]:
    """The condition that a record of `region` belongs to the scope."""
    first, last = span(scope.region)
    others = [not_(region.between(*span(other))) for other in scope.without]
    return and_(region.between(first, last), *others)


class Paged:
    """A `Purgeable` that looks at its records page by page, oldest first, so that no statement takes long however many
    there are that stay. A kind says how it finds them and what it does to those that are over."""

    name: str
    term: str
    regional: bool = True
    #: The time from which its term counts, and the rest of an index's key.
    time: Column[Any]
    keys: tuple[Column[Any], ...]

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def purge(self, scope: Scope, limit: int) -> int:
        """See `Purgeable.purge`."""
        gone = 0
        for over in self._over(scope):
            taken = over[: limit - gone]
            if taken:
                with writing(self._engine) as connection:
                    self._end(connection, taken)
            gone += len(taken)
            if gone >= limit:
                break
        return gone

    def count(self, scope: Scope, limit: int) -> int:
        """See `Purgeable.count`."""
        found = 0
        for over in self._over(scope):
            found += len(over)
            if found >= limit:
                break
        return min(found, limit)

    def _over(self, scope: Scope) -> Iterator[list[tuple[Any, ...]]]:
        """The keys of those that are over, a page at a time."""
        place = (self.time, *self.keys)
        over = case((self._condition(scope), 1), else_=0).label("over")
        found = self._found().add_columns(*place, over).where(self.time < scope.before).order_by(*place).limit(BATCH)
        after: tuple[Any, ...] | None = None
        while True:
            page = found if after is None else found.where(tuple_(*place) > tuple_(*_typed(place, after)))
            with reading(self._engine) as connection:
                rows = [tuple(row) for row in connection.execute(page)]
            yield [row[1:-1] for row in rows if row[-1]]
            if len(rows) < BATCH:
                return
            after = rows[-1][:-1]

    def _found(self) -> Select[Any]:
        """A selection of nothing, from where the records are."""
        return select().select_from(self.time.table)

    def _condition(self, scope: Scope) -> ColumnElement[bool]:
        """What has to be true besides its age."""
        return true()

    def _end(self, connection: Connection, over: Sequence[tuple[Any, ...]]) -> None:
        """Delete those records."""
        connection.execute(delete(self.time.table).where(tuple_(*self.keys).in_(over)))


class EnrolmentPurge(Paged):
    """Challenges and proofs of chips: all that are over, but those whose evidence a binding rests on."""

    name = "enrolments"
    term = "chip_evidence"
    time = _enrolment.c.expires_at
    keys = (_enrolment.c.enrolment_id,)

    def _found(self) -> Select[Any]:
        return select().select_from(_enrolment.outerjoin(_card, _card.c.card_ref == _enrolment.c.card_ref))

    def _condition(self, scope: Scope) -> ColumnElement[bool]:
        other = _card.alias("other")
        rests = [  # an e-card moves from card to card of one person, and its evidence with it
            exists().where(
                other.c.holder_ref == _card.c.holder_ref,
                bound.c.card_ref == other.c.card_ref,
                bound.c.evidence == _enrolment.c.evidence,
            )
            for bound in (_binding, _history)
        ]
        planned = exists().where(
            _plan.c.card_ref == _enrolment.c.card_ref,
            _plan.c.enrolment_id == _enrolment.c.enrolment_id,
            _plan.c.state == fixed(PlanState.PLANNED),
        )
        proven = and_(in_scope(_card.c.region, scope), not_(or_(*rests)), not_(planned))
        if scope.region == EVERYWHERE:  # a challenge that no chip answered belongs to no card and no region
            proven = or_(_enrolment.c.card_ref.is_(None), proven)
        return proven


class EndedBindingPurge(Paged):
    """The evidence of bindings that ended. That they were, and how well they were proven, stays."""

    name = "ended_bindings"
    term = "chip_evidence"
    time = _history.c.ended_at
    keys = (_history.c.card_ref, _history.c.ecard_id)

    def _found(self) -> Select[Any]:
        joined = _history.join(_card, _card.c.card_ref == _history.c.card_ref)
        return select().select_from(joined).where(text("length(binding_history.evidence) > 0"))

    def _condition(self, scope: Scope) -> ColumnElement[bool]:
        return in_scope(_card.c.region, scope)

    def _end(self, connection: Connection, over: Sequence[tuple[Any, ...]]) -> None:
        connection.execute(update(_history).where(tuple_(*self.keys).in_(over)).values(evidence=b""))


class ExportPurge(Paged):
    """The record of exports of people's data."""

    name = "exports"
    term = "accesses"
    regional = False
    time = _export.c.made_at
    keys = (_export.c.holder_ref, _export.c.export_id)


class ErasedPersonPurge(Paged):
    """The list of erased people: after its time no backup is left in which they could come back."""

    name = "erased_people"
    term = "erasures"
    regional = False
    time = _erased.c.erased_at
    keys = (_erased.c.former_ref, _erased.c.key_mark)


def core_purges(engine: Engine) -> tuple[Purgeable, ...]:
    """All of the above."""
    # Ended bindings first: an enrolment whose evidence one of them no longer has can go in the same run.
    return (EndedBindingPurge(engine), EnrolmentPurge(engine), ExportPurge(engine), ErasedPersonPurge(engine))


def _typed(place: Sequence[Column[Any]], values: Sequence[Any]) -> list[ColumnElement[Any]]:
    return [literal(value, column.type) for column, value in zip(place, values, strict=True)]
