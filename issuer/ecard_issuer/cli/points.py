"""`ecard points`: service points imported, exported and searched."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ecard_issuer.cli.common import add_options, opened, show, talk

_FORMATS = ("csv", "jsonl")
_EVERYWHERE = "000000"
_SERVICES = (
    "apply, collect, pin_change, pin_reset, loss, replace, cancel, ecard, bank_account, enquiry, self_service_device"
)


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `points` with its three commands."""
    points = subparsers.add_parser(
        "points",
        help="import, export and search service points",
        description="Outlets, bank branches, hospitals, pharmacies and kiosks where card business is done.",
    )
    commands = points.add_subparsers(title="commands", metavar="COMMAND", required=True)
    load = commands.add_parser(
        "import",
        help="replace all points of a region by those of a file",
        description="All rows or none: a wrong row is named, and nothing is changed. Columns as `ecard points export`"
        " writes them; services are separated by spaces, hours read `1-5 09:00-12:00 13:30-17:00; 6 09:00-12:00`.",
        epilog="Exit status: 0 replaced, or would be; 1 a row is wrong; 2 the file cannot be read.",
    )
    load.add_argument("file", metavar="FILE", help="CSV or JSON Lines; - reads standard input")
    load.add_argument("--scope", metavar="REGION", default=_EVERYWHERE, help="six digits (default: the whole country)")
    load.add_argument("--format", choices=_FORMATS, help="by default the ending of the file's name")
    load.add_argument(
        "--encoding", choices=("utf-8", "gb18030"), help="by default UTF-8 if the file can be read so, else GB18030"
    )
    load.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    add_options(load, _import)
    save = commands.add_parser("export", help="write all points of a region")
    save.add_argument("--scope", metavar="REGION", default=_EVERYWHERE, help="six digits (default: the whole country)")
    save.add_argument("--format", choices=_FORMATS, default="csv", help="default: %(default)s")
    save.add_argument("--encoding", choices=("utf-8", "gb18030"), default="utf-8", help="of CSV (default: %(default)s)")
    add_options(save, _export)
    find = commands.add_parser("search", help="find points, as /v1/service-points does")
    find.add_argument("text", nargs="?", metavar="TEXT", help="of name or address")
    find.add_argument("--region", metavar="REGION", help="six digits, with all below it")
    find.add_argument("--service", metavar="S", help=f"what shall be done there: {_SERVICES}")
    find.add_argument("--kind", metavar="K", help="outlet, bank_branch, hospital, pharmacy or kiosk")
    find.add_argument("--near", metavar="LAT,LON", help="degrees in WGS-84; the nearest first")
    find.add_argument("--radius", type=int, default=10_000, metavar="M", help="metres around it (default %(default)s)")
    find.add_argument("--open-now", action="store_true", help="only those open by their weekly hours")
    find.add_argument("--limit", type=int, default=20, metavar="N", help="1 to 100 (default %(default)s)")
    add_options(find, _search)


def _import(args: argparse.Namespace) -> int:
    from ecard_card import messages
    from ecard_card.errors import InvalidInput
    from ecard_issuer.cli.common import actor_of
    from ecard_issuer.service_points.files import MAX_BYTES, Format

    form = args.format or Path(args.file).suffix.lstrip(".").lower()
    if form not in _FORMATS:
        raise InvalidInput("bad_usage", "say --format csv or --format jsonl")
    try:
        if args.file == "-":
            content = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(args.file).open("rb") as file:
                content = file.read(MAX_BYTES + 1)
    except OSError:
        raise InvalidInput("bad_points_file", "the file cannot be read") from None
    with opened(args) as issuer:
        done = issuer.service_points.replace_by_file(
            content,
            Format(form),
            args.scope,
            actor_of(args, issuer),
            issuer.clock(),
            dry_run=args.dry_run,
            encoding=args.encoding,
        )
    for error in done.errors:
        talk(f"row {error.row}: {error.code}: {messages.text(error.code)} ({error.detail})")
    if done.wrong:
        talk(f"{done.wrong} of {done.rows} rows are wrong; nothing was changed.")
    outcome = done.done
    counts = () if outcome is None else (("added", outcome.added), ("changed", outcome.changed))
    more = () if outcome is None else (("removed", outcome.removed), ("unchanged", outcome.unchanged))
    show(args, done.to_json(), *(f"{name}: {count}" for name, count in (("rows", done.rows), *counts, *more)))
    return 1 if done.wrong else 0


def _export(args: argparse.Namespace) -> int:
    from ecard_issuer.service_points.files import Format

    with opened(args) as issuer:
        content = issuer.service_points.export(Format(args.format), args.scope, encoding=args.encoding)
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
    return 0


def _search(args: argparse.Namespace) -> int:
    from ecard_card.errors import InvalidInput
    from ecard_issuer.service_points.answers import page_answer
    from ecard_issuer.service_points.geography import Place
    from ecard_issuer.service_points.points import Offered, PointKind
    from ecard_issuer.service_points.store import Query

    try:
        near = None
        if args.near:
            latitude, longitude = map(float, args.near.split(","))
            near = Place(latitude, longitude)
        query = Query(
            region=args.region,
            service=Offered(args.service) if args.service else None,
            kind=PointKind(args.kind) if args.kind else None,
            text=args.text,
            near=near,
            radius=args.radius,
        )
    except (TypeError, ValueError):
        raise InvalidInput(
            "bad_usage",
            f"--near is two numbers of degrees: LAT,LON; --service is one of {_SERVICES}; --kind as the help says",
        ) from None
    with opened(args) as issuer:
        page = issuer.service_points.search(query, issuer.clock(), open_now=args.open_now, limit=args.limit)
    lines = []
    for hit in page.hits:
        away = "" if hit.metres is None else f"  {hit.metres} m"
        point = hit.point
        lines.append(f"{point.point_id}  {point.region}  {point.name_zh}  {point.address_zh}  {point.telephone}{away}")
    if not lines:
        talk("No service point fits.")
    if page.cursor is not None:
        talk("There are more.")
    if lines or args.json:
        show(args, page_answer(page), *lines)
    return 0
