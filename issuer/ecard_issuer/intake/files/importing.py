"""Taking a whole file: batch by batch, each in one transaction with its checkpoint, in memory that does not grow.

A run that was killed goes on where its last batch ended; a file that breaks off is read to its last whole row and
goes on when the whole file comes; the same file again changes nothing. Known by the digest of the bytes that were
read, a file needs no name.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import BinaryIO, Final

from ecard_card.errors import EcardError
from ecard_issuer.intake.files.layout import FileKind, layout_of
from ecard_issuer.intake.files.rows import Row, rows
from ecard_issuer.intake.ports import RunRow, Runs

BATCH: Final = 1000


@dataclass(slots=True)
class Verdict:
    """What became of one row: `code` of an outcome, and whether it is one that belongs into the dead letters."""

    code: str
    dead: bool = False
    detail: str = ""


#: Takes a batch and gives a verdict for each of its rows. It stores the checkpoint with the rows where it can, and
#: then says True.
TakeBatch = Callable[[Sequence[Row], Callable[[Sequence[Verdict]], RunRow]], tuple[list[Verdict], bool]]


@dataclass(slots=True)
class ImportReport:
    """`counts` by outcome, over all runs of this file; `resumed_at` the row after which this run began."""

    kind: str
    source: str
    rows: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    resumed_at: int = 0
    cut: bool = False
    seconds: float = 0.0

    def as_json(self) -> dict[str, object]:
        """For `--json`."""
        read = self.rows - self.resumed_at
        return {
            "kind": self.kind,
            "source": self.source,
            "rows": self.rows,
            "resumed_at": self.resumed_at,
            "counts": dict(sorted(self.counts.items())),
            "refused": self.refused,
            "cut": self.cut,
            "seconds": round(self.seconds, 3),
            "rows_per_second": round(read / self.seconds, 1) if self.seconds else None,
        }


class Prefix:
    """SHA-256 over the first bytes of a file, further and further, by a handle of its own."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._hash, self.offset = file, hashlib.sha256(), 0

    def digest(self, offset: int) -> str | None:
        """Of the first `offset` bytes, not less than the last time; None where the file is shorter."""
        self._file.seek(self.offset)
        while self.offset < offset:
            data = self._file.read(min(1 << 20, offset - self.offset))
            if not data:
                return None
            self._hash.update(data)
            self.offset += len(data)
        return self._hash.hexdigest()


def import_file(
    path: str | os.PathLike[str],
    kind: FileKind,
    source: str,
    take: TakeBatch,
    runs: Runs,
    clock: Callable[[], datetime],
    *,
    encoding: str | None = None,
    complete: bool = False,
    again: bool = False,
    dry_run: bool = False,
    dead: Callable[[Row, Verdict], None] = lambda row, verdict: None,
    progress: Callable[[int, int, int], None] = lambda row, offset, size: None,
    monotonic: Callable[[], float] = time.monotonic,
    batch: int = BATCH,
) -> ImportReport:
    """Read `path` and give its rows to `take`. `progress` hears rows, bytes done and bytes in all; `again` reads from
    the beginning whatever was read before; `dry_run` keeps no checkpoint.

    Raises `OSError` for a file that cannot be read; `InvalidInput` as `layout_of`; what `take` raises.
    """
    started = monotonic()
    with open(path, "rb") as file, open(path, "rb") as second:
        size = os.fstat(file.fileno()).st_size
        layout = layout_of(file, kind, encoding)
        known = None if again or dry_run else _resume(runs.runs_of(kind.value, source), Prefix(second), size)
        prefix = Prefix(second)
        now = clock()
        run = known or RunRow(secrets.token_hex(16), kind.value, source, 0, 0, "", {}, False, now, now)
        report = ImportReport(kind.value, source, run.rows, Counter(run.counts), resumed_at=run.rows)
        start = run.offset if known else layout.start
        reading = rows(file, layout, offset=start, number=run.rows, complete=complete)
        while read := list(islice(reading, batch)):
            report.cut = read[-1].cut
            whole = read[:-1] if report.cut else read
            if whole:
                digest = None if dry_run else prefix.digest(whole[-1].end)

                def checkpoint(
                    verdicts: Sequence[Verdict], last: Row = whole[-1], digest: str | None = digest
                ) -> RunRow:
                    counts = report.counts + Counter(verdict.code for verdict in verdicts)
                    done = last.end >= size
                    return RunRow(
                        run.run_id, run.kind, source, last.end, last.number, digest or "", counts, done,
                        run.started_at, clock(),
                    )  # fmt: skip

                verdicts, stored = take(whole, checkpoint)
                for row, verdict in zip(whole, verdicts, strict=True):
                    if verdict.dead:
                        report.refused += 1
                        dead(row, verdict)
                if not (stored or dry_run):
                    runs.save_run(checkpoint(verdicts))
                report.counts.update(verdict.code for verdict in verdicts)
                report.rows = whole[-1].number
                progress(report.rows, whole[-1].end, size)
    report.seconds = monotonic() - started
    return report


def _resume(known: Sequence[RunRow], prefix: Prefix, size: int) -> RunRow | None:
    """The run that read the longest part of what this file begins with."""
    best = None
    for run in sorted((run for run in known if run.offset <= size), key=lambda run: run.offset):
        if prefix.digest(run.offset) == run.prefix_digest:
            best = run
    return best


def verdict_of(error: EcardError) -> Verdict:
    """A row that is refused."""
    return Verdict(error.code, dead=True, detail=error.detail)
