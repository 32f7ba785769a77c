"""Snapshots over a real wire: what an answer may be, how long, and how slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from ecard_card.errors import CheckFailed, InvalidInput, NotFound, Unavailable
from ecard_card.feed_snapshot import Chunk, Kind
from ecard_verifier.http_snapshot import HttpSnapshots
from tests.verifier.http_kit import running

CHUNK = Chunk.of(Kind.STATUSES, b"0123456789")


@contextmanager
def served(answer: Response | None, longest: float = 20) -> Iterator[HttpSnapshots]:
    async def tell(request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer token"
        return answer or Response(b"0123456789")

    paths = ("/v1/feed/snapshot", "/v1/feed/snapshot/7/chunks/3")
    with running(Starlette(routes=[Route(path, tell) for path in paths])) as base:
        yield HttpSnapshots(f"{base}/v1/feed/snapshot", "token", longest=longest)


def test_what_is_there_is_given() -> None:
    with served(None) as source:
        assert source.manifest() == "0123456789"
        assert source.chunk(7, 3, CHUNK) == b"0123456789"
    assert "token" not in repr(source)


def test_an_issuer_without_snapshots_is_no_error() -> None:
    with served(PlainTextResponse("no such page, says an older issuer", 404)) as source:
        assert source.manifest() is None
        with pytest.raises(NotFound, match="feed_snapshot_gone"):
            source.chunk(7, 3, CHUNK)


@pytest.mark.parametrize(
    "answer",
    [
        PlainTextResponse("no", 401),
        PlainTextResponse("no", 403),
        PlainTextResponse("later", 503),
        RedirectResponse("https://elsewhere.example/"),
        Response(b"0123456789", headers={"Content-Encoding": "gzip"}),
        Response(b"0123456789", status_code=206),
    ],
)
def test_another_answer_may_be_better_next_time(answer: Response) -> None:
    with served(answer) as source:
        for ask in (source.manifest, lambda: source.chunk(7, 3, CHUNK)):
            with pytest.raises(Unavailable, match="feed_snapshot_unavailable"):
                ask()


def test_too_much_is_not_read_to_its_end() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"a" * (1 << 16)
            await asyncio.sleep(0)

    with served(StreamingResponse(endless())) as source, pytest.raises(CheckFailed, match="feed_snapshot_altered"):
        source.chunk(7, 3, CHUNK)
    with served(StreamingResponse(endless())) as source, pytest.raises(InvalidInput, match="bad_feed_snapshot"):
        source.manifest()


def test_a_host_that_trickles_is_left() -> None:
    async def trickle() -> AsyncIterator[bytes]:
        while True:
            yield b"a"
            await asyncio.sleep(0.02)

    answer = StreamingResponse(trickle(), headers={"Content-Length": "4000000"})
    with served(answer, longest=0.3) as source, pytest.raises(Unavailable, match="feed_snapshot_unavailable"):
        source.manifest()


def test_nobody_there() -> None:
    with pytest.raises(Unavailable, match="feed_snapshot_unavailable"):
        HttpSnapshots("http://127.0.0.1:1/v1/feed/snapshot", "token").manifest()
