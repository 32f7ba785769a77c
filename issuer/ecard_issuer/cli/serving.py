"""What `ecard serve` does: one process with the issuer, a verifier, or both."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event, Thread
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from ecard_card.errors import InvalidInput
from ecard_issuer.cli.caller import new_token
from ecard_issuer.cli.common import first_operator, show, talk
from ecard_issuer.cli.connections import BACKLOG, Connection, listening, most_connections
from ecard_issuer.config import NAMES, load
from ecard_issuer.data_dir import DataDir
from ecard_issuer.deployment import build_all
from ecard_issuer.web.embedded import embed_all, issuers_app
from ecard_issuer.web.management import management_app
from ecard_verifier.callers import Caller, Role
from ecard_verifier.config import TOKENS_FILE, VerifierSettings, load_embedded, load_settings
from ecard_verifier.counters.assembly import Counters
from ecard_verifier.web.assemble import assemble
from ecard_verifier.web.auth import CallerFile
from ecard_verifier.web.management import verifier_management_app

_GRACE_SECONDS = 3
_WATCHERS = 16  # who ask the management port at one time


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C. What the process writes is for its own user only."""
    if args.offline is not None and args.service != "verifier":
        raise InvalidInput("bad_usage", "--offline goes with `serve verifier`")
    os.umask(0o077)
    return _serve_verifier(args) if args.service == "verifier" else _serve_issuer(args)


def _serve_issuer(args: argparse.Namespace) -> int:
    settings = load(data_dir=args.data_dir, host=args.host, port=args.port)
    beside = load_embedded(os.environ, NAMES) if args.service is None else None
    with listening(settings.host, settings.port) as listener:
        deployment = build_all(settings.having(port=listener.getsockname()[1]), serve=True, say=talk, with_test=True)
        for issuer in deployment.issuers:
            first_operator(issuer)
        if deployment.test is not None:
            first_operator(deployment.test, "Operator token of the test issuer")
        app: ASGIApp
        counters: tuple[Counters, ...] = ()
        if beside is None:
            app, what = issuers_app(deployment), "issuer"
        else:
            embedded = embed_all(deployment, beside)
            app, what, counters = embedded.app, "issuer and verifier", (embedded.verifier.counters,)

        def watched(started: Event) -> ASGIApp:
            return management_app(deployment.issuers, started.is_set, counters)

        with _management(settings.management_host, settings.management_port, watched) as started:
            _announce(args, what, listener, deployment.main.identity.issuer)
            for hosted in deployment.issuers[1:]:
                talk(f"Also issuer {hosted.identity.issuer}, by requests for that host")
            if deployment.test is not None:
                talk(f"Test issuer {deployment.test.identity.issuer}, with keys, people and roots of its own")
            serve_until_stopped(app, listener, before_exit=deployment.end_feeds, started=started)
    return 0


@contextmanager
def _management(host: str, port: int | None, watched: Callable[[Event], ASGIApp]) -> Iterator[Event]:
    """Health and metrics on a port of their own while the block runs, if the settings want them; set the event when
    the service has started."""
    started = Event()
    if port is None:
        yield started
        return
    with listening(host, port) as listener:
        config = uvicorn.Config(
            watched(started),
            http=Connection,
            ws="none",
            loop="asyncio",
            access_log=False,
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_WATCHERS,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, name="ecard-management", daemon=True)
        thread.start()
        talk(f"Health and metrics at {_base(listener)}/metrics")
        try:
            yield started
        finally:
            server.should_exit = True
            thread.join(timeout=2 * _GRACE_SECONDS)


def _serve_verifier(args: argparse.Namespace) -> int:
    settings = _verifier_settings(args)
    callers, place = CallerFile(settings.tokens), DataDir(settings.data)
    first = settings.tokens == settings.data / TOKENS_FILE and not settings.tokens.exists()
    if not first:
        callers.check()

    def claim() -> None:
        place.make()
        place.serve()

    with listening(settings.host, settings.port) as listener:
        try:
            verifier = assemble(settings, authenticate=callers, claim=claim)
            if first:
                token = new_token()
                callers.add(Caller("first counter", Role.COUNTER), token)
                talk(f"Counter token, shown this once: {token}")
            _announce(args, "verifier", listener, None)

            def watched(started: Event) -> ASGIApp:
                return verifier_management_app((verifier.counters,), started.is_set, lambda: verifier.readiness().ready)

            with _management(settings.management_host, settings.management_port, watched) as started:
                serve_until_stopped(verifier.app, listener, before_exit=lambda: None, started=started)
        finally:
            place.release()
    return 0


def _verifier_settings(args: argparse.Namespace) -> VerifierSettings:
    """The environment's, over which the command line goes."""
    given = {"DATA": args.data_dir, "HOST": args.host, "PORT": args.port, "BUNDLE": args.offline}
    typed = {f"ECARD_VERIFIER_{name}": str(value) for name, value in given.items() if value is not None}
    return load_settings({**os.environ, **typed}, NAMES)


def _base(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 - comparing only
    return f"http://{shown}:{port}"


def _announce(args: argparse.Namespace, what: str, listener: socket.socket, issuer: str | None) -> None:
    base = _base(listener)
    urls = {"base": base, "docs": f"{base}/docs", "ready": f"{base}/health/ready"}
    if issuer is not None:
        urls["issuer"] = issuer
    show(args, {"service": what, "urls": urls, "pid": os.getpid()}, f"e-card {what} at {base}", f"API: {base}/docs")
    sys.stdout.flush()
    if issuer is not None and issuer != base:
        talk(f"The credentials name {issuer} as their issuer; verifiers must reach this service there.")


class _Server(uvicorn.Server):
    """A server that says when it has started, and whose endless answers end when it is asked to stop."""

    def __init__(self, config: uvicorn.Config, before_exit: Callable[[], None], started: Event) -> None:
        super().__init__(config)
        self._before_exit = before_exit
        self._accepts = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._accepts.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._before_exit()


def serve_until_stopped(
    app: ASGIApp, listener: socket.socket, before_exit: Callable[[], None], started: Event | None = None
) -> None:
    """Answer on `listener` until SIGTERM or Ctrl-C; `before_exit` ends the endless answers."""
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        loop="asyncio",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        limit_concurrency=most_connections(),
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    # The server raises the signal again when it has ended; by then it has been obeyed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    _Server(config, before_exit, started or Event()).run(sockets=[listener])
    talk(f"stopped at {datetime.now(UTC).isoformat(timespec='seconds')}")
