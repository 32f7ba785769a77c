"""The contract of applications and mandates on both engines; on SQLite every statement's plan is looked at as well."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event

from tests.contracts.people_contract import PeopleContract


class TestSqlite(PeopleContract):
    @pytest.fixture
    def engine(self, sqlite_engine: Engine) -> Iterator[Engine]:
        """An engine; when the test is over, no statement that it ran may have needed a table scan."""
        seen: dict[str, Any] = {}

        @event.listens_for(sqlite_engine, "before_cursor_execute")
        def note(connection: object, cursor: object, statement: str, parameters: Any, *rest: Any) -> None:
            if statement.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE"):
                seen[statement] = parameters[0] if isinstance(parameters, list) else parameters

        yield sqlite_engine
        looker = sqlite3.connect(sqlite_engine.url.database or "")
        for statement, parameters in seen.items():
            for *_, plan in looker.execute(f"EXPLAIN QUERY PLAN {statement}", parameters):
                assert not re.match(r"SCAN (?!CONSTANT|\d+ CONSTANT)", plan), (plan, statement)
                assert "TEMP B-TREE" not in plan or "application.state = ?" not in statement, statement
        looker.close()


@pytest.mark.postgres
class TestPostgresql(PeopleContract):
    @pytest.fixture
    def engine(self, postgres_engine: Engine) -> Engine:
        return postgres_engine
