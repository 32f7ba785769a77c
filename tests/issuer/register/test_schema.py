"""The schema: migrations give what the models say, and every key can be spread over many machines."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, Integer, Table, UniqueConstraint, inspect, text

from ecard_card.errors import Conflict
from ecard_card.status import CardChange
from ecard_issuer import migrations
from ecard_issuer.migrations import is_current, migrate
from ecard_issuer.register import SqlRegister, make_engine
from ecard_issuer.register.engine import LOCK_WAIT_MS, ROW_WAIT_MS, writing
from ecard_issuer.register.schema import metadata
from ecard_issuer.register.tables import card, signing_key
from tests.contracts.register_world import LATER, NOW, key_row, refused
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
    """Each table's and index's own SQL, as a set of its parts; SQLite writes an added column on the line before it."""
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT name, sql FROM sqlite_master"
                " WHERE type IN ('table', 'index') AND sql IS NOT NULL AND name <> 'alembic_version'"
            )
        )
        return {name: sorted(filter(None, map(_bare, sql.replace(", ", ",\n").splitlines()))) for name, sql in rows}


def _bare(part: str) -> str:
    return part.replace('"', "").strip(" ,\t)")


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
def test_who_comes_while_another_migrates_for_long_waits(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Longer than a request would wait for the lock."""
    url = f"sqlite:///{tmp_path / 'slow.db'}"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres_server").new_database()
    first, second = make_engine(url), make_engine(url)
    with ThreadPoolExecutor(1) as pool:
        with writing(first) as connection:
            if kind == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({migrations._LOCK})"))
            waiting = pool.submit(migrate, second)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=max(LOCK_WAIT_MS, ROW_WAIT_MS) / 1000 + 0.5)
        waiting.result()
    assert is_current(first)
    first.dispose()
    second.dispose()


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_of_keys_that_waited_before_only_one_could_the_newest_is_kept(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    engine = _at("0002", kind, request, tmp_path)
    with writing(engine) as connection:
        for number in range(4):
            purpose, made = ("event", NOW) if number == 3 else ("status", NOW + timedelta(hours=number % 2))
            _old_key(connection, purpose, f"{number:08x}", "next", made)
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
    for constraint in table.foreign_key_constraints:
        assert (spread, constraint.referred_table.info["distribution"]) in [
            (key.parent.name, key.column.name) for key in constraint.elements
        ]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_no_number_comes_from_a_sequence(table: Table) -> None:
    assert all(not column.autoincrement for column in table.primary_key if isinstance(column.type, Integer))
    assert all(column.server_default is None for column in table.columns)


KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


def _at(revision: str, kind: str, request: pytest.FixtureRequest, folder: Path) -> Engine:
    """An empty database with the schema of an older version."""
    url = f"sqlite:///{folder / 'old.db'}"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres_server").new_database()
    engine = make_engine(url)
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    return engine


def _old_key(connection: Connection, purpose: str, kid: str, state: str, made: datetime, **times: datetime) -> None:
    connection.execute(
        signing_key.insert().values(
            purpose=purpose,
            kid=kid,
            state=state,
            public=b"\x04" + bytes(64),
            algorithm="ES256",
            home="file",
            created_at=made,
            **times,
        )
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_keys_of_an_older_register_get_their_times(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    engine = _at("0003", kind, request, tmp_path)
    before = datetime.now(UTC)
    with writing(engine) as connection:
        _old_key(connection, "credential", "00000001", "active", NOW, activated_at=LATER)
        _old_key(connection, "credential", "00000002", "retired", NOW, retired_from=LATER)
        _old_key(connection, "status", "00000003", "compromised", NOW, compromised_from=LATER)
        _old_key(connection, "event", "00000004", "next", LATER)
    migrate(engine)
    keys = {key.kid: key for key in SqlRegister(engine).list_keys(["credential", "status", "event"])}
    assert {kid: (key.state, key.published_at, key.compromised_at) for kid, key in keys.items()} == {
        "00000001": ("active", NOW, None),
        "00000002": ("retired", NOW, None),
        "00000003": ("compromised", NOW, LATER),
        "00000004": ("next", LATER, None),
    }
    retired_at = keys["00000002"].retired_at
    assert retired_at is not None
    assert before <= retired_at <= datetime.now(UTC)  # nobody wrote it down: it counts from the upgrade
    assert [keys[kid].retired_at for kid in ("00000001", "00000003", "00000004")] == [None] * 3
    assert keys["00000001"].activated_at == LATER
    with refused(Conflict, "next_key_exists"):
        SqlRegister(engine).add_key(key_row("00000005", "generated", "event"))
    engine.dispose()


@pytest.mark.parametrize("kind", KINDS)
def test_the_changes_of_an_older_register_keep_their_order_and_belong_to_our_desks(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    engine = _at("0005", kind, request, tmp_path)
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO holder VALUES ('h', :blob, :blob)"), {"blob": b"x"})
        connection.execute(
            text(
                "INSERT INTO card (card_ref, region, number_mac, holder_ref, chip_profile, sealed_identity, status,"
                " sequence, issued_on, expires_on, created_at, updated_at, outbox_count)"
                " VALUES ('c', '350100', 'n', 'h', 'p', :blob, 2, 7, '2024-01-01', '2034-01-01', :at, :at, 1)"
            ),
            {"blob": b"x", "at": "2026-11-20 09:30:00.000000"},
        )
        connection.execute(
            text(
                "INSERT INTO card_event VALUES ('c', 7, 'e', 'report_loss', 1, 2, 6, :at, :at, '', NULL)",
            ),
            {"at": "2026-11-20 09:30:00.000000"},
        )
    migrate(engine)
    register = SqlRegister(engine)
    card = register.get_card("c")
    assert (card.sequence, card.holder_locked, card.consented, card.replacing) == (7, False, False, False)
    (before,) = register.events_of("c")
    assert (before.sequence, before.source, before.source_sequence, before.event_id) == (7, "", None, "e")
    first = register.apply_change(
        "c", CardChange.RELEASE, event_id="e", occurred_at=NOW, now=NOW, source="s", sequence=1
    )
    assert (first.applied, first.event.sequence, first.event.missed) == (True, 8, 0)
    engine.dispose()
