"""The intake's store on both engines."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from ecard_issuer.intake.ports import IntakeStore
from ecard_issuer.intake.sql import SqlIntake
from ecard_issuer.ports import Register
from ecard_issuer.register import SqlRegister
from tests.contracts.intake_contract import IntakeContract


class TestSqlite(IntakeContract):
    @pytest.fixture
    def store(self, sqlite_engine: Engine) -> IntakeStore:
        return SqlIntake(sqlite_engine)

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
