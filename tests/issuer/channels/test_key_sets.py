"""Key sets of channels: held for a short time, fetched once, and never from where nobody should knock."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from ecard_card.errors import Unavailable
from ecard_issuer.channels.key_sets import HELD, LONGEST_HELD, PAUSE, HttpFetch, KeySets
from ecard_issuer.channels.values import Registration, registration_from_json
from ecard_issuer.partners.targets import Targets
from ecard_keys.client_keys import MAX_KEY_SET
from ecard_keys.client_signer import ClientSigner
from tests.contracts.register_world import NOW
from tests.issuer.channel_kit import registration

URI = "https://keys.bank.example/jwks.json"
OLD, NEW = ClientSigner.generate("old"), ClientSigner.generate("new")


def document(*signers: ClientSigner) -> bytes:
    return json.dumps({"keys": [signer.public_jwk for signer in signers]}).encode()


class Server:
    """Serves one answer, counts, and fails on cue."""

    def __init__(self, answer: bytes) -> None:
        self.answer: bytes | None = answer
        self.asked = 0

    def __call__(self, url: str) -> bytes:
        assert url == URI
        self.asked += 1
        if self.answer is None:
            raise Unavailable("key_set_unreachable", "not there")
        return self.answer


def remote() -> Registration:
    return registration_from_json(registration(OLD, jwks=None, jwks_uri=URI), test=False)


def kids(sets: KeySets, kid: str, seconds: float = 0, registered: Registration | None = None) -> list[str]:
    keys = sets.keys_of("ek", registered or remote(), kid, NOW + timedelta(seconds=seconds))
    return [key.kid for key in keys]


def test_inline_keys_are_those_registered() -> None:
    server = Server(b"")
    inline = registration_from_json(registration(OLD), test=False)
    assert kids(KeySets(server), "old", registered=inline) == ["old"]
    assert server.asked == 0


def test_a_key_is_rotated_with_an_overlap() -> None:
    server = Server(document(OLD))
    sets = KeySets(server)
    assert kids(sets, "old") == ["old"]
    assert kids(sets, "old", 1) == ["old"]
    assert server.asked == 1
    server.answer = document(OLD, NEW)
    assert kids(sets, "new", PAUSE.total_seconds() - 1) == ["old"]  # not yet: one fetch in a pause, whoever asks
    assert server.asked == 1
    assert kids(sets, "new", PAUSE.total_seconds()) == ["old", "new"]
    server.answer = document(NEW)
    assert kids(sets, "old", PAUSE.total_seconds() + HELD.total_seconds()) == ["new"]
    for guess in range(50):
        kids(sets, f"guess-{guess}", PAUSE.total_seconds() + HELD.total_seconds() + 1)
    assert server.asked == 3


def test_where_it_cannot_be_fetched_the_keys_are_believed_for_a_while_and_then_no_more() -> None:
    server = Server(document(OLD))
    sets = KeySets(server)
    assert kids(sets, "old") == ["old"]
    server.answer = None
    for age in (HELD.total_seconds(), LONGEST_HELD.total_seconds() - 1):
        assert kids(sets, "old", age) == ["old"]
    for age in (LONGEST_HELD.total_seconds(), LONGEST_HELD.total_seconds() + 1):
        with pytest.raises(Unavailable, match="key_set_unreachable"):
            kids(sets, "old", age)
    assert server.asked == 3  # the last one came within a pause, as did the second
    server.answer = document(OLD)
    assert kids(sets, "old", LONGEST_HELD.total_seconds() + 60) == ["old"]


@pytest.mark.parametrize(
    "answer",
    [b"", b"[]", b"{}", b'{"keys":[]}', b'{"keys":[{"kty":"oct","k":"AA","kid":"old"}]}', b"\xff", b"[" * 5000],
)
def test_a_set_that_cannot_be_used(answer: bytes) -> None:
    with pytest.raises(Unavailable, match="key_set_unreachable"):
        kids(KeySets(Server(answer)), "old")


def test_a_slow_server_of_one_app_holds_one_request_only() -> None:
    asked, go_on = threading.Event(), threading.Event()

    def slow(url: str) -> bytes:
        asked.set()
        assert go_on.wait(10)
        return document(OLD)

    sets = KeySets(slow)
    first = threading.Thread(target=kids, args=(sets, "old"))
    first.start()
    assert asked.wait(10)
    with pytest.raises(Unavailable, match="key_set_unreachable"):
        kids(sets, "old", 1)
    go_on.set()
    first.join(10)
    assert kids(sets, "old", 2) == ["old"]


@contextmanager
def serving(reply: Callable[[http.server.BaseHTTPRequestHandler], None]) -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reply(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def says(status: int, body: bytes, **headers: str) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    def reply(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return reply


def test_a_fetch_is_one_answer_of_200_and_of_bounded_size() -> None:
    permitted = HttpFetch(Targets(["127.0.0.0/8"]))
    with serving(says(200, document(OLD))) as port:
        assert permitted(f"http://127.0.0.1:{port}/jwks") == document(OLD)
    refused = [
        says(302, b"", Location="http://127.0.0.1:1/"),
        says(404, document(OLD)),
        says(200, b" " * (MAX_KEY_SET + 1)),
    ]
    for reply in refused:
        with serving(reply) as port, pytest.raises(Unavailable, match="key_set_unreachable"):
            permitted(f"http://127.0.0.1:{port}/jwks")


def test_a_fetch_does_not_knock_inside() -> None:
    inside = HttpFetch(Targets(resolve=lambda host: ["10.0.0.7"]))
    for url in (
        URI,
        "https://127.0.0.1/jwks",
        "http://keys.bank.example/jwks",
        "https://169.254.169.254/",
        "file:///etc",
    ):
        with pytest.raises(Unavailable, match="key_set_unreachable"):
            inside(url)
