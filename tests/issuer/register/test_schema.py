"""The schema: migrations give what the models say, and every key can be spread over many machines."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, Integer, Table, UniqueConstraint, inspect, text

from ecard_issuer import migrations
from ecard_issuer.migrations import is_current, migrate
from ecard_issuer.register import SqlRegister, make_engine
from ecard_issuer.register.engine import writing
from ecard_issuer.register.schema import metadata
from ecard_issuer.register.tables import card, signing_key
from tests.contracts.register_world import NOW
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


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_of_keys_that_waited_before_only_one_could_the_newest_is_kept(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres_server").new_database()
    engine = make_engine(url)
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        for number in range(4):
            purpose, made = ("event", NOW) if number == 3 else ("status", NOW + timedelta(hours=number % 2))
            connection.execute(
                signing_key.insert().values(
                    purpose=purpose,
                    kid=f"{number:08x}",
                    state="next",
                    public=b"\x04" + bytes(64),
                    algorithm="ES256",
                    home="file",
                    created_at=made,
                )
            )
    migrate(engine)
    states = {row.kid: row.state for row in SqlRegister(engine).list_keys(["status", "event"])}
    assert states == {"00000000": "retired", "00000001": "next", "00000002": "retired", "00000003": "next"}
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
