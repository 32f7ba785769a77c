"""The register's schema, step by step, kept inside the package: no `alembic.ini`, no shell command.

`migrate` brings a database to the newest revision and may be called by every process at its start: on PostgreSQL an
advisory lock, on SQLite the write lock lets one do it while the others wait.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from ecard_card.errors import Unavailable
from ecard_issuer.register.engine import reading, writing

#: Any number that no other user of the same database takes for its advisory lock: "ecard" in ASCII.
_LOCK = 0x6563617264
#: A wait for SQLite's write lock is short, so that a request is not kept; on a slow machine the steps take longer.
_TRIES = 60
_PATIENCE_MS = 60_000


def migrate(engine: Engine) -> None:
    """Create or upgrade the register's tables, wholly or not at all. Raises `Unavailable` `register_unavailable`."""
    tries = _TRIES if engine.dialect.name == "sqlite" else 1
    for left in reversed(range(tries)):
        try:
            return _upgrade(engine)
        except Unavailable:
            if not left:
                raise


def _upgrade(engine: Engine) -> None:
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            _await_turn(connection)
        if not _is_newest(connection):
            command.upgrade(_config(connection), "head")


def _await_turn(connection: Connection) -> None:
    """As long as another process may need for all steps; each step then has the limits of every other statement."""
    limits = ("lock_timeout", "statement_timeout")
    for name in limits:
        connection.execute(text(f"SET LOCAL {name} = {_PATIENCE_MS}"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    for name in limits:
        connection.execute(text(f"SET LOCAL {name} TO DEFAULT"))


def is_current(engine: Engine) -> bool:
    """Whether the database has exactly the schema that this version of the package expects."""
    with reading(engine) as connection:
        return _is_newest(connection)


def _is_newest(connection: Connection) -> bool:
    return frozenset(MigrationContext.configure(connection).get_current_heads()) == _newest()


@cache
def _newest() -> frozenset[str]:
    """Read once: every step is a module of its own."""
    return frozenset(ScriptDirectory.from_config(_config()).get_heads())


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
