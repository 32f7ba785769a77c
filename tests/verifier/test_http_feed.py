"""Server-sent events as bytes: cut anywhere, never unbounded, and nothing of a server's oddities leaves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import count, pairwise

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card.errors import Unavailable
from ecard_verifier.http_feed import MAX_LINE, HttpFeed, read_messages

STREAM = (
    b": hello\n\nid: 1\nevent: set\ndata: one\n\nevent: beat\r\ndata: two\r\n\r\nevent:set\rdata:three\r\r"
    b"event: other\ndata: no\n\ndata: no kind\n\nevent: set\n\nevent: set\ndata: four\ndata: lines\n\n"
    b"event: set\ndata: cut"
)
SAID = ["one", "two", "three", "four\nlines"]


def test_messages_of_the_two_kinds_are_read_and_others_left_out() -> None:
    assert list(read_messages([STREAM])) == SAID


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_it_does_not_matter_where_the_chunks_are_cut(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    chunks = [STREAM[start:end] for start, end in pairwise(places)]
    assert list(read_messages(chunks)) == SAID


def test_byte_by_byte_is_the_same() -> None:
    assert list(read_messages(bytes([byte]) for byte in STREAM)) == SAID


def endless(piece: bytes) -> Iterator[bytes]:
    while True:
        yield piece


@pytest.mark.parametrize(
    "chunks",
    [
        endless(b"data: "),
        endless(b"data: x\n"),
        [b"data: " + bytes(MAX_LINE)],
        [b"event: set\ndata: \xff\xfe\n\n"],
    ],
)
def test_what_has_no_end_or_is_not_utf8_is_unavailable(chunks: Iterator[bytes]) -> None:
    with pytest.raises(Unavailable):
        list(read_messages(chunks))


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_any_bytes_raise_only_our_error(chunks: list[bytes]) -> None:
    messages: list[str] = []
    with suppress(Unavailable):
        messages.extend(read_messages(chunks))
    assert all(isinstance(message, str) for message in messages)


def events(answer: httpx2.Response | Exception) -> list[str]:
    def respond(request: httpx2.Request) -> httpx2.Response:
        if isinstance(answer, Exception):
            raise answer
        assert request.url.params["since"] == "4"
        assert request.headers["authorization"] == "Bearer t0ken"
        return answer

    feed = HttpFeed("http://127.0.0.1/v1/feed", "t0ken", transport=httpx2.MockTransport(respond))
    assert "t0ken" not in repr(feed)
    return list(feed.events(4))


def test_bytes_without_a_message_do_not_keep_a_line_alive() -> None:
    hours = count(0, 3600)
    headers = {"Content-Type": "text/event-stream"}
    answer = httpx2.Response(200, headers=headers, stream=Comments())
    feed = HttpFeed(
        "http://127.0.0.1/", "t", transport=httpx2.MockTransport(lambda _: answer), monotonic=lambda: float(next(hours))
    )
    with pytest.raises(Unavailable):
        list(feed.events(0))


class Comments(httpx2.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        return endless(b": still here\n\n")


def test_a_good_answer_is_streamed() -> None:
    headers = {"Content-Type": "text/event-stream; charset=utf-8"}
    assert events(httpx2.Response(200, headers=headers, stream=httpx2.ByteStream(STREAM))) == SAID


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(401),
        httpx2.Response(500),
        httpx2.Response(307, headers={"Location": "http://127.0.0.1/other"}),
        httpx2.Response(200, headers={"Content-Type": "text/html"}, stream=httpx2.ByteStream(b"<html>")),
        httpx2.Response(
            200,
            headers={"Content-Type": "text/event-stream", "Content-Encoding": "gzip"},
            stream=httpx2.ByteStream(b"x"),
        ),
        httpx2.ConnectError("refused"),
        httpx2.ReadTimeout("silence"),
        httpx2.RemoteProtocolError("torn"),
    ],
)
def test_every_odd_answer_is_unavailable(answer: httpx2.Response | Exception) -> None:
    with pytest.raises(Unavailable) as caught:
        events(answer)
    assert caught.value.code == "feed_unavailable"


@pytest.mark.parametrize("url", ["not a url", "ftp://127.0.0.1/feed", "http://", "http://[::1"])
def test_an_impossible_address_is_unavailable(url: str) -> None:
    with pytest.raises(Unavailable):
        list(HttpFeed(url, "t").events(0))
