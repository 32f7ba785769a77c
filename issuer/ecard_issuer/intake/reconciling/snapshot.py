"""A snapshot as it is compared: keyed references in a file of their own, sorted by SQLite, gone when it is closed.

Names and numbers are read, hashed under the register's key and forgotten; nothing of them reaches the disk.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, Self

from ecard_issuer.intake.files.meaning import CardRecord
from ecard_issuer.people import References

_BATCH: Final = 5000
_MAKE: Final = (
    "CREATE TABLE seen (card_ref BLOB, region TEXT, number_mac BLOB, holder_ref BLOB, status INTEGER,"
    " expires INTEGER, row INTEGER)"
)


@dataclass(frozen=True, slots=True)
class Seen:
    """A card as the snapshot has it, in row `row`."""

    card_ref: str
    region: str
    number_mac: str
    holder_ref: str
    status: int
    expires_on: date
    row: int


class Snapshot:
    """Filled by `add`, then read once in the order of references."""

    def __init__(self, folder: Path, references: References) -> None:
        """`folder` should have as much room as the snapshot itself, and be for this user only."""
        handle, name = tempfile.mkstemp(prefix="snapshot-", suffix=".sqlite3", dir=folder)  # mode 600
        os.close(handle)
        self._path, self._references = Path(name), references
        self._base = sqlite3.connect(name, isolation_level=None)
        for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -32768", "temp_store = FILE"):
            self._base.execute(f"PRAGMA {setting}")
        self._base.execute(_MAKE)
        self._base.execute("BEGIN")
        self._waiting: list[tuple[object, ...]] = []

    def add(self, record: CardRecord, row: int) -> None:
        """Keep what is compared of a card."""
        card, keyed = record.card, self._references
        code = card.chip.identification_code
        self._waiting.append(
            (
                bytes.fromhex(keyed.card(code)),
                code.region,
                bytes.fromhex(keyed.card_number(card.number)),
                bytes.fromhex(keyed.holder(card.holder.id_number)),
                int(record.status),
                card.expires_on.toordinal(),
                row,
            )
        )
        if len(self._waiting) >= _BATCH:
            self._write()

    def sorted(self) -> Iterator[Seen]:
        """All of it by reference, then by row."""
        self._write()
        for ref, region, number, holder, status, expires, row in self._base.execute(
            "SELECT * FROM seen ORDER BY card_ref, row"
        ):
            yield Seen(ref.hex(), region, number.hex(), holder.hex(), status, date.fromordinal(expires), row)

    def _write(self) -> None:
        self._base.executemany("INSERT INTO seen VALUES (?, ?, ?, ?, ?, ?, ?)", self._waiting)
        self._waiting.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._base.close()
        self._path.unlink(missing_ok=True)
