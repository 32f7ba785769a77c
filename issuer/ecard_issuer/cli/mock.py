"""`ecard mock`: the whole authority for one developer, with people to try it on. Gone when it stops."""

from __future__ import annotations

import argparse
from pathlib import Path

from ecard_issuer.cli.common import port_number


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `mock`."""
    mock = subparsers.add_parser(
        "mock",
        help="run a test authority for development",
        description="The real application in test mode, in a temporary folder that is deleted at the end: one admitted "
        "channel, whose app id and key it prints as environment variables, and the people of docs/test-mode.md. "
        "Settings of a real server in the environment are not heeded. Runs until Ctrl-C.",
    )
    mock.add_argument("--port", type=port_number, default=0, help="default: a free one")
    mock.add_argument("--key-file", type=Path, metavar="FILE", help="the channel's key, made if there is none")
    mock.add_argument("--webhook", action="append", default=[], metavar="URL", help="where the channel gets its events")
    mock.add_argument(
        "--browser-origin", action="append", default=[], metavar="URL", help="of a page that shows <ecard-code>"
    )
    mock.add_argument("--env-file", type=Path, metavar="FILE", help="write the environment variables here too")
    mock.add_argument("--json", action="store_true", help="one JSON document")
    mock.set_defaults(func=_run)


def _run(args: argparse.Namespace) -> int:
    from ecard_issuer.cli.mocking import run  # web server and register: nobody waits for them who asks for help

    return run(args)
