"""`ecard init`: make an authority without serving it."""

from __future__ import annotations

import argparse

from ecard_issuer.cli.common import add_options, first_operator, opened, show


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `init`."""
    init = subparsers.add_parser(
        "init",
        help="make an authority: its folder, register, keys and first operator",
        description="Makes what the first start of `ecard serve` makes, and shows the first operator's token. Where "
        "an authority is already, nothing changes. The issuer's name is ECARD_PUBLIC_ORIGIN, for ever.",
    )
    add_options(init, _run)


def _run(args: argparse.Namespace) -> int:
    with opened(args, create=True) as issuer:
        first_operator(issuer)
        show(args, {"data_dir": str(issuer.settings.data_dir), "issuer": issuer.identity.issuer})
    return 0
