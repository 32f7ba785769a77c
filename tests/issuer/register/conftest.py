"""Empty registers on both engines, quickly: each is a copy of one that was migrated once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from ecard_issuer.register import make_engine
from tests.issuer.template import place_register
from tests.postgres import PostgresServer


@pytest.fixture
def sqlite_engine(tmp_path: Path) -> Iterator[Engine]:
    engine = make_engine(place_register(tmp_path, "register.db"))
    yield engine
    engine.dispose()


@pytest.fixture
def postgres_engine(postgres_server: PostgresServer) -> Iterator[Engine]:
    url = postgres_server.new_register()
    engine = make_engine(url, pool_size=16)
    yield engine
    engine.dispose()
    postgres_server.drop(url)
