"""The intake's store on both engines."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event

from ecard_issuer.intake.ports import IntakeStore
from ecard_issuer.intake.sql import SqlIntake
from ecard_issuer.ports import Register
from ecard_issuer.register import SqlRegister
from tests.contracts.intake_contract import IntakeContract

#: A condition on one card, number, exception or source.
_ABOUT_ONE = re.compile(r"(card_ref|_mac|successor_ref|exception_ref|name|source|report_digest) (=|IN) ")


class TestSqlite(IntakeContract):
    @pytest.fixture
    def store(self, sqlite_engine: Engine) -> Iterator[IntakeStore]:
        """A store; when the test is over, nothing that it asked about a card may have needed a scan."""
        seen: dict[str, Any] = {}

        @event.listens_for(sqlite_engine, "before_cursor_execute")
        def note(connection: object, cursor: object, statement: str, parameters: Any, *rest: Any) -> None:
            if statement.split()[0] in ("SELECT", "UPDATE", "DELETE"):
                seen[statement] = parameters[0] if isinstance(parameters, list) else parameters

        yield SqlIntake(sqlite_engine)
        looker = sqlite3.connect(sqlite_engine.url.database or "")
        for statement, parameters in seen.items():
            if "outbox" in statement or not _ABOUT_ONE.search(statement):  # that one is the dispatcher's
                continue
            steps = [step for *_, step in looker.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            assert not any(step.startswith("SCAN") for step in steps), (steps, statement)
        looker.close()

    @pytest.fixture
    def register(self, sqlite_engine: Engine) -> Register:
        return SqlRegister(sqlite_engine)


@pytest.mark.postgres
class TestPostgres(IntakeContract):
    @pytest.fixture
    def store(self, postgres_engine: Engine) -> IntakeStore:
        return SqlIntake(postgres_engine)

    @pytest.fixture
    def register(self, postgres_engine: Engine) -> Register:
        return SqlRegister(postgres_engine)
