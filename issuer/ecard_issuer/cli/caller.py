"""`ecard caller`: who may ask a verifier that runs by itself. Beside an issuer that is `ecard operator`."""

from __future__ import annotations

import argparse
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ecard_card.errors import NotFound
from ecard_card.jose import b64url_encode
from ecard_issuer.cli.common import add_options, show, talk
from ecard_issuer.operators import TOKEN_PREFIX
from ecard_verifier.callers import Role

if TYPE_CHECKING:
    from ecard_verifier.web.auth import CallerFile


_SETTING = "ECARD_VERIFIER_DATA"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `caller` with its three commands."""
    caller = subparsers.add_parser(
        "caller",
        help="make, list and revoke callers of a verifier by itself",
        description="Changes the verifier's file of callers; a running `ecard serve verifier` hears of it at once.",
    )
    commands = caller.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add = commands.add_parser("add", help="a new caller; the token is shown this once")
    add.add_argument("name", metavar="NAME", help="who it is; a second token under one name is allowed")
    add.add_argument(
        "--role",
        choices=[Role.COUNTER.value, Role.OPERATOR.value],
        default=Role.COUNTER.value,
        help="counter has codes verified, operator may do everything (default %(default)s)",
    )
    revoke = commands.add_parser("revoke", help="take out every token of a name")
    revoke.add_argument("name", metavar="NAME", help="as `ecard caller list` prints it")
    add_options(add, _add, _SETTING)
    add_options(commands.add_parser("list", help="every caller, without tokens"), _list, _SETTING)
    add_options(revoke, _revoke, _SETTING)


def new_token() -> str:
    """A token of 256 random bits."""
    return TOKEN_PREFIX + b64url_encode(secrets.token_bytes(32))


def _add(args: argparse.Namespace) -> int:
    from ecard_verifier.callers import Caller

    token = new_token()
    with _callers(args) as callers:
        callers.add(Caller(args.name, args.role), token)
    show(args, {"name": args.name, "role": args.role, "token": token}, token)
    talk("The token is stored as a hash only and cannot be shown again.")
    return 0


def _list(args: argparse.Namespace) -> int:
    with _callers(args) as callers:
        known = callers.callers()
    rows = [{"name": caller.name, "role": caller.role} for caller in known]
    show(args, {"callers": rows}, *(f"{row['name']}  {row['role']}" for row in rows))
    return 0


def _revoke(args: argparse.Namespace) -> int:
    with _callers(args) as callers:
        show(args, {"name": args.name, "revoked": callers.revoke(args.name)})
    return 0


@contextmanager
def _callers(args: argparse.Namespace) -> Iterator[CallerFile]:
    """The verifier's file of callers, for one command at a time. Raises `NotFound` `no_verifier`."""
    from ecard_issuer.config import NAMES
    from ecard_issuer.data_dir import DataDir
    from ecard_verifier.config import load_places
    from ecard_verifier.web.auth import CallerFile

    typed = {} if args.data_dir is None else {_SETTING: str(args.data_dir)}
    folder, tokens = load_places({**os.environ, **typed}, NAMES)
    if not folder.is_dir():
        raise NotFound("no_verifier", f"{folder} is no verifier's directory; `ecard serve verifier` makes it")
    with DataDir(folder).alone():
        yield CallerFile(tokens)
