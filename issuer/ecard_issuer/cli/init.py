"""`ecard init`: make an authority without serving it."""

from __future__ import annotations

import argparse

from ecard_card.errors import InvalidInput
from ecard_issuer.cli.common import add_options, first_operator, opened, show


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `init`."""
    init = subparsers.add_parser(
        "init",
        help="make an authority: its folder, register, keys and first operator",
        description="Makes what the first start of `ecard serve` makes, and shows the first operator's token. Where "
        "an authority is already, nothing changes. The issuer's name is ECARD_PUBLIC_ORIGIN, for ever.",
    )
    init.add_argument(
        "--ask-passphrase",
        action="store_true",
        help="type the passphrase of the key files instead of having one made and kept in the data directory; whatever"
        " opens them later asks for it, or reads ECARD_KEY_PASSPHRASE_FILE",
    )
    add_options(init, _run)


def _run(args: argparse.Namespace) -> int:
    with opened(args, create=True, passphrase=_typed() if args.ask_passphrase else None) as issuer:
        first_operator(issuer)
        show(args, {"data_dir": str(issuer.settings.data_dir), "issuer": issuer.identity.issuer})
    return 0


def _typed() -> str:
    from ecard_keys.homes.passphrase import ask

    passphrase = ask(twice=True)
    if passphrase is None:
        raise InvalidInput("bad_usage", "--ask-passphrase needs a terminal")
    return passphrase.decode()
