"""Connections of a served process: bounded in number, and in how long a request may take to arrive."""

from __future__ import annotations

import asyncio
import resource
import socket
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from ecard_card.errors import Unavailable
from ecard_verifier.web.problems import problem

#: Seconds for the line and the headers of a request; its body has a limit of its own (`BodyLimit`).
ARRIVAL: Final = 10.0
#: Accepted at one go, and waiting for that in the kernel.
BACKLOG: Final = 128
#: Files, databases and outgoing connections want descriptors too, and so do those that are accepted to be refused.
_RESERVE: Final = BACKLOG + 128
_MOST: Final = 8192
_FEWEST: Final = 32


def listening(host: str, port: int) -> socket.socket:
    """Bound before anything is built, so that a port that is taken changes nothing, and 0 is known.

    Raises `Unavailable` `port_unavailable`.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError):
        raise Unavailable("port_unavailable", f"cannot listen on port {port}") from None
    # Accepted sockets inherit it. asyncio sets it only for listeners made with IPPROTO_TCP, and without it an answer
    # of two writes waits 40 ms for the other side's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def most_connections() -> int:
    """How many this process may hold. Raises its limit of open files as far as it may without asking anybody.

    Beyond that limit nobody would be answered, and asyncio would log nothing else.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return _MOST if soft == resource.RLIM_INFINITY else max(_FEWEST, min(_MOST, soft - _RESERVE))


class Connection(H11Protocol):
    """uvicorn's, with the number of the setting `limit_concurrency` kept for connections, not for requests under way;
    with a time limit for a request's head; and with problem documents for what never reaches the application."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._most, self.limit_concurrency = self.limit_concurrency, None
        self._arrival: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._most is not None and len(self.connections) > self._most:
            self._refuse(503, "service_unavailable")
            return
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """What was sent is no HTTP."""
        self._refuse(400, "invalid_request")

    def _watch(self) -> None:
        """Run the clock exactly while a request's head is awaited; between requests uvicorn has its own."""
        awaited = (
            self.conn.their_state is h11.IDLE
            and self.timeout_keep_alive_task is None
            and not self.transport.is_closing()
        )
        if awaited and self._arrival is None:
            self._arrival = self.loop.call_later(ARRIVAL, self.transport.close)
        elif not awaited and self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None

    def _refuse(self, status: int, code: str) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):  # else the answer has begun
            answer = problem({"headers": []}, status, code)
            lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode(), b"connection: close"]
            lines.extend(name + b": " + value for name, value in answer.raw_headers)
            self.transport.write(b"\r\n".join((*lines, b"", bytes(answer.body))))
        self.transport.close()
