"""The vault home when its server is sick: a real OpenBao that is killed, sealed, stopped, restricted or changed, and
a false one that answers oddly. Every failing call must be over within two seconds and say what is wrong."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ecard_card.errors import EcardError
from ecard_keys.key import KeyPurpose
from ecard_keys.verify import load_public_key, verify
from tests.openbao import OpenBao, running_openbao

vault = pytest.importorskip("ecard_keys.homes.vault", reason="hvac not found: pip install -e '.[vault]'")
VaultKeyHome = vault.VaultKeyHome

NOW = datetime(2026, 11, 23, tzinfo=UTC)
#: Seconds: no failing call may take longer, and after the server's return the home must serve within `RETURN`.
LIMIT, RETURN = 2.0, 5.0


class Clock:
    """The machine's clock, set forward by the test."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.stopped: float | None = None

    def __call__(self) -> float:
        return (time.monotonic() if self.stopped is None else self.stopped) + self.ahead


class Patient:
    """A home and one key of it, whose failing calls are timed."""

    def __init__(self, home: Any, clock: Clock, archive: Path, record: Callable[[str, object], None]) -> None:
        self.home, self.clock, self.archive, self._record = home, clock, archive, record
        self.key_id: str = home.create(KeyPurpose.CREDENTIAL, NOW)
        self.public: bytes = home.public_key(self.key_id)
        self.worst = 0.0

    @property
    def name(self) -> str:
        return str(json.loads(self.archive.read_text("utf-8").splitlines()[0])["name"])

    def sign(self, message: bytes = b"message") -> None:
        signature = self.home.sign(self.key_id, [message])[0]
        assert verify(load_public_key(self.public), message, signature)

    def fails(self, code: str, within: float = LIMIT) -> None:
        begin = time.monotonic()
        with pytest.raises(EcardError) as refusal:
            self.home.sign(self.key_id, [b"message"])
        took = time.monotonic() - begin
        assert refusal.value.code == code
        assert took < within
        self.worst = max(self.worst, took)
        self._record("counts", f"{code} after {took * 1e3:.0f} ms")

    def recovers(self) -> None:
        """By itself, as callers go on asking."""
        begin = time.monotonic()
        while True:
            try:
                self.sign()
                break
            except EcardError:
                assert time.monotonic() - begin < RETURN
        self._record("counts", f"serves {time.monotonic() - begin:.2f} s after the return")


@pytest.fixture
def patient(openbao: OpenBao, tmp_path: Path, record_property: Any) -> Patient:
    return ill(openbao, tmp_path, record_property)


def ill(server: OpenBao, folder: Path, record: Any, **settings: Any) -> Patient:
    clock, archive = Clock(), folder / "keys.jsonl"
    return Patient(VaultKeyHome(server.settings(**settings), archive, monotonic=clock), clock, archive, record)


# -- The server is not there ------------------------------------------------------------------------------------------


def test_killed_and_started_again(durable_openbao: OpenBao, tmp_path: Path, record_property: Any) -> None:
    patient = ill(durable_openbao, tmp_path, record_property)
    durable_openbao.kill()
    patient.fails("key_home_unavailable")
    patient.fails("key_home_unavailable", within=0.1)  # the breaker
    assert patient.home.public_key(patient.key_id) == patient.public
    assert len(patient.home.held()) == 1
    durable_openbao.start()
    patient.clock.ahead += 1
    patient.fails("key_home_sealed")
    durable_openbao.unseal()
    patient.recovers()


def test_sealed_and_unsealed(openbao: OpenBao, patient: Patient) -> None:
    openbao.seal()
    patient.fails("key_home_sealed")
    patient.clock.ahead += 100_000  # the token's time is over: now the login meets the seal
    patient.fails("key_home_sealed")
    openbao.unseal()
    patient.recovers()


def test_hung(openbao: OpenBao, patient: Patient) -> None:
    openbao.hang()
    try:
        patient.fails("key_home_timeout")
        patient.fails("key_home_unavailable", within=0.1)
        patient.clock.ahead += 1
        patient.fails("key_home_timeout")
    finally:
        openbao.go_on()
    patient.recovers()


