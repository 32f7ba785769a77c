"""The contract of cases and reviews on both engines."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event

from tests.contracts.life_contract import LifeContract, Store, store_over
from tests.contracts.register_contract import LIST_SIZE


class TestSqlite(LifeContract):
    @pytest.fixture
    def store(self, sqlite_engine: Engine) -> Iterator[Store]:
        """A store; when the test is over, no statement that it ran may have needed a table scan."""
        seen: dict[str, Any] = {}

        @event.listens_for(sqlite_engine, "before_cursor_execute")
        def note(connection: object, cursor: object, statement: str, parameters: Any, *rest: Any) -> None:
            if statement.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE"):
                seen[statement] = parameters[0] if isinstance(parameters, list) else parameters

        yield store_over(sqlite_engine, LIST_SIZE)
        looker = sqlite3.connect(sqlite_engine.url.database or "")
        for statement, parameters in seen.items():
            for *_, step in looker.execute(f"EXPLAIN QUERY PLAN {statement}", parameters):
                assert not step.startswith("SCAN") or "ix_" in step or "CONSTANT ROW" in step, (step, statement)
        looker.close()


@pytest.mark.postgres
class TestPostgres(LifeContract):
    @pytest.fixture
    def store(self, postgres_engine: Engine) -> Store:
        return store_over(postgres_engine, LIST_SIZE)
