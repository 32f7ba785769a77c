"""`ecard events`: what happened to an app's links, and sending it again."""

from __future__ import annotations

import argparse
import json


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `events` with its two commands."""
    events = subparsers.add_parser(
        "events",
        help="an app's events",
        description="Of the app in ECARD_APP_ID, ECARD_KEY_FILE and ECARD_BASE_URL.",
    )
    commands = events.add_subparsers(title="commands", metavar="COMMAND", required=True)

    listing = commands.add_parser("list", help="what happened to the app's links, oldest first")
    listing.add_argument("--since", metavar="CURSOR", help="only after this number")
    listing.add_argument("--limit", type=int, default=50, help="how many at most (default %(default)s)")
    listing.add_argument("--json", action="store_true", help="one JSON document")
    listing.set_defaults(func=_list)

    resend = commands.add_parser("resend", help="have the authority send an event to the app's webhooks again")
    resend.add_argument("event_id", metavar="ID", help="as `ecard events list` shows it")
    resend.add_argument("--json", action="store_true", help="one JSON document")
    resend.set_defaults(func=_resend)


def _list(args: argparse.Namespace) -> int:
    from ecard_sdk.sync.client import ECardClient

    with ECardClient.from_env() as client:
        batch = client.events.wait(args.since, seconds=0, limit=args.limit)
    if args.json:
        print(json.dumps({"data": [event.raw for event in batch.data], "cursor": batch.cursor, "more": batch.more}))
        return 0
    for event in batch.data:
        at = event.occurred_at.isoformat(timespec="seconds")
        print(f"{event.number:>6}  {at}  {event.type:<14}  {event.link_id}  {event.status:<9}  {event.id}")
    return 0


def _resend(args: argparse.Namespace) -> int:
    from ecard_sdk.core.call import reference
    from ecard_sdk.core.reading import parsed
    from ecard_sdk.sync.client import ECardClient

    with ECardClient.from_env() as client:
        answer = parsed(client.raw_request("POST", f"/v1/events/{reference(args.event_id)}/resend", {}))
    webhooks = answer.get("webhooks", []) if isinstance(answer, dict) else []
    if args.json:
        print(json.dumps(answer, ensure_ascii=False))
    else:
        print(f"sent again to {len(webhooks)} webhook{'' if len(webhooks) == 1 else 's'}")
    return 0
