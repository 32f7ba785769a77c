"""What a person must see of what came in: port `ExceptionStore`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, case, func, select, tuple_, update

from ecard_card.errors import Conflict, NotFound
from ecard_issuer.intake.ports import ExceptionRow
from ecard_issuer.intake.states import ExceptionState
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, fixed, insert_new, many, one

_table = tables.intake_exception
_is_open = _table.c.state == fixed(ExceptionState.OPEN)


class SqlExceptions(Store):
    def note(self, row: ExceptionRow) -> None:
        with self._writing() as connection:
            note_exception(connection, row)

    def get_exception(self, exception_ref: str) -> ExceptionRow:
        with self._reading() as connection:
            row = one(connection, ExceptionRow, select(_table).where(_table.c.exception_ref == exception_ref))
        if row is None:
            raise NotFound("exception_unknown", "no such exception")
        return row

    def open_exceptions(self, after: tuple[datetime, str] | None = None, limit: int = 200) -> tuple[ExceptionRow, ...]:
        place = (_table.c.first_seen, _table.c.exception_ref)
        statement = select(_table).where(_is_open).order_by(*place).limit(limit)
        if after is not None:
            statement = statement.where(tuple_(*place) > tuple_(*after))
        with self._reading() as connection:
            return many(connection, ExceptionRow, statement)

    def waiting_for(self, card_ref: str, number_mac: str, limit: int = 1000) -> tuple[ExceptionRow, ...]:
        named = (
            *((column, card_ref) for column in (_table.c.card_ref, _table.c.successor_ref)),
            *((column, number_mac) for column in (_table.c.number_mac, _table.c.successor_mac)),
        )
        found: dict[str, ExceptionRow] = {}
        with self._reading() as connection:
            for column, value in named:  # one by one, each by its own index
                statement = select(_table).where(_is_open, column == value, _table.c.change.is_not(None))
                for row in many(connection, ExceptionRow, statement.order_by(_table.c.sequence).limit(limit)):
                    found[row.exception_ref] = row
        return tuple(sorted(found.values(), key=lambda row: (row.source, row.sequence or 0)))

    def waiting_among(self, card_refs: Sequence[str]) -> frozenset[str]:
        found: set[str] = set()
        with self._reading() as connection:
            for start in range(0, len(card_refs), 900):
                part = card_refs[start : start + 900]
                found.update(connection.scalars(select(_table.c.card_ref).where(_is_open, _table.c.card_ref.in_(part))))
        return frozenset(found)

    def due_exceptions(self, now: datetime, limit: int) -> tuple[ExceptionRow, ...]:
        due = _table.c.next_try_at
        statement = select(_table).where(_is_open, due.is_not(None), due <= now).order_by(due).limit(limit)
        with self._reading() as connection:
            return many(connection, ExceptionRow, statement)

    def tried(self, exception_ref: str, code: str, next_try_at: datetime | None) -> None:
        with self._writing() as connection:
            connection.execute(
                update(_table)
                .where(_table.c.exception_ref == exception_ref, _is_open)
                .values(
                    code=code,
                    next_try_at=next_try_at,
                    tries=case((_table.c.tries < 30, _table.c.tries + 1), else_=_table.c.tries),
                )
            )

    def settle(self, exception_ref: str, state: ExceptionState, by: str, now: datetime, decision: str) -> ExceptionRow:
        this = _table.c.exception_ref == exception_ref
        with self._writing() as connection:
            closed = connection.execute(
                update(_table)
                .where(this, _is_open)
                .values(state=state, decided_by=by, decided_at=now, decision=decision, next_try_at=None)
            )
            row = one(connection, ExceptionRow, select(_table).where(this))
            if row is None:
                raise NotFound("exception_unknown", "no such exception")
            if closed.rowcount != 1:
                raise Conflict("exception_settled", "somebody has decided this already")
            return row

    def counts(self) -> Mapping[str, int]:
        statement = select(_table.c.code, func.count()).where(_is_open).group_by(_table.c.code)
        with self._reading() as connection:
            return {code: count for code, count in connection.execute(statement)}


def note_exception(connection: Connection, row: ExceptionRow) -> None:
    """See `ExceptionStore.note`; in a transaction that does more."""
    if insert_new(connection, _table, **columns(row)):
        return
    this = _table.c.exception_ref == row.exception_ref
    state = connection.execute(select(_table.c.state).where(this).with_for_update()).scalar_one()
    values: dict[str, object] = {"count": _table.c.count + 1, "last_seen": row.last_seen, "code": row.code}
    if state is not ExceptionState.DISMISSED:
        values |= {"state": ExceptionState.OPEN, "next_try_at": row.next_try_at}
    connection.execute(update(_table).where(this).values(values))
