"""What the issuer's commands share: settings from the command line, an opened issuer, output."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ecard_card.errors import InvalidInput, NotAllowed, NotAuthenticated

if TYPE_CHECKING:  # commands load these when they run: `ecard --help` passes through here too
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

    from ecard_issuer.assembly import Issuer

_MAX_INPUT = 64 << 10
_M = TypeVar("_M", bound="BaseModel")


def whole_number(text: str, least: int, most: int) -> int:
    """An argument of the command line. Raises `argparse.ArgumentTypeError`."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"want a number from {least} to {most}")
    return int(text)


def port_number(text: str) -> int:
    """A port to listen on; 0: a free one. Raises `argparse.ArgumentTypeError`."""
    return whole_number(text, 0, 0xFFFF)


def add_options(
    parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int], setting: str = "ECARD_DATA_DIR"
) -> None:
    """The options that every command has, and what it runs."""
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help=f"instead of {setting}")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.set_defaults(func=run)


@contextmanager
def opened(args: argparse.Namespace, *, create: bool = False, passphrase: str | None = None) -> Iterator[Issuer]:
    """The issuer of the settings, or the one hosted beside it whose directory `--data-dir` names; not started: a
    running service notices what is done to its register.

    Only `create` makes an authority; else a directory without one is `NotFound` `no_authority`. What is written
    meanwhile (keys, databases and their logs) is for this user only. `passphrase` opens the key files, in the place of
    the settings'.
    """
    from ecard_issuer.config import load
    from ecard_issuer.deployment import opened_at

    before = os.umask(0o077)
    try:
        deployment = opened_at(load(key_passphrase=passphrase), args.data_dir, create=create, say=talk)
        try:
            yield deployment.main
        finally:
            deployment.close()
    finally:
        os.umask(before)


def first_operator(issuer: Issuer, what: str = "Operator token") -> None:
    """Make and show the first operator of an authority that has none."""
    first = issuer.operators.first(issuer.clock())
    if first is not None:
        talk(f"{what}, shown this once: {first.token}")


def actor_of(args: argparse.Namespace, issuer: Issuer) -> str:
    """Who runs this command: the name of the operator whose token is in `ECARD_TOKEN` or the file `ECARD_TOKEN_FILE`.

    Raises `NotAuthenticated` `operator_token_needed` without a token that is known and not revoked, `NotAllowed`
    `not_allowed` for a caller of another role. Where four eyes are switched off and no token is given it is whoever
    may read the keys of this machine: `local admin`.
    """
    from ecard_verifier.callers import Role

    path = os.environ.get("ECARD_TOKEN_FILE")
    try:
        token = Path(path).read_text(encoding="ascii") if path else os.environ.get("ECARD_TOKEN", "")
    except (OSError, ValueError):
        raise NotAuthenticated("operator_token_needed", "the file of ECARD_TOKEN_FILE cannot be read") from None
    if not token.strip() and issuer.approvals.needed == 0:
        return "local admin"
    known = issuer.operators.find(token.strip())
    if known is None:
        raise NotAuthenticated("operator_token_needed", "set ECARD_TOKEN or ECARD_TOKEN_FILE to an operator's token")
    if known.role != Role.OPERATOR:
        raise NotAllowed("not_allowed", f"a caller of role {known.role} may not do this")
    return known.name


def talk(line: str) -> None:
    """Say something to the person; data goes to standard output."""
    print(line, file=sys.stderr)


def show(args: argparse.Namespace, answer: Mapping[str, object], *lines: str) -> None:
    """`answer` as JSON where that is asked for, else `lines` (by default its plain members)."""
    if args.json:
        print(json.dumps(answer, ensure_ascii=False, indent=2))
        return
    for line in lines or [f"{name}: {value}" for name, value in answer.items() if isinstance(value, str | int)]:
        print(line)


def read_body(path: str, kind: type[_M]) -> _M:
    """A JSON body from a file or `-` (standard input), so that nobody's data stands on a command line.

    Raises `InvalidInput` `invalid_request`, which names members and never their values.
    """
    from pydantic import ValidationError

    try:
        if path == "-":
            text = sys.stdin.read(_MAX_INPUT + 1)
        else:
            with Path(path).open(encoding="utf-8") as file:
                text = file.read(_MAX_INPUT + 1)
    except (OSError, ValueError):
        raise InvalidInput("invalid_request", "the file cannot be read") from None
    if len(text) > _MAX_INPUT:
        raise InvalidInput("invalid_request", "longer than 64 KiB")
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False, include_context=False)[:8]
        raise InvalidInput("invalid_request", "; ".join(map(_place, wrong))) from None


def _place(item: ErrorDetails) -> str:
    if item["type"] == "extra_forbidden":  # its name is the sender's
        return "an unknown member"
    return f"{'.'.join(map(str, item['loc']))}: {item['type']}"