def test_hung_while_logging_in(openbao: OpenBao, patient: Patient) -> None:
    patient.clock.ahead += 100_000
    openbao.hang()
    try:
        patient.fails("key_home_timeout")
    finally:
        openbao.go_on()
    patient.recovers()


def test_hung_with_many_callers(openbao: OpenBao, patient: Patient) -> None:
    """Nobody queues behind another's waiting, not even for the login."""
    patient.clock.ahead += 100_000
    took: list[float] = []

    def call() -> None:
        begin = time.monotonic()
        with pytest.raises(EcardError):
            patient.home.sign(patient.key_id, [b"message"])
        took.append(time.monotonic() - begin)

    openbao.hang()
    try:
        callers = [threading.Thread(target=call) for _ in range(12)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    finally:
        openbao.go_on()
    assert len(took) == 12
    assert max(took) < LIMIT


def test_nothing_is_sent_of_a_batch_with_a_bad_item(openbao: OpenBao, patient: Patient) -> None:
    openbao.hang()
    begin = time.monotonic()
    try:
        with pytest.raises(EcardError) as refusal:
            patient.home.sign(patient.key_id, [b"good"] * 600 + ["text"])
    finally:
        openbao.go_on()
    assert refusal.value.code == "bad_message"
    assert time.monotonic() - begin < 0.5


# -- The token --------------------------------------------------------------------------------------------------------


def test_a_short_lived_token_is_replaced_in_time(openbao: OpenBao, tmp_path: Path, record_property: Any) -> None:
    """Over three lives of the token, which the role lets nobody make longer."""
    patient = ill(openbao, tmp_path, record_property, ttl="1s", max_ttl="1s")
    until, calls = time.monotonic() + 3, 0
    while time.monotonic() < until:
        patient.sign()
        calls += 1
    record_property("counts", f"{calls} calls, none failed")


def test_an_expired_token_costs_one_login(openbao: OpenBao, patient: Patient) -> None:
    patient.clock.ahead += 2
    openbao.admin().sys.revoke_prefix("auth/approle/login")
    patient.sign()
    openbao.admin().sys.revoke_prefix("auth/approle/login")
    patient.fails("key_home_forbidden")  # that token was new: no second login at once
    patient.clock.ahead += 1
    patient.sign()


def test_a_token_that_ends_unnoticed(openbao: OpenBao, tmp_path: Path, record_property: Any) -> None:
    """The home's clock stands still, a little after the login; the server's goes on, past the token's end."""
    patient = ill(openbao, tmp_path, record_property, ttl="3s", max_ttl="3s")
    patient.clock.stopped = time.monotonic() + 1.2
    until = time.monotonic() + 4
    while time.monotonic() < until:
        patient.sign()


def test_a_forked_process_has_connections_of_its_own(openbao: OpenBao, patient: Patient) -> None:
    patient.sign()
    child = os.fork()
    try:
        for number in range(200):
            patient.sign(b"%d %d" % (child, number))
    except BaseException:
        if child == 0:
            os._exit(1)
        raise
    if child == 0:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_a_refused_early_login_does_no_harm_while_the_token_lives(
    openbao: OpenBao, tmp_path: Path, record_property: Any, caplog: pytest.LogCaptureFixture
) -> None:
    patient = ill(openbao, tmp_path, record_property, ttl="1000s", max_ttl="1000s")
    admin, role = openbao.admin(), openbao.last_role
    for accessor in admin.auth.approle.list_secret_id_accessors(role)["data"]["keys"]:
        admin.auth.approle.destroy_secret_id_accessor(role, accessor)
    patient.clock.ahead += 700
    with caplog.at_level(logging.WARNING, "ecard.keys"):
        patient.sign()
    assert "login refused" in caplog.text
    patient.clock.ahead += 301
    patient.fails("key_home_login_refused")


# -- Rights and keys change at the server -----------------------------------------------------------------------------


def test_a_policy_taken_away_and_given_back(openbao: OpenBao, patient: Patient) -> None:
    admin = openbao.admin()
    rules = admin.sys.read_policy("vault-sign")["data"]["rules"]
    admin.sys.delete_policy("vault-sign")
    patient.fails("key_home_forbidden")
    patient.clock.ahead += 10
    patient.fails("key_home_forbidden")
    admin.sys.create_or_update_policy("vault-sign", rules)
    patient.sign()


def test_version_one_put_away(openbao: OpenBao, patient: Patient) -> None:
    transit = openbao.admin().secrets.transit
    transit.rotate_key(patient.name)
    patient.sign()
    transit.update_key_configuration(patient.name, min_encryption_version=2)
    patient.fails("key_version_archived")
    transit.update_key_configuration(patient.name, min_encryption_version=0)
    patient.sign()
    transit.update_key_configuration(patient.name, min_encryption_version=2)
    transit.update_key_configuration(patient.name, min_decryption_version=2)
    transit.trim_key(patient.name, 2)
    patient.fails("key_version_archived")


def test_a_key_exchanged_at_the_server(openbao: OpenBao, patient: Patient) -> None:
    transit = openbao.admin().secrets.transit
    transit.update_key_configuration(patient.name, deletion_allowed=True)
    transit.delete_key(patient.name)
    patient.fails("key_unknown")
    transit.create_key(patient.name, key_type="ecdsa-p256")
    patient.fails("key_home_foreign_key")
    with pytest.raises(EcardError) as refusal:
        patient.home.rebuild()
    assert refusal.value.code == "key_home_foreign_key"


def test_destroying_is_finished_after_a_crash(openbao: OpenBao, patient: Patient) -> None:
    transit = openbao.admin().secrets.transit
    transit.update_key_configuration(patient.name, deletion_allowed=True)
    transit.delete_key(patient.name)  # and the crash came before the archive was told
    patient.home.destroy(patient.key_id)
    assert patient.home.held() == ()


# -- TLS and false servers --------------------------------------------------------------------------------------------


def test_the_certificate_is_checked(tmp_path: Path, record_property: Any) -> None:
    with running_openbao(tls=True) as server:
        patient = ill(server, tmp_path, record_property)
        patient.sign()
        stranger = VaultKeyHome(replace(server.settings(), ca=None), patient.archive)
        patient.home = stranger
        patient.fails("key_home_unavailable")


class FalseServer:
    """Speaks just enough of the API; `answer` makes the reply to a sign request."""

    def __init__(self) -> None:
        self.answer: Callable[[BaseHTTPRequestHandler, dict[str, Any]], None] = lambda handler, body: None
        self.over = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path.endswith("/login"):
                    reply(self, {"auth": {"client_token": "t", "lease_duration": 60}})
                else:
                    outer.answer(self, body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}"


def reply(handler: BaseHTTPRequestHandler, content: object, status: int = 200, **headers: str) -> None:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def results(*items: object) -> dict[str, object]:
    return {"data": {"batch_results": list(items)}}


def signature(size: int = 86, version: int = 1, mark: str = "vault:v1:") -> dict[str, object]:
    return {"signature": mark + "A" * size, "key_version": version}


@pytest.fixture
def false_server() -> Iterator[FalseServer]:
    server = FalseServer()
    thread = threading.Thread(target=server.server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.over.set()
    server.server.shutdown()
    thread.join()
    server.server.server_close()


@pytest.fixture
def cheated(openbao_server: OpenBao, false_server: FalseServer, tmp_path: Path) -> Patient:
    """A home whose key is at a real server and whose address is now that of a false one."""
    patient = ill(openbao_server, tmp_path, lambda name, value: None)
    settings = replace(openbao_server.settings(), address=false_server.address)
    patient.home = VaultKeyHome(settings, patient.archive, monotonic=patient.clock)
    return patient


_ODD: dict[str, Any] = {
    "html": (b"<html>", 200),
    "nothing": (b"", 200),
    "an array": ([], 200),
    "no data": ({}, 200),
    "a member twice": (b'{"data":{},"data":{}}', 200),
    "no result": (results(), 200),
    "two results": (results(signature(), signature()), 200),
    "short": (results(signature(size=85)), 200),
    "long": (results(signature(size=87)), 200),
    "der": (results(signature(size=96)), 200),
    "not base64url": (results({"signature": "vault:v1:" + "+" * 86, "key_version": 1}), 200),
    "another version": (results(signature(version=2, mark="vault:v2:")), 200),
    "versions at odds": (results(signature(version=2)), 200),
    "an error in the item": (results({"error": "made up", "key_version": 0}), 200),
    "a number": (results(7), 200),
    "an endless answer": (b"[" * (5 << 20), 200),
    "unasked status": ({"data": {}}, 202),
    "bad request": ({"errors": ["what?"]}, 400),
    "bad request in html": (b"<html>", 400),
    "no such page": (b"404 page not found", 404),
}


@pytest.mark.parametrize("odd", _ODD)
def test_an_odd_answer_is_refused(cheated: Patient, false_server: FalseServer, odd: str) -> None:
    content, status = _ODD[odd]
    false_server.answer = lambda handler, body: reply(handler, content, status)
    cheated.fails("key_home_answer_refused")


def test_a_signature_that_does_not_hold_is_not_handed_on(
    openbao_server: OpenBao, cheated: Patient, false_server: FalseServer, tmp_path: Path
) -> None:
    """Two good signatures, in the wrong order. The false server is then asked for the key and says nothing."""
    transit = openbao_server.admin().secrets.transit

    def swapped(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        made = transit.sign_data(
            cheated.name,
            batch_input=body["batch_input"][::-1],
            key_version=1,
            prehashed=True,
            marshaling_algorithm="jws",
        )
        reply(handler, made)

    false_server.answer = swapped
    assert len(cheated.home.sign(cheated.key_id, [b"alone"])) == 1
    with pytest.raises(EcardError):
        cheated.home.sign(cheated.key_id, [b"one", b"two"])


def test_the_server_sees_digests_only(cheated: Patient, false_server: FalseServer) -> None:
    seen: list[dict[str, Any]] = []

    def look(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        seen.append(body)
        reply(handler, {})

    false_server.answer = look
    cheated.fails("key_home_answer_refused")
    assert seen[0] == {
        "batch_input": [{"input": "q1MKE+RZFJgrefm34/uplM/R8/si9xzqGvvwK0YMbR0="}],
        "hash_algorithm": "sha2-256",
        "input": None,
        "key_version": 1,
        "marshaling_algorithm": "jws",
        "prehashed": True,
    }


@pytest.mark.parametrize("status", [301, 307])
def test_no_redirect_is_followed(
    openbao_server: OpenBao, cheated: Patient, false_server: FalseServer, status: int
) -> None:
    false_server.answer = lambda handler, body: reply(
        handler, b"", status, Location=openbao_server.address + handler.path
    )
    cheated.fails("key_home_answer_refused")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 599])
def test_a_failing_server_is_unavailable(cheated: Patient, false_server: FalseServer, status: int) -> None:
    false_server.answer = lambda handler, body: reply(handler, {"errors": ["internal"]}, status)
    cheated.fails("key_home_unavailable")
    cheated.fails("key_home_unavailable", within=0.1)


def test_a_failing_proxy_is_unavailable(cheated: Patient, false_server: FalseServer) -> None:
    false_server.answer = lambda handler, body: reply(handler, b"<html>Service Unavailable", 503)
    cheated.fails("key_home_unavailable")


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_a_dripping_answer_is_over_in_time(cheated: Patient, false_server: FalseServer, connection: str) -> None:
    def drip(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.send_header("Connection", connection)
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            if false_server.over.wait(0.2):
                return

    false_server.answer = drip
    cheated.fails("key_home_timeout")


def test_an_answer_that_begins_late_and_stalls_is_over_in_time(cheated: Patient, false_server: FalseServer) -> None:
    def stall(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        false_server.over.wait(1.0)
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.flush()
        false_server.over.wait(5)

    false_server.answer = stall
    cheated.fails("key_home_timeout")


def test_a_connection_cut_in_the_answer(cheated: Patient, false_server: FalseServer) -> None:
    def cut(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"{")
        handler.close_connection = True

    false_server.answer = cut
    cheated.fails("key_home_unavailable")


def test_what_the_server_says_is_not_repeated(cheated: Patient, false_server: FalseServer) -> None:
    false_server.answer = lambda handler, body: reply(handler, {"errors": ["hush 110101199003070011"]}, 400)
    with pytest.raises(EcardError) as refusal:
        cheated.home.sign(cheated.key_id, [b"message"])
    assert "hush" not in str(refusal.value)
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__
