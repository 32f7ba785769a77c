"""Real servers on free ports of 127.0.0.1, for tests of what goes over a wire."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from tests.verifier.feed_kit import wait_for


@contextmanager
def running(app: ASGIApp, port: int = 0) -> Iterator[str]:
    """The base URL of `app`, served by uvicorn in a thread; gone when the block ends. `port` 0 is any free one."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=1))
    with listener, serving_thread(server, listener):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def serving_thread(server: uvicorn.Server, listener: socket.socket) -> Iterator[None]:
    """`server` on `listener` in a thread, for as long as the block lasts."""
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        wait_for(lambda: server.started)
        yield
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(10)


#: What a follower of a `FeedServer` has to show.
TOKEN = "secret"


class FeedServer:
    """An issuer's `/v1/feed` and `/.well-known/ecard-trust-list`, told by the test what to say and when."""

    def __init__(self, trust_document: bytes) -> None:
        self.trust_document = trust_document
        self.asked: list[int] = []
        self._stored: list[tuple[int, str]] = []
        self._lines: set[asyncio.Queue[bytes | None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.app = Starlette(
            routes=[Route("/v1/feed", self._feed), Route("/.well-known/ecard-trust-list", self._trust_list)]
        )

    def store(self, seq: int, text: str) -> None:
        """An event: for whoever is connected now, and for whoever comes later."""

        def keep_and_tell() -> None:
            self._stored.append((seq, text))
            self._tell(_message("set", text, seq))

        self._do(keep_and_tell)

    def say(self, text: str) -> None:
        """A beat, for whoever is connected now."""
        self._do(lambda: self._tell(_message("beat", text)))

    def write(self, raw: bytes) -> None:
        self._do(lambda: self._tell(raw))

    def hang_up(self) -> None:
        """End every connection."""
        self._do(lambda: self._tell(None))

    @property
    def connected(self) -> int:
        return len(self._lines)

    def _do(self, action: Callable[[], None]) -> None:
        if self._loop is None:
            action()
        else:
            self._loop.call_soon_threadsafe(action)

    def _tell(self, raw: bytes | None) -> None:
        for line in self._lines:
            line.put_nowait(raw)

    async def _trust_list(self, request: Request) -> Response:
        return Response(self.trust_document, media_type="application/jose+json")

    async def _feed(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return PlainTextResponse("no", 401)
        self._loop = asyncio.get_running_loop()
        since = int(request.query_params["since"])
        self.asked.append(since)
        line: asyncio.Queue[bytes | None] = asyncio.Queue()
        for seq, text in self._stored:
            if seq > since:
                line.put_nowait(_message("set", text, seq))
        self._lines.add(line)
        return StreamingResponse(self._stream(line), media_type="text/event-stream")

    async def _stream(self, line: asyncio.Queue[bytes | None]) -> AsyncIterator[bytes]:
        try:
            yield b": welcome\n\n"
            while (raw := await line.get()) is not None:
                yield raw
        finally:
            self._lines.discard(line)


def _message(kind: str, text: str, seq: int | None = None) -> bytes:
    head = f"id: {seq}\n" if seq is not None else ""
    return f"{head}event: {kind}\ndata: {text}\n\n".encode()
