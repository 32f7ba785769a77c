"""`ecard listen`: an app's events, brought to a receiver on this machine as signed webhooks."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # nobody waits for the HTTP client who asks for help
    from ecard_sdk.relay import Forwarded


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `listen`."""
    listen = subparsers.add_parser(
        "listen",
        help="bring an app's events to a receiver on this machine",
        description="Reads the events of the app in ECARD_APP_ID, ECARD_KEY_FILE and ECARD_BASE_URL and posts each as "
        "a webhook, signed as the authority signs. The first line of output is the secret, a new one each time unless "
        "ECARD_WEBHOOK_SECRET has one. An event that the receiver does not take is not repeated: ask for it by "
        "`ecard listen --since`. Runs until Ctrl-C.",
    )
    listen.add_argument("--forward-to", required=True, metavar="URL", help="such as http://127.0.0.1:8000/hook")
    listen.add_argument("--since", metavar="CURSOR", help="events after this number, 0 for all (default: from now on)")
    listen.add_argument("--count", type=int, metavar="N", help="end after so many events")
    listen.add_argument("--json", action="store_true", help="one JSON document a line")
    listen.set_defaults(func=_run)


def _run(args: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from ecard_sdk.relay import Relay
    from ecard_sdk.sync.client import ECardClient
    from ecard_sdk.webhook_signing import WebhookSigner

    signer = WebhookSigner.generate(os.environ.get("ECARD_WEBHOOK_SECRET") or None)
    with ECardClient.from_env() as client:
        relay = Relay(client, signer, args.forward_to, lambda: datetime.now(UTC))
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            cursor = relay.head() if args.since is None else args.since
            _say_secret(args, signer.secret)
            print(f"Events of {client.app_id} go to {args.forward_to}; Ctrl-C ends it", file=sys.stderr)
            for number, forwarded in enumerate(relay.events(cursor), 1):
                _say(args, forwarded)
                if number == args.count:
                    break
        except KeyboardInterrupt:
            return 0
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say_secret(args: argparse.Namespace, secret: str) -> None:
    line = json.dumps({"secret": secret}) if args.json else f"ECARD_WEBHOOK_SECRET={secret}"
    print(line, flush=True)


def _say(args: argparse.Namespace, forwarded: Forwarded) -> None:
    event = forwarded.event
    if args.json:
        said = {**event.raw, "http_status": forwarded.status, "milliseconds": forwarded.milliseconds}
        print(json.dumps(said, ensure_ascii=False), flush=True)
        return
    answer = "no answer" if forwarded.status is None else str(forwarded.status)
    print(
        f"{event.number:>6}  {event.type:<14}  {event.link_id}  {event.status:<9}  → {answer}"
        f" ({forwarded.milliseconds} ms)",
        flush=True,
    )
