"""The register's contract on both engines; on SQLite every statement's plan is looked at as well."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event

from ecard_issuer.ports import Register
from ecard_issuer.register import SqlRegister
from tests.contracts.register_contract import LIST_SIZE, RegisterContract

#: Indexes over few rows by their definition: what waits, and lists that are open.
_SMALL = ("ix_outbox_waiting", "ix_status_list_open")


class TestSqlite(RegisterContract):
    @pytest.fixture
    def register(self, sqlite_engine: Engine) -> Iterator[Register]:
        """A register; when the test is over, no statement that it ran may have needed a table scan."""
        seen: dict[str, Any] = {}

        @event.listens_for(sqlite_engine, "before_cursor_execute")
        def note(connection: object, cursor: object, statement: str, parameters: Any, *rest: Any) -> None:
            if statement.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE"):
                seen[statement] = parameters[0] if isinstance(parameters, list) else parameters

        yield SqlRegister(sqlite_engine, list_size=LIST_SIZE, open_lists=1)
        looker = sqlite3.connect(sqlite_engine.url.database or "")
        for statement, parameters in seen.items():
            for *_, step in looker.execute(f"EXPLAIN QUERY PLAN {statement}", parameters):
                allowed = not step.startswith("SCAN") or any(step.endswith(name) for name in _SMALL)
                assert allowed or re.fullmatch(r"SCAN \d+ CONSTANT ROWS?|SCAN CONSTANT ROW", step), (step, statement)
        looker.close()


@pytest.mark.postgres
class TestPostgres(RegisterContract):
    @pytest.fixture
    def register(self, postgres_engine: Engine) -> Register:
        return SqlRegister(postgres_engine, list_size=LIST_SIZE, open_lists=1)
