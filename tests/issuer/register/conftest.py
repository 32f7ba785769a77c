"""Empty registers on both engines, quickly: each is a copy of one that was migrated once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url

from ecard_issuer.migrations import migrate
from ecard_issuer.register import make_engine
from tests.postgres import PostgresServer, postgres_server

__all__ = ["postgres_server"]


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("register") / "template.db"
    engine = make_engine(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()  # the last connection folds the write-ahead log into the file
    return path


@pytest.fixture
def sqlite_engine(migrated_file: Path, tmp_path: Path) -> Iterator[Engine]:
    shutil.copy(migrated_file, tmp_path / "register.db")
    engine = make_engine(f"sqlite:///{tmp_path / 'register.db'}")
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def migrated_database(postgres_server: PostgresServer) -> str:
    url = postgres_server.new_database()
    engine = make_engine(url)
    migrate(engine)
    engine.dispose()
    return make_url(url).database or ""


@pytest.fixture
def postgres_engine(postgres_server: PostgresServer, migrated_database: str) -> Iterator[Engine]:
    engine = make_engine(postgres_server.new_database(migrated_database), pool_size=16)
    yield engine
    engine.dispose()
