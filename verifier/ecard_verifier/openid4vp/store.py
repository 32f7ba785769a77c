"""Requests to wallets and what became of them: one SQLite file that says nothing without the ids in people's hands.

The wallet's side knows a request by its `reference`, the service that asked by its `presentation_id`; the file has a
hash of each. What was asked lies sealed under the reference, the verdict under the presentation id.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ecard_card.errors import Unavailable
from ecard_keys.homes.file_secrets import expand

CAPACITY: Final = 100_000
_PRUNE_EVERY: Final = 30  # seconds

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS requests (
    reference BLOB PRIMARY KEY, presentation BLOB NOT NULL UNIQUE, caller TEXT NOT NULL, asked BLOB NOT NULL,
    state TEXT NOT NULL, expires_at INTEGER NOT NULL, kept_until INTEGER NOT NULL,
    verdict BLOB, code BLOB, wrong_codes INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS requests_kept ON requests (kept_until);
"""
WAITING, FETCHED, ANSWERED, DECIDED, DECLINED = "waiting", "fetched", "answered", "decided", "declined"


@dataclass(frozen=True, slots=True)
class Row:
    """A request. `code` is the hash of what its browser has to bring back, None where no browser comes back."""

    caller: str
    asked: bytes
    state: str
    expires_at: int
    verdict: bytes | None
    code: bytes | None
    wrong_codes: int
    kept_until: int


def hashed(secret: str) -> bytes:
    """What the file has in the place of an id or a code."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def sealing_key(secret: str, use: bytes) -> bytes:
    """The key that an id stands for (HKDF): 32 bytes."""
    return expand(secret.encode("utf-8", "replace"), b"ecard-presentation/" + use)


class PresentationStore:
    """Safe from several threads, and from several processes on one file. Times are NumericDates.

    Every verb may raise `Unavailable` `presentations_unavailable`.
    """

    def __init__(self, path: str | Path = ":memory:", *, capacity: int = CAPACITY) -> None:
        self._lock = threading.Lock()
        self._capacity = capacity
        self._pruned_at = 0
        with _wrapped():
            self._db = sqlite3.connect(str(path), check_same_thread=False, isolation_level=None, timeout=5)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("PRAGMA secure_delete = ON")
            self._db.executescript(_SCHEMA)

    def add(
        self,
        reference: str,
        presentation_id: str,
        caller: str,
        asked: bytes,
        code: str | None,
        expires_at: int,
        now: int,
    ) -> None:
        """A new request, waiting to be fetched. Raises `Unavailable` `presentations_full`."""
        with self._lock, _wrapped():
            self._prune(now)
            row = (hashed(reference), hashed(presentation_id), caller, asked, WAITING, expires_at, expires_at)
            self._db.execute(
                "INSERT INTO requests (reference, presentation, caller, asked, state, expires_at, kept_until, code)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, None if code is None else hashed(code)),
            )

    def find(self, reference: str) -> Row | None:
        """By what the wallet knows."""
        return self._one("reference", reference)

    def find_presentation(self, presentation_id: str) -> Row | None:
        """By what the service knows."""
        return self._one("presentation", presentation_id)

    def move(self, reference: str, before: str, after: str) -> bool:
        """Whether the state was `before` and is now `after`: of any number at once, one is told yes."""
        with self._lock, _wrapped():
            moved = self._db.execute(
                "UPDATE requests SET state = ? WHERE reference = ? AND state = ?", (after, hashed(reference), before)
            )
            return moved.rowcount == 1

    def decide(self, reference: str, state: str, verdict: bytes | None, kept_until: int) -> None:
        """What came of it; what was asked is deleted, with the key that opened the answer."""
        with self._lock, _wrapped():
            self._db.execute(
                "UPDATE requests SET state = ?, verdict = ?, kept_until = ?, asked = x'' WHERE reference = ?",
                (state, verdict, kept_until, hashed(reference)),
            )

    def try_code(self, presentation_id: str, code: str, most: int) -> bool:
        """Whether this is the code that the browser had to bring; right once, and dead after `most` wrong ones."""
        with self._lock, _wrapped():
            found = self._db.execute(
                "UPDATE requests SET code = NULL WHERE presentation = ? AND code = ? AND wrong_codes < ?",
                (hashed(presentation_id), hashed(code), most),
            )
            if found.rowcount == 1:
                return True
            self._db.execute(
                "UPDATE requests SET wrong_codes = wrong_codes + 1 WHERE presentation = ?", (hashed(presentation_id),)
            )
            return False

    def close(self) -> None:
        """Give the file back. Nothing may be asked afterwards."""
        with self._lock, _wrapped():
            self._db.close()

    def _one(self, column: str, secret: str) -> Row | None:
        with self._lock, _wrapped():
            row = self._db.execute(
                "SELECT caller, asked, state, expires_at, verdict, code, wrong_codes, kept_until FROM requests"  # noqa: S608 - ours
                f" WHERE {column} = ?",
                (hashed(secret),),
            ).fetchone()
        return None if row is None else Row(*row)

    def _prune(self, now: int) -> None:
        if abs(now - self._pruned_at) < _PRUNE_EVERY:
            return
        self._pruned_at = now
        self._db.execute("DELETE FROM requests WHERE kept_until < ?", (now,))
        if self._db.execute("SELECT COUNT(*) FROM requests").fetchone()[0] >= self._capacity:
            self._pruned_at = 0
            raise Unavailable("presentations_full", "more requests are open than fit")


@contextmanager
def _wrapped() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OverflowError):
        raise Unavailable("presentations_unavailable", "the file of requests cannot be read or written") from None
