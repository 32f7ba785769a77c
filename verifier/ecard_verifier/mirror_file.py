"""What a mirror's file is: its tables, and how its faults are told."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ecard_card.errors import EcardError, Unavailable

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS fold (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    issuer TEXT NOT NULL, template TEXT NOT NULL, position INTEGER NOT NULL, last TEXT NOT NULL,
    as_of INTEGER NOT NULL, beaten INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS status (
    list INTEGER NOT NULL, idx INTEGER NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (list, idx)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS credential (id BLOB PRIMARY KEY, cwt BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS denied_key (
    thumbprint BLOB NOT NULL, cut_off INTEGER NOT NULL, proven INTEGER NOT NULL, PRIMARY KEY (thumbprint, cut_off)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS awaited (
    one INTEGER PRIMARY KEY CHECK (one = 1), digest TEXT NOT NULL, until INTEGER NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Awaited:
    """A snapshot that the feed has yet to name: the digest of its manifest, and the NumericDate from which on a beat
    without it means that the feed never will."""

    digest: str
    until: int


def sync_folder(folder: Path) -> None:
    """Have a renaming in `folder` on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def wrapped(duplicate: EcardError | None = None) -> Iterator[None]:
    """What SQLite raises, as `Unavailable` `mirror_unavailable`; `duplicate` where a key is there already."""
    try:
        yield
    except sqlite3.IntegrityError:
        raise duplicate or _unavailable() from None
    except sqlite3.Error:
        raise _unavailable() from None


def _unavailable() -> Unavailable:
    return Unavailable("mirror_unavailable", "the mirror's file cannot be read or written")
