"""`ecard mandate`: who may act for whom, directly on the register."""

from __future__ import annotations

import argparse

from ecard_issuer.cli.common import actor_of, add_options, opened, read_body, show


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `mandate` with its three commands."""
    mandate = subparsers.add_parser(
        "mandate",
        help="record, show and end mandates to act for a holder",
        description="Who records or ends one is told by the operator token in ECARD_TOKEN or ECARD_TOKEN_FILE.",
    )
    commands = mandate.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add = commands.add_parser("add", help="record a mandate from a JSON document (as POST /v1/mandates takes it)")
    add.add_argument("file", metavar="FILE", help="the document; - reads standard input")
    add_options(add, _add)
    look = commands.add_parser("show", help="a mandate, without names")
    look.add_argument("id", metavar="ID", help="as `ecard mandate add` prints it")
    add_options(look, _show)
    revoke = commands.add_parser("revoke", help="end a mandate, or withdraw a consent, now and for good")
    revoke.add_argument("id", metavar="ID", help="as `ecard mandate add` prints it")
    add_options(revoke, _revoke)


def _add(args: argparse.Namespace) -> int:
    from ecard_issuer.mandates.answers import mandate_answer
    from ecard_issuer.web.mandates_models import NewMandateBody

    body = read_body(args.file, NewMandateBody)
    with opened(args) as issuer:
        now, actor = issuer.clock(), actor_of(args, issuer)
        row = issuer.acting.grant(body.request_id, body.to_mandate(), actor, now)
        show(args, mandate_answer(row, now))
    return 0


def _show(args: argparse.Namespace) -> int:
    from ecard_issuer.mandates.answers import mandate_answer

    with opened(args) as issuer:
        show(args, mandate_answer(issuer.acting.get(args.id), issuer.clock()))
    return 0


def _revoke(args: argparse.Namespace) -> int:
    from ecard_issuer.mandates.answers import mandate_answer

    with opened(args) as issuer:
        now, actor = issuer.clock(), actor_of(args, issuer)
        show(args, mandate_answer(issuer.acting.revoke(args.id, actor, now), now))
    return 0
