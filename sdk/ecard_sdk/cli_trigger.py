"""`ecard trigger`: have something happen to a link's card, at a test authority."""

from __future__ import annotations

import argparse
import json

_EVENTS = ("card.lost", "card.found", "card.replaced", "card.cancelled")
_RESET = "reset"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `trigger`."""
    trigger = subparsers.add_parser(
        "trigger",
        help="have something happen to a test card",
        description="The card of a link of the app in ECARD_APP_ID really changes, and whoever has a link with it is "
        "told. `reset` releases the app's links and brings the test people behind them back to where they began. "
        "Test apps (ek_test_) only.",
    )
    trigger.add_argument("event", choices=(*_EVENTS, _RESET), help="what is to happen")
    trigger.add_argument("--link", metavar="ID", help="which link (default: the one claimed last)")
    trigger.add_argument("--json", action="store_true", help="one JSON document")
    trigger.set_defaults(func=_run)


def _run(args: argparse.Namespace) -> int:
    from ecard_card.errors import InvalidInput, NotAllowed
    from ecard_sdk.core.reading import parsed
    from ecard_sdk.sync.client import ECardClient

    with ECardClient.from_env() as client:
        if not client.app_id.startswith("ek_test_"):
            raise NotAllowed("test_mode_only", "ECARD_APP_ID is a live app: nothing is triggered there")
        if args.event == _RESET:
            if args.link is not None:
                raise InvalidInput("bad_usage", "a reset is of all links")
            answer = parsed(client.raw_request("POST", "/v1/test/reset", {}))
        else:
            body = {"event": args.event} if args.link is None else {"event": args.event, "link_id": args.link}
            answer = parsed(client.raw_request("POST", "/v1/test/triggers", body))
    if args.json or not isinstance(answer, dict):
        print(json.dumps(answer, ensure_ascii=False))
    else:
        print(*(f"{name}: {value}" for name, value in answer.items()), sep="\n")
    return 0
