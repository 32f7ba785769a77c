"""The shift list: what a counter did, without anybody's name, number or code."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Final

from ecard_verifier.counters.model import ShiftRow
from ecard_verifier.counters.ports import Ledger

#: How far back a counter's own list goes, and how many rows it has at most.
SHIFT: Final = timedelta(hours=24)
MOST_ROWS: Final = 5000
_CHINA: Final = timezone(timedelta(hours=8))
_HEAD: Final = ("time", "reference", "purpose", "business_type", "way", "source", "outcome", "reason", "staff", "test")
#: What a spreadsheet takes for a formula at the beginning of a cell.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def shift_of(ledger: Ledger, counter_id: str, now: datetime) -> Sequence[ShiftRow]:
    """The last 24 hours of a counter, newest first."""
    return ledger.rows(counter_id, now - SHIFT, MOST_ROWS)


def as_csv(rows: Iterable[ShiftRow]) -> str:
    """RFC 4180, times of China with their offset; no cell begins a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_HEAD)
    for row in rows:
        at = row.at.astimezone(_CHINA).isoformat(timespec="seconds")
        cells = (
            *(at, row.reference, row.purpose, row.business_type, row.way, row.source.value),
            *(row.outcome, row.reason, row.staff, "yes" if row.test_card else "no"),
        )
        writer.writerow([_harmless(cell) for cell in cells])
    return out.getvalue()


def _harmless(cell: str) -> str:
    return "'" + cell if cell.lstrip(" ").startswith(_FORMULA) else cell
