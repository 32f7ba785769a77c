"""The live mirror: the fold of one issuer's feed, in a file or in memory. Answers `check` without any network.

It can be thrown away and folded again at any time. A new one may begin with the issuer's snapshot of that fold, and
believes nothing of it until the feed has named it. It never says more than the feed has said: without a beat that it
has reached it knows no status, and every reading carries the time as of which it is known.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ecard_card import cwt
from ecard_card.errors import CheckFailed, InvalidInput, Unavailable
from ecard_card.status import EcardStatus
from ecard_keys.status_uri import belongs_to
from ecard_keys.trust.trust import DeniedKey
from ecard_verifier.feed import (
    FIRST,
    SKEW,
    STREAM,
    CredentialIssued,
    FeedBeat,
    FeedEvent,
    KeyCompromised,
    SnapshotMade,
    StatusChanged,
)
from ecard_verifier.mirror_file import SCHEMA, Awaited, sync_folder, wrapped
from ecard_verifier.statuses import StatusReading

#: Entries of one status list; an index at or beyond it is nobody's.
LIST_SIZE: Final = 1 << 20


class Mirror:
    """Implements `Statuses` and `CredentialSource`. Safe to use from several threads.

    `path` is an SQLite file or `:memory:`. `issuer` is the one whose feed is folded; without it, the issuer of the
    first event. Raises `Unavailable` `mirror_unavailable` when the file fails.
    """

    def __init__(self, path: str | Path = ":memory:", *, issuer: str | None = None, list_size: int = LIST_SIZE) -> None:
        self._lock = threading.RLock()
        self._list_size = list_size
        self._path, self._whose = str(path), issuer
        self._open()

    def _clear(self) -> None:
        """Know of nothing."""
        self._issuer, self._template, self._last = self._whose, "", FIRST
        self._position = self._as_of = 0
        self._beaten = self._live = False
        self._awaited: Awaited | None = None

    def _open(self) -> None:
        """Connect, and take over what the file says."""
        self._clear()
        with wrapped():
            self._db = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None, timeout=5)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(SCHEMA)
            row = self._db.execute("SELECT issuer, template, position, last, as_of, beaten FROM fold").fetchone()
            awaited = self._db.execute("SELECT digest, until FROM awaited").fetchone()
        self._awaited = None if awaited is None else Awaited(*awaited)
        if row is not None:
            if self._whose is not None and row[0] != self._whose:
                raise Unavailable("mirror_foreign", "this mirror file was folded from another issuer's feed")
            self._issuer, self._template, self._position, self._last, self._as_of = row[:5]
            self._beaten = bool(row[5])

    @property
    def issuer(self) -> str | None:
        """Whose feed this is; None before the first event of one that takes any."""
        return self._issuer

    @property
    def template(self) -> str:
        """The issuer's `status_uri`; empty before the first event."""
        return self._template

    @property
    def position(self) -> int:
        """`seq` of the last event folded in; 0 before the first."""
        return self._position

    @property
    def digest(self) -> str:
        """What the next event must call the last one folded in."""
        return self._last

    @property
    def empty(self) -> bool:
        """Whether it has heard nothing of its feed yet, not even a beat."""
        return self._position == 0 and not self._beaten

    @property
    def awaits(self) -> Awaited | None:
        """The snapshot with which it began, until the feed has named it. Until then no status is known."""
        return self._awaited

    @property
    def as_of(self) -> int | None:
        """NumericDate as of which all statuses are known, or None before the first beat."""
        return self._as_of if self._beaten else None

    @property
    def live(self) -> bool:
        """Whether the last thing heard on a standing connection was a beat that the mirror has reached."""
        return self._live

    def denied(self) -> tuple[DeniedKey, ...]:
        """The keys that the issuer has denied, each with the strictest word on it."""
        with self._lock, wrapped():
            rows = self._db.execute(
                "SELECT thumbprint, MIN(cut_off) FROM denied_key WHERE proven GROUP BY thumbprint"
            ).fetchall()
        return tuple(DeniedKey(bytes(thumbprint), cut_off or None) for thumbprint, cut_off in rows)

    def credentials(self) -> Iterator[bytes]:
        """All compact credentials in the order of their ids. One reader, while nothing is folded in."""
        with wrapped():
            for (data,) in self._db.execute("SELECT cwt FROM credential ORDER BY id"):
                yield bytes(data)

    def statuses(self) -> Iterator[tuple[int, int, int]]:
        """List number, index and value of all entries that were ever named, in this order. One reader, as above."""
        with wrapped():
            yield from self._db.execute("SELECT list, idx, value FROM status ORDER BY list, idx")

    def denials(self) -> Iterator[tuple[bytes, int]]:
        """Every word on every denied key: thumbprint, and cut-off or 0, in this order. One reader, as above."""
        with wrapped():
            for thumbprint, cut_off in self._db.execute("SELECT thumbprint, cut_off FROM denied_key ORDER BY 1, 2"):
                yield bytes(thumbprint), cut_off

    def adopt(self, path: Path) -> None:
        """Become the file at `path`, which another connection has written whole: it is renamed into this one's place.

        For an empty mirror in a file. Raises `Unavailable` `mirror_in_use`, and is as it was.
        """
        with self._lock:
            if not self.empty:
                raise Unavailable("mirror_in_use", "a mirror that has heard of its feed takes no snapshot")
            try:
                with wrapped():
                    self._db.close()
                # The last connection takes its log with it. One that is still there would be played into the new file.
                if os.path.exists(self._path + "-wal"):
                    raise Unavailable("mirror_in_use", "another verifier folds its feed into this file")
                os.replace(path, self._path)
                sync_folder(Path(self._path).parent)
            except OSError:
                raise Unavailable("mirror_unavailable", "the mirror's file cannot be replaced") from None
            finally:
                self._open()

    def forget(self) -> None:
        """Begin again with nothing: what it was told can no longer be believed."""
        with self._lock:
            with wrapped(), self._db:
                self._db.execute("BEGIN IMMEDIATE")
                for table in ("fold", "status", "credential", "denied_key", "awaited"):
                    self._db.execute(f"DROP TABLE {table}")
                for statement in SCHEMA.split(";"):
                    self._db.execute(statement)
            self._clear()

    def disconnected(self) -> None:
        """The feed is no longer heard: what the mirror does not know may exist all the same."""
        self._live = False

    def apply(self, event: FeedEvent) -> bool:
        """Fold in an event that `verify_event` has let through. False if it changed nothing because it is known.

        Raises `CheckFailed` and changes nothing: `issuer_mismatch`, `feed_gap` (an event is missing before this
        one), `feed_rolled_back` (the issuer's stream is shorter than, or other than, what was folded),
        `feed_snapshot_refuted` (the feed has not named the snapshot with which this mirror began, and ought to have).
        """
        with self._lock:
            if self._issuer not in (None, event.issuer) or event.stream != STREAM or not event.status_uri:
                raise CheckFailed("issuer_mismatch", "an event of another issuer or stream")
            if isinstance(event.body, FeedBeat):
                return self._beat(event, event.body.at)
            if event.seq == self._position and event.digest != self._last:
                raise CheckFailed("feed_rolled_back", "another event has the number of one that was folded in")
            if event.seq <= self._position:
                return False
            if event.seq != self._position + 1:
                raise CheckFailed("feed_gap", "an event is missing before this one")
            if event.previous != self._last:
                raise CheckFailed("feed_rolled_back", "the event follows another past than the one folded in")
            # Whoever has an old key can still write old dates: nothing new may be dated before what is known.
            if event.issued_at + SKEW < self._as_of:
                raise CheckFailed("feed_rolled_back", "an event dated before the time as of which all is known")
            # Only a beat says as of when all is known: an older change may still be on its way. After an event by a
            # key stolen since, nothing is known until a beat under a good key has named it as its past.
            self._live = self._live and event.proven
            self._save(event, event.seq, event.digest, self._as_of, self._beaten and event.proven)
            return True

    def _beat(self, event: FeedEvent, at: int) -> bool:
        if event.seq > self._position:
            self._live = False
            return False  # the events before it are still to come
        if event.seq < self._position:
            self._live = False
            if at > self._as_of + SKEW:
                raise CheckFailed("feed_rolled_back", "the issuer's stream is shorter than what was folded in")
            return False  # an old beat, heard again on the way to the last event
        if event.previous != self._last:
            self._live = False
            raise CheckFailed("feed_rolled_back", "the beat follows another past than the one folded in")
        if self._awaited is not None:
            self._live = False
            if at > self._awaited.until:
                raise CheckFailed("feed_snapshot_refuted", "the feed does not name the snapshot that this mirror took")
            return False  # an old beat, on the way to the event that names it
        if self._beaten and at <= self._as_of:
            self._live = at == self._as_of
            return False
        self._save(event, self._position, self._last, max(self._as_of, at), True)
        self._live = True
        return True

    def _save(self, event: FeedEvent, position: int, last: str, as_of: int, beaten: bool) -> None:
        """One transaction for the event and the place in the feed, then the same in memory."""
        awaited = self._awaited
        named = awaited is not None and isinstance(event.body, SnapshotMade) and event.body.digest == awaited.digest
        with wrapped(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            row = self._db.execute("SELECT position, last FROM fold").fetchone() or (0, FIRST)
            if row != (self._position, self._last):
                raise Unavailable("mirror_in_use", "another verifier folds its feed into this file")
            if isinstance(event.body, StatusChanged):
                # Invalid is final, in whatever order an issuer may ever say otherwise.
                self._db.execute(
                    "INSERT INTO status VALUES (?, ?, ?)"
                    " ON CONFLICT DO UPDATE SET value = excluded.value WHERE value <> ?",
                    (
                        _number(event.body.uri, event.status_uri),
                        event.body.index,
                        int(event.body.status),
                        int(EcardStatus.INVALID),
                    ),
                )
            elif isinstance(event.body, CredentialIssued):
                data = event.body.cwt
                self._db.execute(
                    "INSERT OR REPLACE INTO credential VALUES (?, ?)", (cwt.parse(data).credential_id, data)
                )
            elif isinstance(event.body, KeyCompromised):
                self._db.execute(
                    "INSERT INTO denied_key VALUES (?, ?, ?)"
                    " ON CONFLICT DO UPDATE SET proven = proven OR excluded.proven",
                    (event.body.thumbprint, event.body.cut_off or 0, event.proven),
                )
            elif isinstance(event.body, FeedBeat) and not self._beaten:
                self._db.execute("UPDATE denied_key SET proven = 1")
            elif named:
                self._db.execute("DELETE FROM awaited")
            self._db.execute(
                "INSERT OR REPLACE INTO fold VALUES (1, ?, ?, ?, ?, ?, ?)",
                (event.issuer, event.status_uri, position, last, as_of, beaten),
            )
        self._issuer, self._template, self._position = event.issuer, event.status_uri, position
        self._last, self._as_of, self._beaten = last, as_of, beaten
        if named:
            self._awaited = None

    def read(self, uri: str, index: int) -> StatusReading:
        """See `Statuses.read`. An entry of which the feed has said nothing is valid, once a beat was reached."""
        with self._lock:
            if not self._beaten:
                raise CheckFailed("status_unknown", "the mirror has not caught up with its feed yet")
            if not belongs_to(uri, self._template):
                raise CheckFailed("status_unknown", "the list is not one of the issuer's that this mirror follows")
            if not 0 <= index < self._list_size:
                raise InvalidInput("status_index_out_of_range", "no list has this index")
            with wrapped():
                row = self._db.execute(
                    "SELECT value FROM status WHERE list = ? AND idx = ?", (_number(uri, self._template), index)
                ).fetchone()
            return StatusReading(row[0] if row else int(EcardStatus.VALID), self._as_of, None)

    def get(self, credential_id: bytes, /) -> bytes | None:
        """See `CredentialSource.get`. Raises `CheckFailed` `mirror_behind` where it cannot know that there is none."""
        with self._lock:
            with wrapped():
                row = self._db.execute("SELECT cwt FROM credential WHERE id = ?", (credential_id,)).fetchone()
            if row is None and not self._live:
                raise CheckFailed("mirror_behind", "the credential may be newer than what this mirror has heard")
            return bytes(row[0]) if row else None

    def close(self) -> None:
        """Give the file back. Nothing may be asked afterwards."""
        with self._lock, wrapped():
            self._db.close()


def _number(uri: str, template: str) -> int:
    """Entries are kept by list number, so that a moved status host does not hide what is known."""
    head, _, tail = template.partition("{list}")
    return int(uri[len(head) : len(uri) - len(tail)])
