"""`ecard import`: files of cards and of changes into the register, of any size, from where the last run stopped."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ecard_card.errors import InvalidInput
from ecard_issuer.cli.common import add_options, opened, show, talk

if TYPE_CHECKING:
    from ecard_issuer.intake.files.importing import ImportReport, Verdict
    from ecard_issuer.intake.files.rows import Row

#: Beyond this, dead letters say how many there are and no more: the file is not what it should be.
MAX_DEAD: Final = 1_000_000


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `import` with its two commands."""
    parser = subparsers.add_parser("import", help="take cards or changes from a CSV or JSON Lines file")
    commands = parser.add_subparsers(title="commands", metavar="KIND", required=True)
    for kind, what in (("cards", "register the cards of a file"), ("changes", "apply the changes of a file")):
        command = commands.add_parser(kind, help=what)
        command.add_argument("file", metavar="FILE", type=Path, help="CSV or JSON Lines, UTF-8 or GB18030")
        command.add_argument("--source", metavar="NAME", default="file", help="whose word it is: a registered source")
        command.add_argument("--dry-run", action="store_true", help="read and judge, store nothing")
        command.add_argument(
            "--dead-letters", metavar="FILE", type=Path, help="add a line for each refused row to FILE"
        )
        command.add_argument("--encoding", metavar="NAME", help="utf-8 or gb18030, where the guess is wrong")
        command.add_argument(
            "--complete", action="store_true", help="the file is whole, even if its last line has no end"
        )
        command.add_argument("--again", action="store_true", help="from the first row, whatever was read before")
        if kind == "cards":
            command.add_argument("--profile", metavar="NAME", help="chip profile of rows that name none, e.g. ssse-3")
        add_options(command, _run)
        command.set_defaults(kind=kind, profile=None)


def _run(args: argparse.Namespace) -> int:
    from ecard_issuer.intake.files.importing import import_file
    from ecard_issuer.intake.files.layout import FileKind

    kind = FileKind(args.kind)
    letters = DeadLetters(args.dead_letters)
    bar = progress_on_terminal()
    with opened(args) as issuer:
        office = issuer.intake
        take = office.rows(kind, args.source, profile=args.profile, dry_run=args.dry_run)
        try:
            report = import_file(
                args.file,
                kind,
                args.source,
                take,
                office.store,
                issuer.clock,
                encoding=args.encoding,
                complete=args.complete,
                again=args.again,
                dry_run=args.dry_run,
                dead=letters.put,
                progress=bar,
            )
        except OSError:
            raise InvalidInput("file_unreadable", "the file cannot be read") from None
        finally:
            letters.close()
        if kind is FileKind.CARDS and not args.dry_run:
            office.events.retry_unknown(issuer.clock())
    if report.cut:
        bar(report.rows, 1, 1)
        talk("The file ends inside of a row. What stood before is in; give the whole file and it goes on from here.")
    elif report.rows and report.resumed_at == report.rows:
        talk("This file was read to its end before: nothing was done. --again reads it once more.")
    if report.refused and args.dead_letters is None:
        talk(f"{report.refused} rows were refused; --dead-letters FILE names them.")
    show(args, report.as_json(), *table(report))
    return 1 if report.cut or report.refused else 0


def table(report: ImportReport) -> list[str]:
    """The report for a person: a line for each outcome."""
    lines = [f"{code:<28}{count:>14,}" for code, count in sorted(report.counts.items())]
    rate = (report.rows - report.resumed_at) / report.seconds if report.seconds else 0.0
    return [*lines, f"{'rows':<28}{report.rows:>14,}", f"{'rows per second':<28}{rate:>14,.0f}"]


class DeadLetters:
    """A line of JSON for each row that was refused: its number and place in the file, and why. Never the row itself,
    which holds people's data: whoever may have it has the file. Mode 600; a run that goes on writes on."""

    def __init__(self, path: Path | None) -> None:
        self._file = None
        self._left = MAX_DEAD
        if path is not None:
            try:
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
                os.fchmod(handle, 0o600)
            except OSError:
                raise InvalidInput("file_unreadable", "the file of dead letters cannot be written") from None
            self._file = os.fdopen(handle, "w", encoding="utf-8")

    def put(self, row: Row, verdict: Verdict) -> None:
        """Write one down."""
        if self._file is None or self._left == 0:
            return
        self._left -= 1
        letter = {
            "row": row.number,
            "offset": row.offset,
            "length": row.length,
            "code": verdict.code,
            "detail": verdict.detail,
        }
        self._file.write(json.dumps(letter, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def progress_on_terminal() -> Callable[[int, int, int], None]:
    """Hears rows, bytes done and bytes in all; shows how far, how fast and how long still."""
    from ecard_issuer.cli.progress import Bar

    bar, started, first = Bar(), time.monotonic(), -1

    def show_it(row: int, offset: int, size: int) -> None:
        nonlocal first
        if first < 0:
            first = row
        taken = time.monotonic() - started
        rate = max(row - first, 0) / taken if taken else 0.0
        total = max(row, row * size // max(offset, 1))
        bar.show(row, total, rate, (total - row) / rate if rate else None)
        if offset >= size:
            bar.end()

    return show_it
