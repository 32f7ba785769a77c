"""`ecard serve` as a real process: it says where to look, hears other processes, and ends cleanly."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from ecard_card.card import ChipAssurance
from ecard_card.status import CardChange
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.chip.in_process import InProcessReader
from ecard_issuer.chip.prove import prove_chip
from ecard_issuer.chip.read import read_chip
from ecard_issuer.chip.simulator import ChipAuthority, piv_style, synthetic
from ecard_sdk.authority import AuthorityClient
from ecard_sdk.device import DeviceKey
from tests.ecard import ecard

MAIN = (
    "import argparse, sys\n"
    "from ecard_issuer.cli import card, serve, trust\n"
    "parser = argparse.ArgumentParser(); commands = parser.add_subparsers(required=True)\n"
    "for module in (card, serve, trust): module.register(commands)\n"
    "options = parser.parse_args(); sys.exit(options.func(options))\n"
)


def environment(**settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ECARD_")}
    return kept | settings


@dataclass
class Running:
    """A served process; `base` is where it listens."""

    process: subprocess.Popen[str]
    base: str
    talk: Path

    def token(self, kind: str) -> str:
        found = re.search(rf"{kind} token, shown this once: (ecop_[A-Za-z0-9_-]{{43}})", self.talk.read_text())
        assert found is not None
        return found[1]

    def ready(self) -> None:
        """Wait until the service says that it can work."""
        deadline = time.monotonic() + 20
        with httpx2.Client(trust_env=False) as client:
            while True:
                try:
                    if client.get(f"{self.base}/health/ready").status_code == 200:
                        return
                except httpx2.HTTPError:
                    pass
                assert time.monotonic() < deadline, self.talk.read_text()
                assert self.process.poll() is None, self.talk.read_text()


@contextmanager
def serving(folder: Path, *arguments: str, **settings: str) -> Iterator[Running]:
    folder.mkdir(exist_ok=True)
    talk = folder / "stderr.txt"
    with talk.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", MAIN, "serve", *arguments, "--port", "0", "--json"],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment(**settings),
        )
        try:
            assert process.stdout is not None
            text = ""
            while not text.endswith("}\n") or text.count("{") != text.count("}"):
                line = process.stdout.readline()
                assert line, talk.read_text()
                text += line
            yield Running(process, json.loads(text)["urls"]["base"], talk)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(10)
            if process.stdout is not None:
                process.stdout.close()


@pytest.fixture
def authority(tmp_path: Path) -> ChipAuthority:
    made = ChipAuthority.create(datetime.now(UTC))
    (tmp_path / "chip-ca.pem").write_bytes(made.certificate.public_bytes(Encoding.PEM))
    return made


def _at_a_counter(base: str, data: Path, code: str, id_number: str) -> None:
    """A counter of this very service, admitted by the command, sees masked what its issuer knows of the holder."""
    done: list[dict[str, str]] = []
    for arguments in (
        ["group", "add", "hospital", "--level", "designated", "--purpose", "medical"],
        ["branch", "add", "group_id", "main house"],
        ["add", "branch_id", "window 1"],
        ["admit", "counter_id"],
    ):
        given = [done[-1].get(argument, argument) if done else argument for argument in arguments]
        made = ecard("counter", *given, "--json", "--data-dir", str(data))
        assert made.returncode == 0, made.stderr
        done.append(json.loads(made.stdout))
    with httpx2.Client(base_url=base, headers={"Origin": base}, trust_env=False) as page:
        admitted = page.post("/v1/counter/session", json={"admission_code": done[-1]["admission_code"]})
        assert admitted.status_code == 201
        cookie = {"Cookie": admitted.headers["set-cookie"].partition(";")[0]}
        body = {"scan_id": "00000000-0000-4000-8000-000000000000", "code": code, "purpose": "medical", "way": "scanner"}
        answer = page.post("/v1/counter/verifications", json=body, headers=cookie).json()
    assert (answer["outcome"], answer["shown_missing"]) == ("valid", None)
    assert answer["shown"]["id_number"] == id_number[:6] + "*" * 8 + id_number[-4:]


def test_the_story_over_real_processes(tmp_path: Path, authority: ChipAuthority) -> None:
    data = tmp_path / "data"
    settings = {
        "ECARD_DATA_DIR": str(data),
        "ECARD_APPROVALS_NEEDED": "0",
        "ECARD_REGIONS": "000000",
        "ECARD_ALLOW_TEST_CHIPS": "true",
        "ECARD_CHIP_ANCHORS": str(tmp_path / "chip-ca.pem"),
    }
    with serving(data, **settings) as running:
        running.ready()
        base = running.base
        client = AuthorityClient(base, running.token("Operator"))
        device, card = DeviceKey.generate(), synthetic(7)
        registered = client.register_card(
            identification_code=card.identification_code,
            card_number=card.card_number,
            profile="test:piv-p256",
            id_number=card.id_number,
            name=card.name,
            issued_on=card.issued_on,
            expires_on=card.expires_on,
        )
        enrolment = client.begin_enrolment("desk-1")
        now = datetime.now(UTC)
        with InProcessReader(piv_style(now=now, authority=authority, data=card)) as reader:
            reading = read_chip(reader)
            evidence = Evidence(reading, prove_chip(reader, reading, enrolment.challenge))
        proven = client.send_evidence(enrolment.enrolment_id, evidence.to_json())
        assert proven.chip_assurance is ChipAssurance.SIGNATURE
        issued = client.issue(enrolment.enrolment_id, device, datetime.now(UTC), issuer=base)

        def scan(form: str) -> str:
            make = device.offline_code if form == "offline" else device.online_code
            return client.verify(make(issued.cwt, datetime.now(UTC))).reason

        assert scan("offline") == "ok"
        deadline = time.monotonic() + 5
        while (reason := scan("online")) != "ok":
            assert time.monotonic() < deadline, reason

        _at_a_counter(base, data, device.offline_code(issued.cwt, datetime.now(UTC)), card.id_number)

        # Another process changes the register; the running service must hear of it within a second.
        lost = subprocess.run(
            [sys.executable, "-c", MAIN, "card", "change", registered.card_ref, "report_loss", "--json"],
            env=environment(**settings),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        recorded = datetime.fromisoformat(json.loads(lost.stdout)["recorded_at"])
        while scan("offline") != "suspended":
            assert (datetime.now(UTC) - recorded).total_seconds() < 5
        client.change_card(registered.card_ref, CardChange.RELEASE)
        started = time.monotonic()
        while scan("offline") != "ok":
            assert time.monotonic() - started < 1

        for purpose in ("credential", "status", "event"):
            client.promote_key(client.create_key(purpose).kid, despite_lead=True)
        rotated = time.monotonic()
        while time.monotonic() - rotated < 1.5:  # a valid code is never refused while keys change hands
            assert scan("offline") == "ok"

        (tmp_path / "bundle.json").write_bytes(client.bundle())
        page = httpx2.get(f"{base}/", trust_env=False)
        assert "/docs" in page.text or "docs" in page.text
        with httpx2.stream(
            "GET", f"{base}/v1/feed", headers={"Authorization": f"Bearer {running.token('Operator')}"}, trust_env=False
        ) as feed:
            lines = feed.iter_lines()
            assert next(lines) == "id: 1"
            stopping = time.monotonic()
            running.process.send_signal(signal.SIGTERM)  # an open feed does not hold the service up
            assert running.process.wait(10) == 0
            assert time.monotonic() - stopping < 5
        client.close()
        assert card.name not in running.talk.read_text()
        assert "Traceback" not in running.talk.read_text()

    # A verifier that has the bundle and no network judges the same e-card.
    offline = tmp_path / "verifier"
    watched = {"ECARD_VERIFIER_MANAGEMENT_PORT": "0"}
    with serving(
        offline, "verifier", "--offline", str(tmp_path / "bundle.json"), "--data-dir", str(offline), **watched
    ) as running:
        running.ready()
        with AuthorityClient(running.base, running.token("Counter")) as counter:
            code = device.offline_code(issued.cwt, datetime.now(UTC))
            assert counter.verify(code).outcome == "valid"
            assert counter.verify(code).reason == "replayed"
        found = re.search(r"Health and metrics at (http://\S+)/metrics", running.talk.read_text())
        assert found is not None
        metrics = httpx2.get(f"{found[1]}/metrics", trust_env=False).text
        assert 'ecard_verifications_total{outcome="invalid",purpose="none",reason="replayed"} 1.0' in metrics
        assert httpx2.get(f"{found[1]}/health/ready", trust_env=False).status_code == 200

    # A second start makes no second operator and keeps the issuer's name.
    with serving(data, "issuer", **settings) as running:
        running.ready()
        assert "Operator token" not in running.talk.read_text()
        answer = httpx2.get(f"{running.base}/.well-known/jwt-vc-issuer", trust_env=False).json()
        assert answer["issuer"] == base
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(10) == 0


def test_a_taken_port_changes_nothing(tmp_path: Path) -> None:

    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = subprocess.run(
            [sys.executable, "-c", MAIN, "serve", "--port", str(taken.getsockname()[1])],
            env=environment(ECARD_DATA_DIR=str(tmp_path / "data")),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode != 0
    assert "port_unavailable" in done.stderr
    assert not (tmp_path / "data").exists()
