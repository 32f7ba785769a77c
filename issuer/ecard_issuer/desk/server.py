"""The agent as a process: 127.0.0.1 alone, bounded in connections and in how long a request may take to arrive."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Final

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from ecard_card.errors import Unavailable

ARRIVAL: Final = 5.0  # seconds for a request's head
_MOST: Final = 256
_HEAD: Final = 16 << 10


class Connection(H11Protocol):
    """uvicorn's, with a time limit for a request's head: an idle socket takes nobody's place for long."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._arrival: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arrival = self.loop.call_later(ARRIVAL, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._arrival is not None:
            self._arrival.cancel()

    def _cycle(self) -> object | None:
        return self.cycle  # uvicorn says that there always is one

    def _give_up(self) -> None:
        # No request has begun; after the first one uvicorn has a clock of its own.
        if self.conn.their_state is h11.IDLE and self._cycle() is None:
            self.transport.close()


def listening(port: int) -> socket.socket:
    """A listener on 127.0.0.1, never on another address. Raises `Unavailable` `port_unavailable`."""
    try:
        listener = socket.create_server(("127.0.0.1", port), backlog=64)
    except (OSError, OverflowError):
        raise Unavailable("port_unavailable", f"cannot listen on port {port}; does an agent run already?") from None
    # Accepted sockets inherit it; without it an answer of two writes waits 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def server(app: ASGIApp) -> uvicorn.Server:
    """To be run on a listener. It logs no requests."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=Connection,
            ws="wsproto",
            ws_max_size=1024,
            ws_per_message_deflate=False,
            loop="asyncio",
            access_log=False,
            log_level="critical",
            server_header=False,
            date_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=_HEAD,
            limit_concurrency=_MOST,
            timeout_keep_alive=20,
            timeout_graceful_shutdown=1,
        )
    )
