"""`ecard key`: list the issuer's keys, make the next one, let it sign."""

from __future__ import annotations

import argparse

from ecard_issuer.cli.common import add_options, opened, show
from ecard_keys.key import KeyPurpose

#: As `ecard_issuer.keyring.PURPOSES`, which is not loaded for a help text.
_PURPOSES = ("credential", "status", "event")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `key` with its three commands."""
    key = subparsers.add_parser("key", help="list, make and promote signing keys")
    commands = key.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add_options(commands.add_parser("list", help="every key and its state"), _list)
    create = commands.add_parser("create", help="make and publish the next key of a purpose; it does not sign yet")
    create.add_argument("purpose", choices=_PURPOSES, help="what the key will sign")
    add_options(create, _create)
    promote = commands.add_parser("promote", help="let the next key sign; its predecessor then only verifies")
    promote.add_argument("kid", metavar="KID", help="the key id, as `ecard key list` prints it")
    add_options(promote, _promote)


def _list(args: argparse.Namespace) -> int:
    from ecard_issuer.answers import key_answer

    with opened(args) as issuer:
        keys = [key_answer(record) for record in issuer.keys.records()]
        lines = (f"{key['kid']}  {key['purpose']:<10}  {key['state']:<11}  since {key['not_before']}" for key in keys)
        show(args, {"keys": keys}, *lines)
    return 0


def _create(args: argparse.Namespace) -> int:
    from ecard_issuer.answers import key_answer

    with opened(args) as issuer:
        show(args, key_answer(issuer.keys.create_next(KeyPurpose(args.purpose), issuer.clock())))
    return 0


def _promote(args: argparse.Namespace) -> int:
    from ecard_issuer.answers import key_answer

    with opened(args) as issuer:
        show(args, key_answer(issuer.keys.promote(args.kid, issuer.clock())))
    return 0
