"""A mirror's file written from a snapshot, chunk by chunk, beside the mirror that will become it.

How far it is stands in the file itself, so that whoever was killed goes on at the chunk that is missing.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ecard_card import cwt
from ecard_card.errors import InvalidInput, Unavailable
from ecard_card.feed_snapshot import Chunk, Kind, Manifest, read_credentials, read_denied, read_statuses
from ecard_verifier.mirror_file import SCHEMA, Awaited, sync_folder, wrapped

_TAKING: Final = (
    "CREATE TABLE IF NOT EXISTS taking (one INTEGER PRIMARY KEY CHECK (one = 1), manifest TEXT NOT NULL, next INTEGER)"
)
_INSERT: Final = {
    Kind.CREDENTIALS: "INSERT INTO credential VALUES (?, ?)",
    Kind.STATUSES: "INSERT INTO status VALUES (?, ?, ?)",
    # Not proven: a beat under a good key, chained onto the snapshot's last event, vouches for them.
    Kind.DENIED_KEYS: "INSERT INTO denied_key VALUES (?, ?, 0)",
}


class MirrorCopy:
    """The file at `path`, which is made if it is missing, and made anew if it cannot be read. For one thread.

    Raises `Unavailable` `mirror_unavailable` when the file fails.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._open()
        except Unavailable:
            self.discard()
            self._open()

    @property
    def manifest(self) -> str | None:
        """The manifest of which it is a part; None while it is of none."""
        with wrapped():
            row = self._db.execute("SELECT manifest FROM taking").fetchone()
        return None if row is None else str(row[0])

    @property
    def taken(self) -> int:
        """How many chunks of that manifest are in it: the first ones."""
        with wrapped():
            row = self._db.execute("SELECT next FROM taking").fetchone()
        return 0 if row is None else int(row[0])

    def begin(self, manifest: str) -> None:
        """Be of this manifest, with no chunk of it yet."""
        self.discard()
        self._open()
        with wrapped():
            self._db.execute("INSERT INTO taking VALUES (1, ?, 0)", (manifest,))

    def add(self, chunk: Chunk, data: bytes) -> None:
        """The next chunk, all of it or nothing. `data` was compared with what the manifest says of it.

        Raises `InvalidInput` `bad_feed_snapshot` for rows that no fold has.
        """
        try:
            with wrapped(duplicate=InvalidInput("bad_feed_snapshot", "two rows of one name")), self._db:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany(_INSERT[chunk.kind], _rows(chunk.kind, data))
                self._db.execute("UPDATE taking SET next = next + 1")
        except (ValueError, OverflowError):
            raise InvalidInput("bad_feed_snapshot", "a row that cannot be read") from None

    def complete(self, manifest: Manifest, awaited: Awaited) -> None:
        """A mirror's file from here on, whole and on the disk: at the snapshot's event, without a beat, and waiting for
        the event that names the manifest."""
        with wrapped(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(
                "INSERT INTO fold VALUES (1, ?, ?, ?, ?, ?, 0)",
                (manifest.issuer, manifest.status_uri, manifest.seq, manifest.digest, manifest.as_of),
            )
            self._db.execute("INSERT INTO awaited VALUES (1, ?, ?)", (awaited.digest, awaited.until))
            self._db.execute("DROP TABLE taking")
        self.close()
        try:
            with self.path.open("rb") as file:
                os.fsync(file.fileno())
            sync_folder(self.path.parent)
        except OSError:
            raise Unavailable("mirror_unavailable", "the mirror's file cannot be written") from None

    def close(self) -> None:
        """Give the file back, to go on with it another time."""
        with wrapped():
            self._db.close()

    def discard(self) -> None:
        """Give the file back and delete it."""
        self.close()
        discard(self.path)

    def _open(self) -> None:
        with wrapped():
            # A log of its own beside it would have to be renamed with it.
            self._db = sqlite3.connect(self.path, isolation_level=None, timeout=5, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = DELETE")
            self._db.executescript(SCHEMA)
            self._db.execute(_TAKING)


def discard(path: Path) -> None:
    """Delete the copy at `path`, where there is one. Raises `Unavailable` `mirror_unavailable`."""
    try:
        for name in (path, Path(f"{path}-journal")):
            name.unlink(missing_ok=True)
    except OSError:
        raise Unavailable("mirror_unavailable", "a part of a snapshot cannot be deleted") from None


def _rows(kind: Kind, data: bytes) -> Iterator[tuple[object, ...]]:
    match kind:
        case Kind.CREDENTIALS:
            return ((cwt.parse(one).credential_id, one) for one in read_credentials(data))
        case Kind.STATUSES:
            return iter(read_statuses(data))
        case Kind.DENIED_KEYS:
            return read_denied(data)
