"""`ecard wallet`: wallets that may send people to our page, and requests that wait for a person."""

from __future__ import annotations

import argparse

from ecard_issuer.cli.common import actor_of, add_options, opened, show, talk


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `wallet` with its six commands."""
    wallet = subparsers.add_parser(
        "wallet",
        help="register wallets, and review what they ask for",
        description="Any wallet may take up an offer with its code. To send people to our own page it is registered,"
        " with the addresses that it is sent back to. Say who you are by ECARD_TOKEN or ECARD_TOKEN_FILE.",
    )
    commands = wallet.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listing = commands.add_parser("list", help="every wallet, ended ones too")
    listing.add_argument("--after", default="", metavar="ID", help="the last id of the page before")
    add_options(listing, _list)
    add = commands.add_parser(
        "add", help="register a wallet, or change what is known of it", epilog="The same again changes nothing."
    )
    add.add_argument("id", metavar="ID", help="its client_id: 3 to 64 letters, digits and . _ -")
    add.add_argument("name", metavar="NAME", help="as people know it; stands on the page")
    add.add_argument("redirect", metavar="URI", nargs="+", help="https, an app's own scheme, or http on 127.0.0.1")
    add_options(add, _add)
    end = commands.add_parser("end", help="take no request of a wallet any more")
    end.add_argument("id", metavar="ID", help="as `ecard wallet list` prints it")
    add_options(end, _end)
    reviews = commands.add_parser("reviews", help="requests that wait for a person")
    reviews.add_argument("--after", default="", metavar="ID", help="the last id of the page before")
    add_options(reviews, _reviews)
    approve = commands.add_parser("approve", help="let a request be issued")
    approve.add_argument("id", metavar="ID", help="as `ecard wallet reviews` prints it")
    add_options(approve, _approve)
    refuse = commands.add_parser("refuse", help="issue nothing for a request")
    refuse.add_argument("id", metavar="ID", help="as `ecard wallet reviews` prints it")
    refuse.add_argument("--reason", default="", help="for the record; nothing about the person")
    add_options(refuse, _refuse)


_PAGE = 100


def _list(args: argparse.Namespace) -> int:
    from ecard_issuer.wallets.answers import wallets_answer

    with opened(args) as issuer:
        clients = issuer.wallets.clients.list(args.after, _PAGE)
    if not clients:
        talk("There is no wallet.")
    lines = (f"{one.client_id}  {'ended' if one.ended_at else 'live'}  {one.name}" for one in clients)
    if clients or args.json:
        show(args, wallets_answer(clients, _PAGE), *lines)
    return 0


def _add(args: argparse.Namespace) -> int:
    from ecard_issuer.wallets.answers import wallet_answer

    with opened(args) as issuer:
        clients = issuer.wallets.clients
        client = clients.add(args.id, args.name, args.redirect, actor_of(args, issuer), issuer.clock())
    show(args, wallet_answer(client), f"{client.client_id}  {client.name}", *client.redirect_uris)
    return 0


def _end(args: argparse.Namespace) -> int:
    from ecard_issuer.wallets.answers import wallet_answer

    with opened(args) as issuer:
        client = issuer.wallets.clients.end(args.id, actor_of(args, issuer), issuer.clock())
    show(args, wallet_answer(client), f"{client.client_id} ended by {client.ended_by}")
    return 0


def _reviews(args: argparse.Namespace) -> int:
    from ecard_issuer.wallets.answers import reviews_answer

    with opened(args) as issuer:
        queue = issuer.wallets.reviews
        found = [(batch, queue.card_of(batch)) for batch in queue.waiting(issuer.clock(), args.after, _PAGE)]
    if not found:
        talk("Nothing waits for a review.")
    lines = (
        f"{batch.batch_id}  {batch.created_at:%Y-%m-%d %H:%M}Z  {len(batch.keys)} keys  card {card_ref or '-'}"
        for batch, card_ref in found
    )
    if found or args.json:
        show(args, reviews_answer(found, _PAGE), *lines)
    return 0


def _approve(args: argparse.Namespace) -> int:
    from ecard_issuer.wallets.answers import review_answer

    with opened(args) as issuer:
        queue = issuer.wallets.reviews
        batch = queue.approve(args.id, actor_of(args, issuer), issuer.clock())
        show(args, review_answer(batch, queue.card_of(batch)), f"{batch.batch_id} approved by {batch.decided_by}")
    return 0


def _refuse(args: argparse.Namespace) -> int:
    from ecard_issuer.wallets.answers import review_answer

    with opened(args) as issuer:
        queue = issuer.wallets.reviews
        batch = queue.refuse(args.id, actor_of(args, issuer), args.reason, issuer.clock())
        show(args, review_answer(batch, queue.card_of(batch)), f"{batch.batch_id} refused by {batch.decided_by}")
    return 0
