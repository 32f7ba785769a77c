"""`ecard desk`: the agent that lets the desk page use this machine's card readers."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

from ecard_card.errors import InvalidInput
from ecard_issuer.desk.pairing import PairingDesk, PairingFile
from ecard_issuer.desk.settings import DEFAULT_PORT, DeskSettings, load


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `desk` with its verbs; without one it runs the agent."""
    desk = subparsers.add_parser(
        "desk",
        help="let the desk page in the browser use this machine's card readers",
        description="Let the desk page in the browser use this machine's card readers, until Ctrl-C. The page is "
        "paired once, with the code that this shows. Needs 'ecard[desk,reader]'. The guide: docs/desk.md.",
    )
    desk.add_argument("--port", type=_port, help=f"instead of ECARD_DESK_PORT (default {DEFAULT_PORT})")
    desk.add_argument(
        "--origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="a page that may ask, such as https://issuer.example; repeat it; instead of ECARD_DESK_ORIGINS",
    )
    desk.add_argument("--data-dir", type=Path, metavar="DIR", help="instead of ECARD_DESK_DATA")
    desk.add_argument("--json", action="store_true", help="one JSON document")
    desk.set_defaults(func=_run)
    verbs = desk.add_subparsers(title="commands", metavar="COMMAND")
    listed = verbs.add_parser("pairings", help="list the pages that are paired")
    listed.set_defaults(func=_pairings)
    forget = verbs.add_parser("forget", help="unpair the pages of an origin, or all: at once, while the agent runs")
    forget.add_argument("forgotten", metavar="ORIGIN", help="as `ecard desk pairings` prints it, or all")
    forget.set_defaults(func=_forget)


def _run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    from ecard_issuer.desk.app import DeskAgent
    from ecard_issuer.desk.server import listening, server

    settings = _settings(options)
    if not settings.origins:
        raise InvalidInput("bad_setting", "say which pages may ask: --origin https://issuer.example")
    pairings = PairingFile(settings.data)
    pairings.all()
    pairing = PairingDesk(pairings, _say, time.monotonic)
    with listening(settings.port) as listener:
        port = listener.getsockname()[1]
        app = DeskAgent(pairings, pairing).app(settings.origins, port)
        if options.json:
            print(json.dumps({"agent": f"http://127.0.0.1:{port}", "origins": settings.origins}), flush=True)
        else:
            print(f"读卡助手 Desk agent: http://127.0.0.1:{port}", *settings.origins, sep="\n  ", flush=True)
        pairing.show()
        server(app).run(sockets=[listener])
    return 0


def _pairings(options: argparse.Namespace) -> int:
    listed = PairingFile(_settings(options).data).all()
    if options.json:
        rows = [{"origin": one.origin, "paired_at": one.paired_at} for one in listed]
        print(json.dumps({"pairings": rows}, ensure_ascii=False))
    else:
        for one in listed:
            print(f"{one.paired_at}  {one.origin}")
    return 0


def _forget(options: argparse.Namespace) -> int:
    origin = None if options.forgotten == "all" else options.forgotten
    count = PairingFile(_settings(options).data).forget(origin)
    print(json.dumps({"forgotten": count}) if options.json else f"{count} unpaired")
    return 0


def _settings(options: argparse.Namespace) -> DeskSettings:
    return load(os.environ, port=options.port, origins=options.origin, data=options.data_dir)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 0xFFFF):
        raise argparse.ArgumentTypeError("want a number from 0 to 65535")
    return int(text)
