"""`counters.sqlite3`: the file under the stores of this room, shared by several threads and several processes."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from ecard_card.errors import Conflict, Unavailable

FILE_NAME: Final = "counters.sqlite3"
_VERSION: Final = 1
_WAIT: Final = 5  # seconds for another process

_SCHEMA: Final = """
CREATE TABLE groups (
    group_id TEXT PRIMARY KEY, name TEXT NOT NULL, level TEXT NOT NULL, purposes TEXT NOT NULL,
    daily_limit INTEGER NOT NULL, created_at REAL NOT NULL, revoked_at REAL
) WITHOUT ROWID;
CREATE TABLE branches (
    branch_id TEXT PRIMARY KEY, group_id TEXT NOT NULL REFERENCES groups, name TEXT NOT NULL,
    created_at REAL NOT NULL, revoked_at REAL
) WITHOUT ROWID;
CREATE INDEX branches_group ON branches (group_id, branch_id);
CREATE TABLE counters (
    counter_id TEXT PRIMARY KEY, branch_id TEXT NOT NULL REFERENCES branches, group_id TEXT NOT NULL,
    name TEXT NOT NULL, audience TEXT NOT NULL UNIQUE, staff_needed INTEGER NOT NULL, devices INTEGER NOT NULL,
    daily_limit INTEGER NOT NULL, created_at REAL NOT NULL, revoked_at REAL
) WITHOUT ROWID;
CREATE INDEX counters_group ON counters (group_id, counter_id);
CREATE TABLE staff (
    staff_id TEXT PRIMARY KEY, branch_id TEXT NOT NULL REFERENCES branches, group_id TEXT NOT NULL,
    alias TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0, created_at REAL NOT NULL, revoked_at REAL,
    pin_hash TEXT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX staff_alias ON staff (branch_id, alias) WHERE revoked_at IS NULL;
CREATE INDEX staff_group ON staff (group_id, staff_id);
CREATE TABLE tokens (
    digest TEXT PRIMARY KEY, group_id TEXT NOT NULL REFERENCES groups, name TEXT NOT NULL, role TEXT NOT NULL,
    created_at REAL NOT NULL, UNIQUE (group_id, name)
) WITHOUT ROWID;
CREATE TABLE admissions (
    digest TEXT PRIMARY KEY, counter_id TEXT NOT NULL REFERENCES counters, until REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE devices (
    device_id TEXT PRIMARY KEY, token TEXT NOT NULL UNIQUE, counter_id TEXT NOT NULL REFERENCES counters,
    opened_at REAL NOT NULL, used_at REAL NOT NULL, until REAL NOT NULL, staff_id TEXT
) WITHOUT ROWID;
CREATE INDEX devices_counter ON devices (counter_id, opened_at);
CREATE TABLE guesses (asker TEXT NOT NULL, at REAL NOT NULL);
CREATE INDEX guesses_asker ON guesses (asker, at);
CREATE INDEX guesses_at ON guesses (at);
CREATE TABLE scans (digest TEXT PRIMARY KEY, began REAL NOT NULL, sealed BLOB) WITHOUT ROWID;
CREATE INDEX scans_began ON scans (began);
CREATE TABLE results (digest TEXT PRIMARY KEY, sealed BLOB NOT NULL, until REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX results_until ON results (until);
CREATE TABLE challenges (
    challenge_id TEXT PRIMARY KEY, counter_id TEXT NOT NULL, text TEXT NOT NULL, until REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX challenges_until ON challenges (until);
CREATE TABLE showings (
    digest TEXT PRIMARY KEY, at REAL NOT NULL, counter_id TEXT NOT NULL, scan TEXT NOT NULL, used TEXT
) WITHOUT ROWID;
CREATE INDEX showings_at ON showings (at);
CREATE TABLE shifts (
    reference TEXT PRIMARY KEY, group_id TEXT NOT NULL, branch_id TEXT NOT NULL, counter_id TEXT NOT NULL,
    at REAL NOT NULL, purpose TEXT NOT NULL, business_type TEXT NOT NULL, way TEXT NOT NULL, source TEXT NOT NULL,
    outcome TEXT NOT NULL, reason TEXT NOT NULL, staff TEXT NOT NULL, test_card INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX shifts_counter ON shifts (counter_id, at);
CREATE INDEX shifts_at ON shifts (at);
CREATE TABLE spent (who TEXT NOT NULL, day TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (who, day)) WITHOUT ROWID;
CREATE TABLE alarms (
    alarm_id TEXT PRIMARY KEY, kind TEXT NOT NULL, incident TEXT NOT NULL, group_id TEXT, counter_id TEXT,
    first_at REAL NOT NULL, last_at REAL NOT NULL, count INTEGER NOT NULL, acknowledged_by TEXT, acknowledged_at REAL
) WITHOUT ROWID;
CREATE INDEX alarms_last ON alarms (last_at);
CREATE UNIQUE INDEX alarms_incident ON alarms (kind, incident, ifnull(counter_id, ''));
"""


class Do(Protocol):
    """Executes a statement within a transaction."""

    def __call__(self, statement: str, values: Sequence[object] = (), /) -> sqlite3.Cursor: ...


class Database:
    """One connection. `durable` makes each commit outlast a power cut; without it the last moments may be lost to
    one, and nothing to a killed process."""

    def __init__(self, path: str | Path, *, durable: bool) -> None:
        self._lock = threading.RLock()
        with _wrapped():
            self._db = sqlite3.connect(str(path), check_same_thread=False, isolation_level=None, timeout=_WAIT)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._db.execute("PRAGMA foreign_keys = ON")
        self._make()

    def _make(self) -> None:
        with self.changing() as do:
            (version,) = do("PRAGMA user_version").fetchone()
            if version == _VERSION:
                return
            if version != 0:
                raise Unavailable("counters_damaged", "the file of counters is of another version")
            for statement in _SCHEMA.split(";"):
                if statement.strip():
                    do(statement)
            do(f"PRAGMA user_version = {_VERSION}")

    @contextmanager
    def changing(self) -> Iterator[Do]:
        """A transaction that alone writes from its beginning: committed at the end of the block, or nothing of it.

        Raises `Unavailable` `counters_unavailable`; `Conflict` `already_there` where a unique value is taken.
        """
        with self._lock, _wrapped():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db.execute
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def alone(self, statement: str, values: Sequence[object] = ()) -> int:
        """One statement as a transaction of its own; how many rows it changed. Raises as `changing`."""
        with self._lock, _wrapped():
            return self._db.execute(statement, values).rowcount

    def all(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        """Every row."""
        with self._lock, _wrapped():
            return self._db.execute(statement, values).fetchall()

    def one(self, statement: str, values: Sequence[object] = ()) -> Any:
        """The first row, None where there is none."""
        with self._lock, _wrapped():
            return self._db.execute(statement, values).fetchone()

    def close(self) -> None:
        """Give the file back. Nothing may be asked afterwards."""
        with self._lock, _wrapped():
            self._db.close()


def moment(seconds: float) -> datetime:
    """A time as it was stored."""
    return datetime.fromtimestamp(seconds, UTC)


def maybe(seconds: float | None) -> datetime | None:
    """The same for what may not have happened."""
    return None if seconds is None else moment(seconds)


@contextmanager
def _wrapped() -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError:
        raise Conflict("already_there", "another one has this name") from None
    except (sqlite3.Error, OverflowError):
        raise Unavailable("counters_unavailable", "the file of counters cannot be read or written") from None
