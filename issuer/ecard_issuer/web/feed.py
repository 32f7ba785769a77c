"""The live feed as server-sent events. One coroutine per follower; no thread is held while nothing happens."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from ecard_card.errors import EcardError, Unavailable
from ecard_issuer.assembly import Issuer
from ecard_issuer.feed_hub import FeedHub, Follower, Message
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

_SILENCE: Final = 5.0  # seconds without any message until a comment shows whether the follower is still there
_RECHECK: Final = 10.0  # seconds after which a follower's token is looked at again: it may have been revoked
_MOST: Final = 1024  # followers at once
_MOST_OF_ONE: Final = 256  # followers at once that one caller's token may have: else one that leaks shuts out all


def feed_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """`GET /v1/feed`."""
    allowed = require_role(authenticate, Role.VERIFIER)
    router = APIRouter(tags=["feed"])
    places = Places()

    @router.get(
        "/v1/feed",
        operation_id="follow_feed",
        summary="Every change, live",
        response_class=StreamingResponse,
        responses={
            200: {"content": {"text/event-stream": {}}, "description": "Events after `since`, then live, with beats"},
            **problems(401, 403, 422, 503, codes={503: "feed_unavailable"}),
        },
        openapi_extra=needs(Role.VERIFIER),
    )
    def follow_feed(
        since: Annotated[int, Query(ge=0, le=2**53 - 1, description="The number of the last event that is known.")] = 0,
        caller: Caller = Depends(allowed),  # noqa: B008 - how FastAPI is told
        token: str = Depends(allowed.token),
    ) -> StreamingResponse:
        """Goes on while the token is good. Events are signed tokens numbered without a gap; a beat follows every
        second at the latest. 503 when too many follow already."""
        places.ask(caller.name)
        follower = Follower(issuer.register, issuer.hub, since)
        lines = places.held(caller.name, stream(follower, issuer.hub, lambda: allowed.caller(token)))
        return StreamingResponse(lines, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    return router


class Places:
    """How many followers there are, so that they never take the last connections from everybody else.

    Every open stream holds a descriptor, and half of those the process may have is for other requests.
    """

    def __init__(self, most: int = _MOST, most_of_one: int = _MOST_OF_ONE) -> None:
        self._most, self._most_of_one = most, most_of_one
        self._taken: Counter[str] = Counter()
        self._total = 0

    def ask(self, name: str) -> None:
        """Raises `Unavailable` `feed_unavailable` when there is no place left, or none for this caller."""
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        most = self._most if descriptors == resource.RLIM_INFINITY else min(self._most, descriptors // 2)
        if self._total >= most or self._taken[name] >= self._most_of_one:
            raise Unavailable("feed_unavailable", "too many followers are connected")

    async def held(self, name: str, lines: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
        """`lines`, with a place taken from the first to the last. All streams run in one event loop."""
        self._taken[name] += 1
        self._total += 1
        try:
            async with contextlib.aclosing(lines):
                async for line in lines:
                    yield line
        finally:
            self._taken[name] -= 1
            self._total -= 1


async def stream(
    follower: Follower,
    hub: FeedHub,
    allowed: Callable[[], object] = lambda: None,
    *,
    silence: float = _SILENCE,
    recheck: float = _RECHECK,
) -> AsyncGenerator[bytes]:
    """The lines for one follower, until the hub closes, the register fails, or `allowed` raises; it then comes again.

    A follower that does not read waits here, and its memory is that of one batch.
    """
    loop = asyncio.get_running_loop()
    bell = asyncio.Event()

    def ring() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed meanwhile
            loop.call_soon_threadsafe(bell.set)

    stop_listening = hub.listen(ring)
    checked = loop.time()
    try:
        while not hub.closed:
            bell.clear()
            try:
                if loop.time() - checked >= recheck:
                    await run_in_threadpool(allowed)
                    checked = loop.time()
                messages = follower.more() if follower.idle else await run_in_threadpool(follower.more)
            except EcardError:
                return
            if messages:
                yield b"".join(map(_lines, messages))
                continue
            if not follower.idle:
                return
            try:
                await asyncio.wait_for(bell.wait(), silence)
            except TimeoutError:
                yield b": nothing new\n\n"
    finally:
        stop_listening()


def _lines(message: Message) -> bytes:
    number = f"id: {message.seq}\n" if message.kind == "set" else ""
    return f"{number}event: {message.kind}\ndata: {message.token}\n\n".encode()
