"""`ecard demo`: the whole story on a simulated chip, with two real services, in a directory that goes away again."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `demo` to the one command `ecard`."""
    parser = subparsers.add_parser(
        "demo",
        help="the whole story on a simulated chip: issue, scan, lose, refuse, find, replace, rotate, cancel",
        description="Starts an issuer and a verifier on this machine, plays desk, phone and counter, and cleans up.",
        epilog="Exit status: 0 every step did what the story expects; 1 one did not; 3 a service did not start.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--plain", action="store_true", help="no colours, no drawn code")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Play it. Raises `Unavailable` `demo_service_failed` where a service does not start."""
    from ecard_demo import services, stage
    from ecard_demo.story import Story
    from ecard_demo.teller import Teller
    from ecard_issuer.chip.simulator import ChipAuthority
    from ecard_sdk.authority import AuthorityClient

    teller = Teller.to(sys.stderr if args.json else sys.stdout, plain=args.plain)
    teller.begin()
    with ExitStack() as stack:
        stack.enter_context(_ended_in_order())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ecard-demo-")))
        authority = ChipAuthority.create(stage.now())
        places = stack.enter_context(services.running(folder, authority, stage.now()))
        teller.services(places)
        issuer = stack.enter_context(AuthorityClient(places.issuer_url, places.operator_token))
        keeper = stack.enter_context(AuthorityClient(places.issuer_url, places.second_operator_token))
        verifier = stack.enter_context(AuthorityClient(places.verifier_url, places.counter_token))
        desk = stage.Desk(issuer, places.issuer_url, keeper)
        story = Story(places, authority, desk, stage.Counter(verifier, places, folder), stage.Phone())
        steps: list[dict[str, Any]] = []
        for number, step in enumerate(story.play(), 1):
            teller.step(number, step)
            told = step.told
            members = {"name": step.name, "ok": told.ok, "outcome": told.outcome, "reason": told.reason}
            steps.append({**members, "ms": round(step.ms, 1)})
    ok = all(step["ok"] for step in steps)
    teller.end(ok=ok, revocation_ms=story.revocation_ms)
    if args.json:
        urls = {"issuer": places.issuer_url, "verifier": places.verifier_url}
        print(json.dumps({"steps": steps, "revocation_ms": story.revocation_ms, "urls": urls}, indent=2))
    return 0 if ok else 1


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """A polite kill ends the services too, as Ctrl-C does."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
