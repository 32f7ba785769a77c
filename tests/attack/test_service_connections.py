"""Peers that are slow, many, or speak no HTTP: each is answered or cut off in time, and the others never notice."""

from __future__ import annotations

import json
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ecard_issuer.cli import connections
from ecard_issuer.cli.connections import Connection, listening, most_connections
from ecard_verifier.web.middleware import BodyLimit, Guard
from tests.verifier.http_kit import serving_thread

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


async def _answer(request: Request) -> Response:
    return Response(await request.body() or b"here")


def application(patience: float) -> ASGIApp:
    app = Starlette(routes=[Route("/", _answer, methods=["GET", "POST"])])
    return Guard(BodyLimit(app, patience=patience))


@contextmanager
def serving(patience: float = 20, most: int | None = None) -> Iterator[int]:
    """The port of a server as `ecard serve` makes it."""
    with listening("127.0.0.1", 0) as listener:
        config = uvicorn.Config(
            application(patience), http=Connection, limit_concurrency=most, log_level="error", access_log=False
        )
        with serving_thread(uvicorn.Server(config), listener):
            yield int(listener.getsockname()[1])


@contextmanager
def peer(port: int, said: bytes = b"") -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(said)
        yield connection


def heard(connection: socket.socket) -> bytes:
    """All that comes until the server closes; fails where it never does."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def served(connection: socket.socket) -> bool:
    """Whether the next answer is the application's."""
    answer = b""
    while not answer.endswith(b"here") and (part := connection.recv(65536)):
        answer += part
    return b"200 OK" in answer and answer.endswith(b"here")


def problem_in(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    return int(head.split()[1]), str(json.loads(body)["code"])


@pytest.mark.parametrize("said", [b"", b"G", b"GET / HTTP/1.1\r\nHost: a\r\nX: "])
def test_a_head_that_never_ends_is_cut_off(monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    monkeypatch.setattr(connections, "ARRIVAL", 0.2)
    with serving() as port, peer(port, said) as slow:
        started = time.monotonic()
        assert heard(slow) == b""
        assert time.monotonic() - started < 3


def test_whoever_has_been_answered_may_rest_and_ask_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "ARRIVAL", 0.1)
    with serving() as port, peer(port, GET) as connection:
        assert served(connection)
        connection.settimeout(0.4)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(5)
        connection.sendall(GET)
        assert served(connection)
        connection.sendall(b"GET")  # and is timed again
        assert heard(connection) == b""


@pytest.mark.parametrize(
    "body",
    [b"Content-Length: 100\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"],
    ids=["length", "chunked"],
)
def test_a_body_that_never_ends_is_given_up(body: bytes) -> None:
    with serving(patience=0.2) as port, peer(port, POST + body) as slow:
        assert problem_in(heard(slow)) == (408, "invalid_request")


def test_a_body_that_is_too_large_and_never_ends_is_given_up() -> None:
    with serving(patience=0.2) as port, peer(port, POST + b"Content-Length: 999999999\r\n\r\n{") as slow:
        assert problem_in(heard(slow)) == (413, "body_too_large")


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 200_000,
    ],
    ids=["tls", "two hosts", "negative length", "long header"],
)
def test_what_is_no_http_gets_a_problem_document(said: bytes) -> None:
    with serving() as port:
        with peer(port) as connection:
            try:
                connection.sendall(said)
                answer = heard(connection)
            except ConnectionError:  # cut off while we were still writing
                assert len(said) > 100_000
            else:
                assert problem_in(answer) == (400, "invalid_request")
        with peer(port, GET) as connection:
            assert served(connection)


def test_one_peer_too_many_hears_so_and_the_others_are_served() -> None:
    with serving(most=3) as port:
        with peer(port) as first, peer(port), peer(port):
            with peer(port, b"") as extra:
                assert problem_in(heard(extra)) == (503, "service_unavailable")
            first.sendall(GET)
            assert served(first)
        deadline = time.monotonic() + 5
        while True:
            with peer(port, GET) as connection:
                if served(connection):
                    break
            assert time.monotonic() < deadline


def test_an_answer_is_sent_without_delay() -> None:
    """Without TCP_NODELAY an answer of two writes waits 40 ms for the other side's acknowledgement."""
    with listening("127.0.0.1", 0) as listener, peer(listener.getsockname()[1]):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_there_are_descriptors_left_for_files() -> None:
    assert 0 < most_connections() <= resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200
