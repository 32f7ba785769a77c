"""The schema: migrations give what the models say, and every key can be spread over many machines."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, Integer, Table, UniqueConstraint, inspect, text

from ecard_issuer.migrations import is_current, migrate
from ecard_issuer.register import SqlRegister, make_engine
from ecard_issuer.register.schema import metadata
from ecard_issuer.register.tables import card
from tests.postgres import PostgresServer

TABLES = sorted(metadata.tables.values(), key=lambda table: table.name)


def _difference(engine: Engine) -> list[object]:
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), card.metadata))


def test_migrated_sqlite_is_what_the_models_say(sqlite_engine: Engine, tmp_path: Path) -> None:
    assert is_current(sqlite_engine)
    assert _difference(sqlite_engine) == []
    created = make_engine(f"sqlite:///{tmp_path / 'created.db'}")
    metadata.create_all(created)
    assert not is_current(created)
    assert _statements(created) == _statements(sqlite_engine)  # CHECKs and partial indexes too
    created.dispose()


def _statements(engine: Engine) -> dict[str, list[str]]:
    """Each table's and index's own SQL, as a set of its parts."""
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'alembic_version'")
        )
        return {name: sorted(part.strip(" ,\t)") for part in sql.splitlines()) for name, sql in rows}


@pytest.mark.postgres
def test_migrated_postgresql_is_what_the_models_say(postgres_engine: Engine, postgres_server: PostgresServer) -> None:
    assert is_current(postgres_engine)
    assert _difference(postgres_engine) == []
    created = make_engine(postgres_server.new_database())
    metadata.create_all(created)
    checks = [
        {check["name"] for check in inspect(engine).get_check_constraints(table.name)}
        for engine in (created, postgres_engine)
        for table in TABLES
    ]
    assert checks[: len(TABLES)] == checks[len(TABLES) :]
    created.dispose()


@pytest.mark.postgres
def test_many_processes_may_migrate_at_once(postgres_server: PostgresServer, tmp_path: Path) -> None:
    for url in (postgres_server.new_database(), f"sqlite:///{tmp_path / 'together.db'}"):
        engines = [make_engine(url) for _ in range(4)]
        with ThreadPoolExecutor(len(engines)) as pool:
            list(pool.map(migrate, engines))
        assert is_current(engines[0])
        assert SqlRegister(engines[0]).has_operators() is False
        for engine in engines:
            engine.dispose()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_key_includes_the_distribution_column(table: Table) -> None:
    spread = table.info["distribution"]
    assert spread in table.primary_key.columns
    unique = [set(item.columns.keys()) for item in table.constraints if isinstance(item, UniqueConstraint)]
    unique += [set(index.columns.keys()) for index in table.indexes if index.unique]
    assert all(spread in columns for columns in unique)
    for key in table.foreign_keys:
        assert key.parent.name == spread
        assert key.column.name == key.column.table.info["distribution"]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_no_number_comes_from_a_sequence(table: Table) -> None:
    assert all(not column.autoincrement for column in table.primary_key if isinstance(column.type, Integer))
    assert all(column.server_default is None for column in table.columns)
