"""`ecard reconcile`: the register against a snapshot of the physical card system, and its repair on approval."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path

from ecard_card.errors import InvalidInput
from ecard_issuer.cli.common import actor_of, add_options, opened, show, talk


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `reconcile`."""
    parser = subparsers.add_parser("reconcile", help="compare the register with a snapshot of the card system")
    parser.add_argument("file", metavar="FILE", type=Path, help="the snapshot; with --approved, its report")
    parser.add_argument("--as-of", metavar="TIME", help="when the snapshot was taken, RFC 3339; not with --approved")
    parser.add_argument("--region", metavar="CODE", default="000000", help="only cards of this region")
    parser.add_argument("--report", metavar="FILE", type=Path, help="where the differences go (FILE.differences.jsonl)")
    parser.add_argument("--encoding", metavar="NAME", help="utf-8 or gb18030, where the guess is wrong")
    parser.add_argument("--complete", action="store_true", help="the file is whole, if its last line has no end")
    parser.add_argument("--repair", action="store_true", help="ask another admin to agree to the repair of statuses")
    parser.add_argument("--approved", metavar="ID", help="repair what the report FILE says, under this approval")
    add_options(parser, _run)


def _run(args: argparse.Namespace) -> int:
    from ecard_issuer.cli.import_files import progress_on_terminal
    from ecard_issuer.intake.answers import reconciliation_answer

    with opened(args) as issuer:
        desk, now = issuer.intake.reconciliation, issuer.clock()
        if args.approved is not None:
            row = desk.repair(args.file, actor_of(args, issuer), now, approved=args.approved)
            show(args, reconciliation_answer(row), *(f"{what}: {count}" for what, count in row.repairs.items()))
            return 0 if set(row.repairs) <= {"repaired"} else 1
        if args.as_of is None:
            raise InvalidInput("bad_usage", "say with --as-of when the snapshot was taken: nothing newer is undone")
        report = args.report or args.file.with_name(args.file.name + ".differences.jsonl")
        row = desk.compare(
            args.file,
            report,
            issuer.settings.data_dir,
            now,
            as_of=_time(args.as_of),
            region=args.region,
            encoding=args.encoding,
            complete=args.complete,
            progress=progress_on_terminal(),
        )
        talk(f"Every difference stands in {report}")
        if args.repair and row.counts.get("status_differs"):
            row = desk.repair(report, actor_of(args, issuer), now)
        lines = [f"{kind:<20}{count:>14,}" for kind, count in row.counts.items()]
        show(args, reconciliation_answer(row), *lines, f"{'compared':<20}{row.compared:>14,}")
    return 1 if row.counts else 0


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput("bad_snapshot_time", "a time looks like 2026-01-31T12:00:00Z") from None
