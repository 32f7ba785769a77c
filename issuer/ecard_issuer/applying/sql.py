"""Applications on SQL: port `ApplicationStore`.

The row of an application is the lock under which it moves: of two clerks who decide at once, one does. That a person
has one open application is kept by the primary key of `open_application`.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, delete, literal, not_, select, tuple_, update

from ecard_card.errors import Conflict, NotFound
from ecard_card.region import EVERYWHERE, span
from ecard_issuer.applying.store import Move, Place
from ecard_issuer.applying.values import (
    AccessRow,
    ApplicationRow,
    ApplicationState,
    CopyMark,
    CopyRow,
    DocumentCopy,
    StepRow,
)
from ecard_issuer.register import tables
from ecard_issuer.register.columns import UtcDateTime
from ecard_issuer.register.sql import Store, columns, insert_new, many, one

_application, _open = tables.application, tables.open_application
_step, _copy, _access = tables.application_step, tables.application_document, tables.application_access
_CHANGEABLE: Final = (ApplicationState.SUBMITTED, ApplicationState.REVIEWING)
_MOST: Final = 1000


class SqlApplications(Store):
    """An `ApplicationStore` over an engine whose schema is in place."""

    def add(self, row: ApplicationRow) -> ApplicationRow:
        with self._writing() as connection:
            before = add_application(connection, row)
            if before is not None:
                return before
        return row

    def find(self, application_id: str) -> ApplicationRow | None:
        with self._reading() as connection:
            return one(connection, ApplicationRow, _named(application_id))

    def move(self, move: Move) -> ApplicationRow:
        changes: dict[str, object] = {"state": move.target, "updated_at": move.now}
        if move.target.closed:
            changes["closed_at"] = move.now
        if move.acting is not None:
            changes |= {"ground": move.acting.ground, "mandate_id": move.acting.mandate_id}
        changes |= {
            name: value for name, value in (("card_ref", move.card_ref), ("outlet", move.outlet)) if value is not None
        }
        with self._writing() as connection:
            moved = connection.execute(
                update(_application)
                .where(_application.c.application_id == move.application_id, _application.c.state.in_(move.origins))
                .values(steps=_application.c.steps + 1, **changes)
            )
            row = one(connection, ApplicationRow, _named(move.application_id))
            if row is None:
                raise NotFound("application_unknown", "no such application")
            if moved.rowcount != 1:
                raise Conflict("application_moved", f"it is {row.state.value}")
            _note_step(connection, row, move)
            if row.state.closed:
                connection.execute(
                    delete(_open).where(
                        _open.c.holder_ref == row.holder_ref, _open.c.application_id == row.application_id
                    )
                )
        return row

    def steps_of(self, application_id: str) -> tuple[StepRow, ...]:
        with self._reading() as connection:
            taken = select(_step).where(_step.c.application_id == application_id)
            return many(connection, StepRow, taken.order_by(_step.c.ordinal))

    def put_copy(self, row: CopyRow) -> None:
        with self._writing() as connection:
            # Locks the application, so that nobody approves it while its documents change.
            changed = connection.execute(
                update(_application)
                .where(_application.c.application_id == row.application_id, _application.c.state.in_(_CHANGEABLE))
                .values(updated_at=row.added_at)
            )
            if changed.rowcount != 1:
                if one(connection, ApplicationRow, _named(row.application_id)) is None:
                    raise NotFound("application_unknown", "no such application")
                raise Conflict("application_moved", "its documents were judged already")
            connection.execute(
                delete(_copy).where(_copy.c.application_id == row.application_id, _copy.c.kind == row.kind)
            )
            connection.execute(_copy.insert().values(columns(row)))

    def find_copy(self, application_id: str, kind: DocumentCopy) -> CopyRow | None:
        with self._reading() as connection:
            named = select(_copy).where(_copy.c.application_id == application_id, _copy.c.kind == kind)
            return one(connection, CopyRow, named)

    def copies_of(self, application_id: str) -> tuple[CopyMark, ...]:
        marks = select(_copy.c.kind, _copy.c.media_type, _copy.c.size, _copy.c.added_at)
        with self._reading() as connection:
            there = marks.where(_copy.c.application_id == application_id).order_by(_copy.c.kind)
            return many(connection, CopyMark, there)

    def note_access(self, row: AccessRow) -> None:
        with self._writing() as connection:
            insert_new(connection, _access, **columns(row))

    def accesses_of(self, application_id: str) -> tuple[AccessRow, ...]:
        with self._reading() as connection:
            seen = select(_access).where(_access.c.application_id == application_id)
            return many(connection, AccessRow, seen.order_by(_access.c.opened_at).limit(_MOST))

    def of_holder(self, holder_ref: str) -> tuple[ApplicationRow, ...]:
        with self._reading() as connection:
            theirs = select(_application).where(_application.c.holder_ref == holder_ref)
            return many(connection, ApplicationRow, theirs.order_by(_application.c.submitted_at).limit(_MOST))

    def work(self, state: ApplicationState, region: str, after: Place | None, limit: int) -> tuple[ApplicationRow, ...]:
        order = (_application.c.region, _application.c.submitted_at, _application.c.application_id)
        waiting = select(_application).where(_application.c.state == state)
        if region != EVERYWHERE:
            waiting = waiting.where(_application.c.region.between(region, _last_below(region)))
        if after is not None:
            place = (after.region, literal(after.submitted_at, UtcDateTime()), after.application_id)
            waiting = waiting.where(tuple_(*order) > tuple_(*place))
        with self._reading() as connection:
            return many(connection, ApplicationRow, waiting.order_by(*order).limit(limit))

    def purge(self, before: datetime, limit: int, *, region: str = EVERYWHERE, without: Collection[str] = ()) -> int:
        closed = select(_application.c.application_id).where(
            _application.c.closed_at.is_not(None),
            _application.c.closed_at < before,
            _application.c.region.between(*span(region)),
            *(not_(_application.c.region.between(*span(other))) for other in without),
        )
        with self._writing() as connection:
            gone = list(connection.scalars(closed.order_by(_application.c.closed_at).limit(limit)))
            for part in (_access, _copy, _step, _application) if gone else ():
                connection.execute(delete(part).where(part.c.application_id.in_(gone)))
        return len(gone)


def add_application(connection: Connection, row: ApplicationRow) -> ApplicationRow | None:
    """Within a transaction: see `ApplicationStore.add`. Returns the row that was there before, or None. Where it raises
    it has written nothing."""
    before = one(connection, ApplicationRow, _named(row.application_id))
    if before is None and not insert_new(
        connection, _open, holder_ref=row.holder_ref, application_id=row.application_id
    ):
        before = one(connection, ApplicationRow, _named(row.application_id))  # the same request, a moment ago
        if before is None:
            raise Conflict("application_open", "this person has an application that is not decided yet")
    if before is not None:
        if before.content_mac != row.content_mac:
            raise Conflict("application_differs", "this request was made before with other content")
        return before
    connection.execute(_application.insert().values(columns(row)))
    first = StepRow(row.application_id, 1, row.state, row.submitted_by, row.submitted_at)
    connection.execute(_step.insert().values(columns(first)))
    return None


def _note_step(connection: Connection, row: ApplicationRow, move: Move) -> None:
    step = StepRow(row.application_id, row.steps, row.state, move.by, move.now, move.reason, move.sealed_note)
    connection.execute(_step.insert().values(columns(step)))


def _named(application_id: str) -> Select[Any]:
    return select(_application).where(_application.c.application_id == application_id)


def _last_below(region: str) -> str:
    """The last code that a region's code covers: pairs of zeros at its end stand for all."""
    end = region
    while end.endswith("00"):
        end = end[:-2]
    return end.ljust(6, "9")
