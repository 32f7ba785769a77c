"""The intake's store on SQL: one class over the register's engine, SQLite and PostgreSQL."""

from __future__ import annotations

from ecard_issuer.intake.sql_bulk import SqlBulk
from ecard_issuer.intake.sql_exceptions import SqlExceptions
from ecard_issuer.intake.sql_gaps import SqlGaps
from ecard_issuer.intake.sql_records import SqlRecords
from ecard_issuer.intake.sql_sources import SqlSources


class SqlIntake(SqlSources, SqlExceptions, SqlGaps, SqlRecords, SqlBulk):
    """An `IntakeStore` over an engine whose schema is in place."""
