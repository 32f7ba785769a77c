"""The way out: only to where it is allowed, bounded, never redirected, TLS verified."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ecard_card.errors import InvalidInput, Unavailable
from ecard_issuer.partners.schedule import Answer, retry_after
from ecard_issuer.partners.sending import HttpSender
from ecard_issuer.partners.targets import Targets

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
LOOPBACK = ("127.0.0.0/8",)
Reply = Callable[[http.server.BaseHTTPRequestHandler], None]


@contextmanager
def receiver(reply: Reply, trusted: ssl.SSLContext | None = None) -> Iterator[tuple[int, list[tuple[str, bytes]]]]:
    """A server of this machine: its port, and what it was sent."""
    heard: list[tuple[str, bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.append((str(self.headers["Host"]), body))
            reply(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if trusted is not None:
        server.socket = trusted.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield int(server.server_address[1]), heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def says(status: int, **headers: str) -> Reply:
    def reply(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return reply


def send(port: int, *, scheme: str = "http", name: str = "127.0.0.1", **more: float) -> Answer:
    targets = Targets(LOOPBACK, resolve=lambda host: ["127.0.0.1"])
    return HttpSender(targets, lambda: NOW, **more).send(f"{scheme}://{name}:{port}/hook", b"{}", {})  # type: ignore[arg-type]


CASES = [
    (says(202), Answer(taken=True, result="http_202")),
    (says(204), Answer(taken=True, result="http_204")),
    (says(400), Answer(taken=False, result="http_400", blames_event=True)),
    (says(404), Answer(taken=False, result="http_404")),
    (says(410), Answer(taken=False, result="http_410", gone=True)),
    (says(429, Retry_After="90"), Answer(taken=False, result="http_429", retry_after=90)),
    (says(503, Retry_After="Mon, 30 Nov 2026 12:01:00 GMT"), Answer(taken=False, result="http_503", retry_after=60)),
    (says(500), Answer(taken=False, result="http_500")),
]


@pytest.mark.parametrize(("reply", "answer"), CASES, ids=lambda case: getattr(case, "result", ""))
def test_what_a_receiver_says_is_read_in_one_way(reply: Reply, answer: Answer) -> None:
    with receiver(reply) as (port, heard):
        assert send(port, name="partner.example") == answer
        assert heard == [(f"partner.example:{port}", b"{}")]


def test_a_redirect_is_not_followed() -> None:
    with (
        receiver(says(202)) as (inside, heard),
        receiver(says(307, Location=f"http://127.0.0.1:{inside}/")) as (port, _),
    ):
        assert send(port) == Answer(taken=False, result="http_307")
        assert heard == []


def test_an_endless_answer_a_slow_one_and_none_are_cut_off() -> None:
    def endless(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(202)
        handler.end_headers()
        for _ in range(10_000):
            handler.wfile.write(bytes(4096))

    def drip(handler: http.server.BaseHTTPRequestHandler) -> None:
        release.wait(5)

    release = threading.Event()
    with receiver(endless) as (port, _):
        assert send(port).taken
    with receiver(drip) as (port, _):
        assert send(port, timeout=0.1, longest=0.3) == Answer(taken=False, result="timeout")
        release.set()
    assert send(port).result == "no_answer"  # nobody listens there any more


def certified(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate of its own for `name`, and one that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=str(pem))


def test_tls_is_verified_for_the_name_and_not_for_the_address(tmp_path: Path) -> None:
    server, trusted = certified(tmp_path, "partner.example")
    targets = Targets(LOOPBACK, resolve=lambda host: ["127.0.0.1"])
    with receiver(says(202), server) as (port, heard):
        sender = HttpSender(targets, lambda: NOW, trusted=trusted)
        assert sender.send(f"https://partner.example:{port}/", b"1", {}).taken
        assert sender.send(f"https://other.example:{port}/", b"2", {}) == Answer(taken=False, result="no_answer")
        unknown = HttpSender(targets, lambda: NOW)
        assert unknown.send(f"https://partner.example:{port}/", b"3", {}) == Answer(taken=False, result="no_answer")
        assert [body for _, body in heard] == [b"1"]


FORBIDDEN = [
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.5.5", "192.168.1.1", "169.254.169.254", "100.64.0.1",  # noqa: S104
    "100.100.100.200", "192.0.0.192", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::1", "::",
    "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1",
    "168.63.129.16", "64:ff9b:1::a00:1", "2002:7f00:1::", "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("address", FORBIDDEN)
def test_no_private_address_is_sent_to_by_number_or_by_name(address: str) -> None:
    shown = f"[{address}]" if ":" in address else address
    with pytest.raises(InvalidInput, match="bad_endpoint"):
        Targets().check(f"https://{shown}/hook")
    named = Targets(resolve=lambda host: ["93.184.216.34", address])
    with pytest.raises(Unavailable, match="endpoint_refused"):
        named.resolve("https://partner.example/hook")
    assert HttpSender(named, lambda: NOW).send("https://partner.example/", b"", {}).result == "endpoint_refused"


@pytest.mark.parametrize(
    "url",
    [
        "http://partner.example/",
        "ftp://partner.example/",
        "https://user:secret@partner.example/",
        "https:///hook",
        "https://partner.example/#part",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://partner.example /",
        "https://пример.example/",
        "https://partner.example/\r\nHost: other",
        "",
        "https://" + "a" * 1100,
    ],
)
def test_an_odd_address_is_refused_when_it_is_given(url: str) -> None:
    with pytest.raises(InvalidInput, match="bad_endpoint"):
        Targets().check(url)


def test_a_name_is_judged_at_each_delivery_and_connected_to_as_judged() -> None:
    answers = iter([["93.184.216.34"], ["10.0.0.8"], []])
    targets = Targets(resolve=lambda host: next(answers))
    target = targets.resolve("https://partner.example:8443/hook?a=1")
    assert str(target.url) == "https://93.184.216.34:8443/hook?a=1"
    assert (target.host, target.server_name) == ("partner.example:8443", "partner.example")
    with pytest.raises(Unavailable, match="endpoint_refused"):
        targets.resolve("https://partner.example/")
    with pytest.raises(Unavailable, match="endpoint_unreachable"):
        targets.resolve("https://partner.example/")


def test_a_setting_permits_a_network_and_nothing_beside_it() -> None:
    targets = Targets(("10.1.0.0/16",), resolve=lambda host: ["10.1.2.3"])
    assert targets.resolve("http://partner.internal/hook").host == "partner.internal"
    with pytest.raises(InvalidInput, match="bad_endpoint"):
        targets.check("https://10.2.0.1/")
    with pytest.raises(Unavailable, match="endpoint_refused"):  # plain http to the public internet
        Targets(("10.1.0.0/16",), resolve=lambda host: ["93.184.216.34"]).resolve("http://partner.example/")


@pytest.mark.parametrize("value", ["-1", "1.5", "soon", "９", "9" * 80, "", None, "Mon, 99 Nov 2026 12:01:00 GMT"])
def test_a_retry_after_that_cannot_be_read_is_none(value: str | None) -> None:
    assert retry_after(value, NOW) is None
