"""Port `Openings` on SQL."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func, select, update

from ecard_card.errors import Unavailable
from ecard_issuer.levels.opening import Closing, OpeningRow
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, insert_new, many, one

_opening = tables.ecard_opening


class SqlOpenings(Store):
    def current(self, ecard_id: str) -> OpeningRow | None:
        with self._reading() as connection:
            return _current(connection, ecard_id)

    def of_ecard(self, ecard_id: str) -> tuple[OpeningRow, ...]:
        of_ecard = select(_opening).where(_opening.c.ecard_id == ecard_id)
        with self._reading() as connection:
            return many(connection, OpeningRow, of_ecard.order_by(_opening.c.opening))

    def open(
        self, ecard_id: str, *, now: datetime, caller: str, ground: str, mandate_id: str | None, consent: str
    ) -> OpeningRow:
        last = select(func.max(_opening.c.opening)).where(_opening.c.ecard_id == ecard_id)
        with self._writing() as connection:
            current = _current(connection, ecard_id)
            if current is not None:
                return current
            number = (connection.scalar(last) or 0) + 1
            row = OpeningRow(ecard_id, number, now, caller, ground, mandate_id, consent)
            if insert_new(connection, _opening, **columns(row)):
                return row
            current = _current(connection, ecard_id)
        if current is None:
            raise Unavailable("register_unavailable", "opened and closed by others in this very moment")
        return current

    def close(self, ecard_id: str, *, now: datetime, caller: str, closing: Closing) -> OpeningRow | None:
        with self._writing() as connection:
            current = _current(connection, ecard_id)
            if current is None:
                return None
            this = (_opening.c.ecard_id == ecard_id, _opening.c.opening == current.opening)
            connection.execute(
                update(_opening)
                .where(*this, _opening.c.closed_at.is_(None))
                .values(closed_at=now, closed_by=caller, closing=closing)
            )
            return one(connection, OpeningRow, select(_opening).where(*this))


def _current(connection: Connection, ecard_id: str) -> OpeningRow | None:
    is_open = (_opening.c.ecard_id == ecard_id, _opening.c.closed_at.is_(None))
    return one(connection, OpeningRow, select(_opening).where(*is_open))
