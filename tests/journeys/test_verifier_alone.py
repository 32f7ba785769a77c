"""A verifier that somebody hosts alone: what it says, and how old it says that is, while everything else is away."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ecard_issuer.cli.connections import listening
from ecard_keys.trust.root import root_to_json
from ecard_sdk.device import DeviceKey
from ecard_verifier.callers import token_hash
from ecard_verifier.config import load_settings
from ecard_verifier.feed import CredentialIssued
from ecard_verifier.verdict import Outcome
from ecard_verifier.web.assemble import assemble
from tests.verifier.feed_kit import beat, signed, wait_for
from tests.verifier.http_kit import FeedServer, running
from tests.world import ISSUER, World

TOKEN = "t0ken"
#: Settings and secrets of this machine's shell are none of a test's.
SHELL = {name: value for name, value in os.environ.items() if not name.startswith("ECARD_")}


def now() -> datetime:
    return datetime.now(UTC)


class House:
    """One clinic's verifier, and the issuer that it follows, each of which can be away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = World(now=now().replace(microsecond=0))
        self.device = DeviceKey.generate()
        self.compact = self.world.compact(self.world.credential(self.device))
        self.issuer = FeedServer(self.world.trust_document())
        self.issuer.store(1, signed(self.world, CredentialIssued(self.compact), 1))
        self.issuer_port, self.port = _free_port(), _free_port()
        tokens = [{"name": "desk", "role": "counter", "sha256": token_hash(TOKEN)}]
        files = {
            "tokens.json": json.dumps({"format": "ecard-tokens/1", "tokens": tokens}),
            "root.json": json.dumps(root_to_json(self.world.root)),
            "feed-token": "secret",
        }
        for name, content in files.items():
            (folder / name).write_text(content)
        self.client = httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=10)

    @property
    def settings(self) -> dict[str, str]:
        named: Mapping[str, object] = {
            "DATA": self.folder / "data",
            "PORT": self.port,
            "ISSUER_URL": f"http://127.0.0.1:{self.issuer_port}",
            "ISSUER": ISSUER,
            "FEED_TOKEN_FILE": self.folder / "feed-token",
            "TRUST_ROOT": self.folder / "root.json",
            "TOKENS": self.folder / "tokens.json",
        }
        return {f"ECARD_VERIFIER_{name}": str(value) for name, value in named.items()}

    @contextmanager
    def verifier(self) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-m", "ecard_sdk.cli", "serve", "verifier"]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(command, env=SHELL | self.settings, stdout=quiet, stderr=quiet)
        try:
            wait_for(lambda: self._live(process), 40)
            yield process
        finally:
            process.terminate()
            process.wait(20)

    @contextmanager
    def authority(self) -> Iterator[None]:
        """The issuer is there."""
        with running(self.issuer.app, self.issuer_port):
            yield

    def until(self, outcome: str, limit: float = 20) -> dict[str, Any]:
        """Fresh codes until the verifier says `outcome` of one; while the issuer is there it beats."""
        seen: list[dict[str, Any]] = []
        pause = threading.Event()

        def asked() -> bool:
            if seen:
                pause.wait(0.1)  # a scan is work for the verifier: not as often as one can look
            if self.issuer.connected:
                self.issuer.say(beat(self.world, 1, now()))
            seen.append(self.scan(self.device.offline_code(self.compact, now())))
            return bool(seen[-1]["outcome"] == outcome)

        try:
            wait_for(asked, limit)
        except AssertionError:
            raise AssertionError(f"never {outcome}: {seen[-1]['outcome']} {seen[-1]['reason']}") from None
        return seen[-1]

    def scan(self, code: str) -> dict[str, Any]:
        answer = self._http("POST", "/v1/verifications", json={"code": code})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def health(self) -> tuple[int, dict[str, Any]]:
        answer = self._http("GET", "/health/ready")
        return answer.status_code, dict(answer.json())

    def _live(self, process: subprocess.Popen[bytes]) -> bool:
        assert process.poll() is None, "the verifier ended by itself"
        try:
            return self._http("GET", "/health/live").status_code == 200
        except httpx2.HTTPError:
            return False

    def _http(self, method: str, path: str, **more: Any) -> httpx2.Response:
        return self.client.request(method, path, headers={"Authorization": f"Bearer {TOKEN}"}, **more)


def _free_port() -> int:
    with listening("127.0.0.1", 0) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    with house.client:
        yield house


def test_through_an_outage_of_everything_else(house: House) -> None:
    with ExitStack() as first:
        with house.authority():
            process = first.enter_context(house.verifier())
            assert house.until("valid")["reason"] == "ok"
            status, said = house.health()
            assert (status, said["ready"]) == (200, True)
            assert said["status_age"] <= 10
        # The issuer and its trust list are gone: what is known gets older, says so, and is a person's to judge.
        old = house.until("check")
        assert old["reason"] == "status_aging"
        known_as_of = datetime.fromisoformat(old["status_as_of"])
        status, said = house.health()
        assert (status, said["trust"], said["statuses"]) == (503, True, False)
        assert said["status_age"] >= 5
        process.terminate()
        process.wait(20)
    # Started again while everything is still away, it has its files and nothing else, and has not become younger.
    with house.verifier():
        again = house.until("check")
        assert (again["reason"], datetime.fromisoformat(again["status_as_of"])) == ("status_aging", known_as_of)
        with house.authority():
            assert house.until("valid", 40)["reason"] == "ok"
            assert house.health()[0] == 200
    # Its files a quarter of an hour later, with everything away: nobody can say.
    late = {"now": now() + timedelta(minutes=16)}
    verifier = assemble(load_settings(house.settings), clock=lambda: late["now"])
    try:
        code = house.device.offline_code(house.compact, late["now"])
        verdict = verifier.service.verify(code).verdict
        assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "status_stale")
        late["now"] += timedelta(days=8)
        code = house.device.offline_code(house.compact, late["now"])
        verdict = verifier.service.verify(code).verdict
        assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "trust_expired")
    finally:
        verifier.stop()


def test_a_full_disk_is_never_green_and_uses_no_code_up(house: House) -> None:
    with house.authority(), house.verifier() as process:
        house.until("valid")
        before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        code = house.device.offline_code(house.compact, now())
        full = [house.scan(code) for _ in range(2)]
        assert [(one["outcome"], one["reason"]) for one in full] == [("undecided", "replay_guard_unavailable")] * 2
        assert full[0]["claims"] == {}
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before)
        seen = house.scan(code)
        assert seen["outcome"] in ("valid", "check"), "freed, it goes on by itself, and the code is still good"
        assert house.scan(code)["reason"] == "replayed"
