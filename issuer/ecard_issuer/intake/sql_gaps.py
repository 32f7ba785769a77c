"""Numbers that a source skipped: port `GapStore`."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import select, update

from ecard_issuer.intake.ports import GapRow
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, insert_new, many

_table = tables.intake_gap


class SqlGaps(Store):
    def open_gap(self, gap: GapRow) -> None:
        with self._writing() as connection:
            insert_new(connection, _table, **columns(gap))

    def close_gap(self, card_ref: str, source: str, sequence: int, now: datetime) -> None:
        own = (_table.c.card_ref == card_ref, _table.c.source == source)
        around = select(_table).where(
            *own, _table.c.first <= sequence, _table.c.last >= sequence, _table.c.closed_at.is_(None)
        )
        with self._writing() as connection:
            for gap in many(connection, GapRow, around.with_for_update()):
                # The row of `first` stays, so that a repetition of what noticed the gap does not open it again.
                if gap.first < sequence:
                    left: dict[str, object] = {"last": sequence - 1}
                else:
                    left = {"last": sequence, "closed_at": now}
                connection.execute(update(_table).where(*own, _table.c.first == gap.first).values(left))
                if sequence < gap.last:
                    insert_new(connection, _table, **columns(replace(gap, first=sequence + 1)))

    def gaps(self, source: str | None = None, limit: int = 200) -> tuple[GapRow, ...]:
        order = (_table.c.source, _table.c.noticed_at)
        statement = select(_table).where(_table.c.closed_at.is_(None)).order_by(*order).limit(limit)
        if source is not None:
            statement = statement.where(_table.c.source == source)
        with self._reading() as connection:
            return many(connection, GapRow, statement)
