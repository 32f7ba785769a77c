"""`ecard application`: the work list, and decisions about applications for cards, directly on the register."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ecard_issuer.cli.common import actor_of, add_options, opened, show, talk

if TYPE_CHECKING:
    from ecard_issuer.applying.values import ApplicationRow
    from ecard_issuer.assembly import Issuer

_STATES = ("submitted", "reviewing", "refused", "approved", "in_production", "ready", "collected", "withdrawn")
_REASONS = {
    "photo": "application_photo_unfit",
    "unreadable": "application_document_unreadable",
    "expired": "application_document_expired",
    "data": "application_data_differs",
    "eligibility": "application_not_eligible",
    "consent": "application_consent_missing",
    "other": "application_refused_otherwise",
}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `application` with its five commands."""
    application = subparsers.add_parser(
        "application",
        help="the work list of applications for cards, and decisions about them",
        description="Who decides is told by the operator token in ECARD_TOKEN or the file ECARD_TOKEN_FILE.",
    )
    commands = application.add_subparsers(title="commands", metavar="COMMAND", required=True)
    work = commands.add_parser("list", help="a page of the work list, oldest first, without names")
    work.add_argument("--state", choices=_STATES, default="submitted", metavar="STATE", help=", ".join(_STATES))
    work.add_argument("--region", default="000000", metavar="CODE", help="six digits; all below it too")
    work.add_argument("--after", metavar="CURSOR", help="as the page before printed it")
    work.add_argument("--limit", type=int, default=50, metavar="N", help="at most 200 (default %(default)s)")
    add_options(work, _list)

    look = commands.add_parser("show", help="how far an application is")
    _named(look)
    look.add_argument("--names", action="store_true", help="with its person; that you looked is kept with it")
    add_options(look, _show)

    review = commands.add_parser("review", help="take it from the work list")
    _named(review)
    add_options(review, _review)
    approve = commands.add_parser("approve", help="approve it, once photo and copies are there")
    _named(approve)
    add_options(approve, _approve)
    refuse = commands.add_parser("refuse", help="refuse it, with a reason that the person reads in their language")
    _named(refuse)
    refuse.add_argument("reason", choices=list(_REASONS), metavar="REASON", help=", ".join(_REASONS))
    refuse.add_argument("--note", default="", metavar="TEXT", help="for the person; sealed, up to 500 characters")
    add_options(refuse, _refuse)


def _named(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="as `ecard application list` prints it")


def _list(args: argparse.Namespace) -> int:
    from ecard_issuer.applying.answers import application_answer, cursor, place
    from ecard_issuer.applying.desk import MOST_WORK
    from ecard_issuer.applying.values import ApplicationState

    limit = max(1, min(args.limit, MOST_WORK))
    with opened(args) as issuer:
        rows = issuer.applications.desk.work(ApplicationState(args.state), args.region, place(args.after), limit)
        following = cursor(rows, limit)
        lines = [
            f"{row.application_id}  {row.region}  {row.kind.value}  {row.submitted_at:%Y-%m-%d %H:%M}" for row in rows
        ]
        if following is not None:
            talk(f"more: --after {following}")
        if not rows:
            talk("Nothing is in this state.")
        if rows or args.json:
            show(args, {"applications": [application_answer(row) for row in rows], "next": following}, *lines)
    return 0


def _show(args: argparse.Namespace) -> int:
    from ecard_issuer.applying.answers import opened_answer

    with opened(args) as issuer:
        desk = issuer.applications.desk
        if not args.names:
            return _told(args, issuer, desk.get(args.id))
        found = desk.open(args.id, actor_of(args, issuer), issuer.clock())
        said = found.details.to_json()
        lines = [f"{name}: {value}" for name, value in said.items() if isinstance(value, str)]
        show(args, opened_answer(found), *lines, f"missing: {', '.join(sorted(found.missing)) or 'nothing'}")
    return 0


def _review(args: argparse.Namespace) -> int:
    with opened(args) as issuer:
        row = issuer.applications.desk.review(args.id, actor_of(args, issuer), issuer.clock())
        return _told(args, issuer, row)


def _approve(args: argparse.Namespace) -> int:
    with opened(args) as issuer:
        row = issuer.applications.desk.approve(args.id, actor_of(args, issuer), issuer.clock())
        return _told(args, issuer, row)


def _refuse(args: argparse.Namespace) -> int:
    from ecard_issuer.applying.values import RefusalReason

    with opened(args) as issuer:
        reason, actor = RefusalReason(_REASONS[args.reason]), actor_of(args, issuer)
        row = issuer.applications.desk.refuse(args.id, reason, args.note, actor, issuer.clock())
        return _told(args, issuer, row)


def _told(args: argparse.Namespace, issuer: Issuer, row: ApplicationRow) -> int:
    from ecard_issuer.applying.answers import application_answer

    show(args, application_answer(row, issuer.applications.desk.steps_of(row)))
    return 0
