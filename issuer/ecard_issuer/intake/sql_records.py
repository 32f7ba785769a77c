"""How far files were read, and what comparisons said: ports `Runs` and `ReconciliationStore`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, select, update

from ecard_card.errors import NotFound
from ecard_issuer.intake.ports import ReconciliationRow, RunRow
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, insert_new, many, one, use_grant
from ecard_issuer.rows import Grant

_runs, _reports = tables.import_run, tables.reconciliation


class SqlRecords(Store):
    def runs_of(self, kind: str, source: str) -> tuple[RunRow, ...]:
        with self._reading() as connection:
            return many(connection, RunRow, select(_runs).where(_runs.c.kind == kind, _runs.c.source == source))

    def save_run(self, run: RunRow) -> None:
        with self._writing() as connection:
            put_run(connection, run)

    def save_reconciliation(self, row: ReconciliationRow) -> None:
        with self._writing() as connection:
            insert_new(connection, _reports, **columns(row))

    def get_reconciliation(self, report_digest: str) -> ReconciliationRow:
        with self._reading() as connection:
            row = one(connection, ReconciliationRow, select(_reports).where(_reports.c.report_digest == report_digest))
        if row is None:
            raise NotFound("report_unknown", "no comparison with such a report was made here")
        return row

    def reconciliations(self, limit: int = 100) -> tuple[ReconciliationRow, ...]:
        with self._reading() as connection:
            return many(
                connection, ReconciliationRow, select(_reports).order_by(_reports.c.made_at.desc()).limit(limit)
            )

    def begin_repair(self, report_digest: str, by: str, now: datetime, *, grant: Grant | None) -> bool:
        with self._writing() as connection:
            begun = connection.execute(
                update(_reports)
                .where(_reports.c.report_digest == report_digest, _reports.c.repaired_at.is_(None))
                .values(repaired_at=now, repaired_by=by)
            )
            if begun.rowcount == 1:
                use_grant(connection, grant, now)
            return begun.rowcount == 1

    def count_repairs(self, report_digest: str, repairs: Mapping[str, int]) -> None:
        with self._writing() as connection:
            connection.execute(
                update(_reports).where(_reports.c.report_digest == report_digest).values(repairs=dict(repairs))
            )


def put_run(connection: Connection, run: RunRow) -> None:
    """Keep how far a file was read, in the transaction of its rows."""
    if not insert_new(connection, _runs, **columns(run)):
        connection.execute(update(_runs).where(_runs.c.run_id == run.run_id).values(columns(run)))
