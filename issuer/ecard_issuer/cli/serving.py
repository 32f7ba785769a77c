"""What every process that `ecard serve` starts does: say where it is, answer until it is asked to stop."""

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

from ecard_issuer.cli.common import show, talk
from ecard_issuer.cli.connections import BACKLOG, Connection, listening, most_connections

_GRACE_SECONDS = 3
_WATCHERS = 16  # who ask the management port at one time


@contextmanager
def management_port(host: str, port: int | None, watched: Callable[[Event], ASGIApp]) -> Iterator[Event]:
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


def _base(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 - comparing only
    return f"http://{shown}:{port}"


def announce(args: argparse.Namespace, what: str, listener: socket.socket, issuer: str | None) -> None:
    """Say where the service is."""
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

    def asked_early(self, sig: int, frame: FrameType | None) -> None:
        """Before it listens to signals itself, one is remembered. Afterwards it raises it again: it was obeyed."""
        if not self.started:
            self.should_exit = True

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
    server = _Server(config, before_exit, started or Event())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.asked_early)
    server.run(sockets=[listener])
    talk(f"stopped at {datetime.now(UTC).isoformat(timespec='seconds')}")
