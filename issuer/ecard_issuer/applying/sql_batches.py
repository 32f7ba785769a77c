"""Batches on SQL: port `BatchStore`. A piece is two transactions: its people, then all that is kept of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, func, select

from ecard_card.errors import Conflict
from ecard_issuer.applying.batches import ACCEPTED, Accepted, OutcomeRow
from ecard_issuer.applying.sql import add_application
from ecard_issuer.applying.values import StepRow
from ecard_issuer.mandates.sql import add_mandate
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, insert_all_new, insert_new, many
from ecard_issuer.rows import HolderRow

_rows, _holder, _open = tables.agency_batch_row, tables.holder, tables.open_application


class SqlBatches(Store):
    """A `BatchStore` over an engine whose schema is in place."""

    def known(self, batch_ref: str, rows: Collection[int]) -> dict[int, OutcomeRow]:
        with self._reading() as connection:
            return {row.row: row for row in _known(connection, batch_ref, rows)}

    def enter(self, people: Sequence[HolderRow]) -> tuple[HolderRow, ...]:
        if not people:
            return ()
        with self._writing() as connection:
            # In one order always, so that two pieces never wait for each other.
            insert_all_new(
                connection, _holder, [columns(one) for one in sorted(people, key=lambda one: one.holder_ref)]
            )
            wanted = select(_holder).where(_holder.c.holder_ref.in_({person.holder_ref for person in people}))
            stored = {row.holder_ref: row for row in many(connection, HolderRow, wanted)}
        return tuple(stored[person.holder_ref] for person in people)

    def known_people(self, holder_refs: Collection[str]) -> set[str]:
        with self._reading() as connection:
            return set(connection.scalars(select(_holder.c.holder_ref).where(_holder.c.holder_ref.in_(holder_refs))))

    def record(
        self, batch_ref: str, accepted: Sequence[Accepted], refused: Sequence[OutcomeRow], now: datetime
    ) -> tuple[OutcomeRow, ...]:
        numbers = [*(item.number for item in accepted), *(row.row for row in refused)]
        if not numbers:
            return ()
        # In one order always, so that two pieces never wait for each other.
        ordered = sorted(accepted, key=lambda one: one.application.holder_ref)
        try:
            with self._writing() as connection:
                _record_together(connection, batch_ref, ordered, refused, now)
                return _known(connection, batch_ref, numbers)
        except Conflict:  # the same piece at once, or a person twice in it: row by row, then
            with self._writing() as connection:
                for row in refused:
                    insert_new(connection, _rows, **columns(row))
                for item in ordered:
                    _record_one(connection, _outcome(batch_ref, item, ACCEPTED, now), item)
                return _known(connection, batch_ref, numbers)

    def outcomes(self, batch_ref: str, after: int, limit: int) -> tuple[OutcomeRow, ...]:
        page = select(_rows).where(_rows.c.batch_ref == batch_ref, _rows.c.row > after)
        with self._reading() as connection:
            return many(connection, OutcomeRow, page.order_by(_rows.c.row).limit(limit))

    def counts(self, batch_ref: str) -> dict[str, int]:
        grouped = select(_rows.c.outcome, func.count()).where(_rows.c.batch_ref == batch_ref)
        with self._reading() as connection:
            return {outcome: int(count) for outcome, count in connection.execute(grouped.group_by(_rows.c.outcome))}


def _record_together(
    connection: Connection,
    batch_ref: str,
    accepted: Sequence[Accepted],
    refused: Sequence[OutcomeRow],
    now: datetime,
) -> None:
    """A piece in a handful of statements. Raises `Conflict` where only a look at each row can tell."""
    rows = [item.application for item in accepted]
    places = [{"holder_ref": row.holder_ref, "application_id": row.application_id} for row in rows]
    if len({row.holder_ref for row in rows}) != len(rows):
        raise Conflict("register_conflict", "one person twice")
    taken: dict[str, str] = {}
    if places and not insert_all_new(connection, _open, places):
        theirs = select(_open.c.holder_ref, _open.c.application_id)
        owners = connection.execute(theirs.where(_open.c.holder_ref.in_({row.holder_ref for row in rows})))
        taken = {holder_ref: owner for holder_ref, owner in owners}
    mine = [item for item in accepted if taken.get(item.application.holder_ref, "") in ("", _id(item))]
    late = [item for item in accepted if taken.get(item.application.holder_ref, "") not in ("", _id(item))]
    outcomes = [
        *refused,
        *(_outcome(batch_ref, item, ACCEPTED, now) for item in mine),
        *(_outcome(batch_ref, item, "application_open", now) for item in late),
    ]
    steps = [StepRow(_id(item), 1, item.application.state, item.application.submitted_by, now) for item in mine]
    together: tuple[tuple[Table, list[Any]], ...] = (
        (_rows, outcomes),
        (tables.application, [item.application for item in mine]),
        (tables.application_step, steps),
        (tables.mandate, [item.mandate for item in mine]),
    )
    for table, values in together:
        if values and not insert_all_new(connection, table, [columns(row) for row in values]):
            raise Conflict("register_conflict", "some of it is there")


def _record_one(connection: Connection, outcome: OutcomeRow, item: Accepted) -> None:
    if not insert_new(connection, _rows, **columns(outcome)):
        return  # the same piece was sent twice at once
    try:
        with connection.begin_nested():
            add_application(connection, item.application)
            add_mandate(connection, item.mandate)
    except Conflict as conflict:
        mine = (_rows.c.batch_ref == outcome.batch_ref, _rows.c.row == outcome.row)
        connection.execute(
            _rows.update().where(*mine).values(outcome=conflict.code, application_id=None, mandate_id=None)
        )


def _outcome(batch_ref: str, item: Accepted, outcome: str, now: datetime) -> OutcomeRow:
    made = outcome == ACCEPTED
    return OutcomeRow(
        batch_ref=batch_ref,
        row=item.number,
        content_mac=item.content_mac,
        outcome=outcome,
        application_id=_id(item) if made else None,
        mandate_id=item.mandate.mandate_id if made else None,
        recorded_at=now,
    )


def _id(item: Accepted) -> str:
    return item.application.application_id


def _known(connection: Connection, batch_ref: str, rows: Collection[int]) -> tuple[OutcomeRow, ...]:
    return many(connection, OutcomeRow, select(_rows).where(_rows.c.batch_ref == batch_ref, _rows.c.row.in_(rows)))
