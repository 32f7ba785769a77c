"""The replay guard: the same code is accepted once, and who shows it again hears where it was first seen."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ecard_card.errors import InvalidInput, Unavailable

#: Seconds that an entry outlives its code, for clocks that are set back a little.
MARGIN: Final = 600
_PRUNE_EVERY: Final = 30  # seconds
_MAX_WHERE: Final = 200

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS seen (
    key BLOB PRIMARY KEY, at REAL NOT NULL, place TEXT NOT NULL, until REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS seen_until ON seen (until);
CREATE TABLE IF NOT EXISTS forgotten (one INTEGER PRIMARY KEY CHECK (one = 1), until REAL NOT NULL);
"""
#: Takes the key, unless somebody has it, or the codes of its time are forgotten.
_CLAIM: Final = (
    "INSERT INTO seen SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (SELECT 1 FROM forgotten WHERE until > ?4)"
    " ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class FirstSeen:
    """When (aware UTC) and at which counter a code was accepted first."""

    at: datetime
    where: str


class ReplayGuard:
    """Remembers codes until they have expired. Safe from several threads, and from several processes on one file.

    One statement with the key as primary key decides, so of any number of simultaneous claims one wins. A killed
    process forgets nothing. After a power cut SQLite may lack the last moments; codes live a minute.
    """

    def __init__(self, path: str | Path = ":memory:", *, capacity: int = 2_000_000) -> None:
        self._lock = threading.Lock()
        self._capacity = capacity
        self._pruned_at = 0.0
        with _wrapped():
            self._db = sqlite3.connect(str(path), check_same_thread=False, isolation_level=None, timeout=5)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_SCHEMA)

    def claim(self, key: bytes, until: datetime, where: str, now: datetime) -> FirstSeen | None:
        """None if `key` was not seen before and is now taken until `until`; else who took it.

        `key` is a verdict's `replay_key`, `where` at most 200 characters that name a counter. Raises `Unavailable`
        `replay_guard_unavailable` (file, or full): then nobody may accept the code.
        """
        if len(where) > _MAX_WHERE or not where.isprintable():
            raise InvalidInput("bad_counter", "the name of a counter has at most 200 printable characters")
        with self._lock, _wrapped():
            self._prune(now.timestamp())
            taken = self._db.execute(_CLAIM, (key, now.timestamp(), where, until.timestamp()))
            if taken.rowcount == 1:
                return None
            if until.timestamp() < self._forgotten():
                raise Unavailable("replay_guard_unavailable", "codes of that time are forgotten; is the clock right?")
            row = self._db.execute("SELECT at, place FROM seen WHERE key = ?", (key,)).fetchone()
            if row is None:  # pruned in between by another process: too old in any case
                return FirstSeen(now, where)
            return FirstSeen(datetime.fromtimestamp(row[0], UTC), row[1])

    def _prune(self, seconds: float) -> None:
        if abs(seconds - self._pruned_at) < _PRUNE_EVERY:
            return
        self._pruned_at = seconds
        # The bound goes first: a claim that sees the entries gone sees it too.
        self._db.execute(
            "INSERT INTO forgotten VALUES (1, ?) ON CONFLICT DO UPDATE SET until = MAX(until, excluded.until)",
            (seconds - MARGIN,),
        )
        self._db.execute("DELETE FROM seen WHERE until < ?", (seconds - MARGIN,))
        if self._db.execute("SELECT COUNT(*) FROM seen").fetchone()[0] >= self._capacity:
            self._pruned_at = 0.0
            raise Unavailable("replay_guard_unavailable", "more codes are remembered than fit")

    def _forgotten(self) -> float:
        """Codes that ended before this time may have been pruned."""
        row = self._db.execute("SELECT until FROM forgotten").fetchone()
        return float(row[0]) if row else 0.0

    def count(self) -> int:
        """How many codes are remembered."""
        with self._lock, _wrapped():
            return int(self._db.execute("SELECT COUNT(*) FROM seen").fetchone()[0])

    def close(self) -> None:
        """Give the file back. Nothing may be asked afterwards."""
        with self._lock, _wrapped():
            self._db.close()


@contextmanager
def _wrapped() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OverflowError):
        raise Unavailable("replay_guard_unavailable", "the replay guard's file cannot be read or written") from None
