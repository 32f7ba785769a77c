"""`ecard family`: whose e-cards a person may show, and who may show theirs."""

from __future__ import annotations

import argparse

from ecard_issuer.cli.common import actor_of, add_options, opened, read_body, show


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `family` with its one command."""
    family = subparsers.add_parser("family", help="family e-cards: who may show whose")
    commands = family.add_subparsers(title="commands", metavar="COMMAND", required=True)

    listing = commands.add_parser("list", help="a person's links (a document as POST /v1/family/find takes it)")
    listing.add_argument("file", metavar="FILE", help="the document; - reads standard input")
    add_options(listing, _list)


def _list(args: argparse.Namespace) -> int:
    from ecard_card.card import IdNumber
    from ecard_issuer.holder_answers import link_answer
    from ecard_issuer.web.holder_models import FindFamily

    body = read_body(args.file, FindFamily)
    with opened(args) as issuer:
        actor, references = actor_of(args, issuer), issuer.people.references
        states = issuer.holders.family.of(IdNumber(body.id_number), issuer.clock())
        links = [link_answer(state, references, actor) for state in states]
        lines = (f"{one['link_id']}  {one['side']}  {one['relation']}  {one['over'] or 'holds'}" for one in links)
        show(args, {"links": links}, *lines)
    return 0 if links else 5
