"""`ecard serve`: issuer and verifier in one process, or each by itself."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ecard_card.errors import InvalidInput
from ecard_issuer.cli.common import add_options, port_number


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `serve`."""
    serve = subparsers.add_parser(
        "serve",
        help="run issuer and verifier, or one of them",
        description="Runs until SIGTERM or Ctrl-C. A verifier by itself follows the issuer of its settings "
        "(ECARD_VERIFIER_*), or works from an offline bundle without any network; its own host, port and data "
        "directory are ECARD_VERIFIER_HOST, ECARD_VERIFIER_PORT and ECARD_VERIFIER_DATA (default: verifier-data). "
        "A data directory has one server at a time.",
    )
    serve.add_argument("service", nargs="?", choices=("issuer", "verifier"), help="which one to run (default: both)")
    serve.add_argument("--host", help="instead of ECARD_HOST")
    serve.add_argument("--port", type=port_number, help="instead of ECARD_PORT; 0 takes a free one")
    serve.add_argument("--offline", type=Path, metavar="BUNDLE", help="verifier: work from this bundle")
    add_options(serve, _run)


def _run(args: argparse.Namespace) -> int:
    """What the process writes is for its own user only."""
    if args.offline is not None and args.service != "verifier":
        raise InvalidInput("bad_usage", "--offline goes with `serve verifier`")
    os.umask(0o077)
    # Here, because nobody waits for web server and register who asks for help, and a verifier has no register.
    if args.service == "verifier":
        from ecard_issuer.cli.serving_verifier import run
    else:
        from ecard_issuer.cli.serving_issuer import run
    return run(args)
