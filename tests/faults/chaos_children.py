"""The processes that are killed, stopped and cut off: issuer, a second worker, receiver, poller, verifier.

They are forked from a server that has loaded the house before, so that one that was killed is back in a moment.
"""

from __future__ import annotations

import http.client
import http.server
import json
import os
import random
import threading
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

LEASE = timedelta(seconds=3)
_POLL_S = 5


@dataclass(frozen=True)
class Places:
    """Where everything is. Ports that end in `_way` lead through a proxy."""

    folder: Path
    origin: str
    issuer_port: int
    feed_way: int
    poll_way: int
    receiver_port: int
    verifier_port: int
    feed_token: str
    partner_token: str
    poll_stream: str
    secret: str


def issuer(places: Places) -> None:
    """The whole service: feed, dispatcher, one of the two partner workers."""
    from ecard_issuer.web.app import create_app

    built = _built(places, serve=True)
    built.start()
    _serve(create_app(built), places.issuer_port)


def worker(places: Places) -> None:
    """A partner worker by itself, beside the service's own."""
    built = _built(places, serve=False)
    built.partners.worker.start()
    threading.Event().wait()


def _built(places: Places, *, serve: bool) -> Any:
    from ecard_issuer.assembly import build
    from ecard_issuer.config import load
    from ecard_issuer.partners import schedule
    from ecard_issuer.partners.sending import HttpSender
    from ecard_issuer.partners.targets import Targets

    # The same rules at another pace: a run of a minute has no hours to wait.
    schedule.RETRIES = (0.05, 0.1, 0.2, 0.4, 0.8, 1, 1, 1, 1)  # type: ignore[misc, assignment]
    schedule.LONGEST_PROBE = 0.3  # type: ignore[misc, assignment]
    schedule.PROBES = 100_000  # type: ignore[misc]
    settings = load(
        data_dir=places.folder / "issuer",
        public_origin=places.origin,
        regions=("000000",),
        partner_networks=("127.0.0.0/8",),
        approvals_needed=0,
    )
    built = build(settings, create=False, serve=serve)
    built.partners.worker._lease = LEASE
    built.partners.worker._sender = HttpSender(Targets(("127.0.0.0/8",)), _now, timeout=0.7, longest=1.5)
    return built


def verifier(places: Places) -> None:
    """A real verifier: follows the feed into its mirror, judges codes over HTTP."""
    from ecard_verifier.callers import Caller, Role
    from ecard_verifier.config import VerifierSettings
    from ecard_verifier.web.assemble import assemble

    data = places.folder / "verifier"
    data.mkdir(exist_ok=True)
    settings = VerifierSettings(
        data=data,
        tokens=data / "none",
        issuer_url=f"http://127.0.0.1:{places.feed_way}",
        issuer=places.origin,
        feed_token=places.feed_token,
        trust_root=places.folder / "root.json",
    )
    made = assemble(settings, authenticate=lambda token: Caller("counter", Role.COUNTER))
    _serve(made.app, places.verifier_port)


def receiver(places: Places) -> None:
    """Takes pushes and webhooks, and writes down what it has before it says so; now and then it stumbles."""
    from ecard_sdk.webhooks import unwrap

    moods = random.Random(os.getpid())  # noqa: S311 - moods

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            mood = moods.random()
            if mood < 0.03:
                self._answer(500)
                return
            if self.path == "/hook":
                unwrap(body, dict(self.headers), [places.secret])
                _note(places.folder / "webhook.jsonl", json.loads(body)["data"])
            else:
                _note(places.folder / "push.jsonl", _of_token(body.decode()))
            if mood < 0.06:
                self.close_connection = True  # it has the event, and nobody hears so
                return
            self._answer(202)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    http.server.ThreadingHTTPServer(("127.0.0.1", places.receiver_port), Handler).serve_forever()


def poller(places: Places) -> None:
    """Polls, writes down, acknowledges with the next poll."""
    url = f"http://127.0.0.1:{places.poll_way}/v1/ssf/streams/{places.poll_stream}/poll"
    headers = {"Authorization": f"Bearer {places.partner_token}", "Content-Type": "application/json"}
    acks: list[str] = []
    away = threading.Event()
    while True:
        request = urllib.request.Request(url, json.dumps({"ack": acks, "maxEvents": 20}).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=_POLL_S) as response:  # noqa: S310
                sets = json.load(response)["sets"]
        except (OSError, ValueError, http.client.HTTPException):
            away.wait(0.05)  # what is asked again at once would be all that the machine does
            continue
        for token in sets.values():
            _note(places.folder / "poll.jsonl", _of_token(token))
        acks = list(sets)


def _of_token(token: str) -> dict[str, Any]:
    from ecard_card import jose

    claims: Any = jose.parse_json(jose.b64url_decode(token.split(".")[1]))
    ((name, members),) = claims["events"].items()
    line = {"number": claims["stream"]["seq"], "card": claims["sub_id"]["id"], "kind": name.rpartition("/")[2]}
    return line | ({"sequence": members["sequence"]} if "sequence" in members else {})


def _note(path: Path, line: Mapping[str, Any]) -> None:
    """One write, so that a process killed meanwhile leaves a whole line or none."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(handle, json.dumps(line).encode() + b"\n")
    finally:
        os.close(handle)


def _serve(app: Any, port: int) -> None:
    import uvicorn

    uvicorn.Server(
        uvicorn.Config(app, port=port, log_level="critical", access_log=False, ws="none", timeout_graceful_shutdown=1)
    ).run()


def _now() -> datetime:
    return datetime.now(UTC)
