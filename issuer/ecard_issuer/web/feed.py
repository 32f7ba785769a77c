"""The live feed as server-sent events. One coroutine per follower; no thread is held while nothing happens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from ecard_card.errors import EcardError
from ecard_issuer.assembly import Issuer
from ecard_issuer.feed_hub import FeedHub, Follower, Message
from ecard_verifier.web.auth import VERIFIER, Authenticate, require_role
from ecard_verifier.web.base import problems

_SILENCE: Final = 5.0  # seconds without any message until a comment shows whether the follower is still there


def feed_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """`GET /v1/feed`."""
    router = APIRouter(tags=["feed"], dependencies=[Depends(require_role(authenticate, VERIFIER))])

    @router.get(
        "/v1/feed",
        operation_id="follow_feed",
        summary="Every change, live",
        response_class=StreamingResponse,
        responses={
            200: {"content": {"text/event-stream": {}}, "description": "Events after `since`, then live, with beats"},
            **problems(401, 403, 422),
        },
    )
    def follow_feed(since: Annotated[int, Query(ge=0, le=2**53 - 1)] = 0) -> StreamingResponse:
        """Never ends. Events are signed tokens numbered without a gap; a beat follows every second at the latest."""
        follower = Follower(issuer.register, issuer.hub, since)
        headers = {"X-Accel-Buffering": "no"}
        return StreamingResponse(stream(follower, issuer.hub), media_type="text/event-stream", headers=headers)

    return router


async def stream(follower: Follower, hub: FeedHub, silence: float = _SILENCE) -> AsyncIterator[bytes]:
    """The lines for one follower, until the hub closes or the register fails; the follower then comes again."""
    loop = asyncio.get_running_loop()
    bell = asyncio.Event()

    def ring() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed meanwhile
            loop.call_soon_threadsafe(bell.set)

    stop_listening = hub.listen(ring)
    try:
        while not hub.closed:
            bell.clear()
            try:
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
