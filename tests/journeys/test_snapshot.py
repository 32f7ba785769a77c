"""A clinic's first verifier: real issuer, real events, a snapshot, and a process that has never heard of any of it.

Beside it a verifier that has folded every event; both are asked about the same people.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ecard_card.jose import b64url_decode
from ecard_card.status import CardChange
from ecard_demo.services import running
from ecard_demo.stage import Desk, Phone, signing_key
from ecard_issuer.chip.simulator import ChipAuthority
from ecard_issuer.cli.connections import listening
from ecard_sdk.authority import AuthorityClient
from tests.journeys.test_two_processes import Town
from tests.verifier.feed_kit import wait_for
from tests.verifier.snapshot_kit import TABLES

#: `ecard serve verifier` with the lines in its log that say how a mirror began.
TALKATIVE = """
import logging, runpy, sys
logging.basicConfig(level=logging.INFO)
sys.argv = ["ecard", "serve", "verifier"]
runpy.run_module("ecard_sdk.cli", run_name="__main__")
"""


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    authority = ChipAuthority.create(now())
    with (
        running(folder, authority, now()) as services,
        AuthorityClient(services.issuer_url, services.operator_token) as client,
        AuthorityClient(services.issuer_url, services.counter_token, verifier_url=services.verifier_url) as counter,
    ):
        yield Town(services, authority, client, counter, folder)


@dataclass
class Newcomer:
    """A verifier with a directory of its own, beside the one that folded everything."""

    town: Town
    folder: Path
    port: int

    @property
    def settings(self) -> Mapping[str, str]:
        named = {
            "DATA": self.folder / "data",
            "PORT": self.port,
            "ISSUER_URL": self.town.services.issuer_url,
            "FEED_TOKEN_FILE": self.town.folder / "feed-token",
            "TRUST_ROOT": self.town.folder / "root.json",
            "TOKENS": self.town.folder / "callers.json",
        }
        return {f"ECARD_VERIFIER_{name}": str(value) for name, value in named.items()}

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        shell = {name: value for name, value in os.environ.items() if not name.startswith("ECARD_")}
        command = [sys.executable, "-c", TALKATIVE]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(command, env={**shell, **self.settings}, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait(20)

    def health(self) -> tuple[int, dict[str, Any]]:
        try:
            answer = httpx2.get(f"http://127.0.0.1:{self.port}/health/ready", trust_env=False)
        except httpx2.HTTPError:
            return 0, {}
        return answer.status_code, dict(answer.json())

    def scan(self, code: str) -> tuple[str, str]:
        client = AuthorityClient(
            self.town.services.issuer_url,
            self.town.services.counter_token,
            verifier_url=f"http://127.0.0.1:{self.port}",
        )
        with client:
            said = client.verify(code, counter="window 1")
        return said.outcome, said.reason

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def mirror(self) -> Path:
        return self.folder / "data" / "mirror.sqlite3"


@pytest.fixture
def newcomer(town: Town, tmp_path: Path) -> Newcomer:
    with listening("127.0.0.1", 0) as listener:
        return Newcomer(town, tmp_path, int(listener.getsockname()[1]))


def tables(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """A running verifier's mirror, but for how late its last beat was."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as file:
        return {
            name: file.execute(
                f"SELECT {'issuer, template, position, last' if name == 'fold' else '*'} FROM {name} ORDER BY 1, 2"  # noqa: S608 - ours
            ).fetchall()
            for name in TABLES
        }


def told_of(town: Town, number: object) -> None:
    """Until the feed has named the snapshot, and it can be had."""
    token = (town.folder / "feed-token").read_text()
    url = f"{town.services.issuer_url}/v1/feed/snapshot"

    def there() -> bool:
        answer = httpx2.get(url, headers={"Authorization": f"Bearer {token}"}, trust_env=False)
        return answer.status_code == 200 and f'"n":{number},'.encode() in _payload(answer.text)

    wait_for(there, 30)


def _payload(token: str) -> bytes:
    return b64url_decode(token.split(".")[1])


def test_a_new_verifier_says_of_everybody_what_an_old_one_says(town: Town, newcomer: Newcomer) -> None:
    _, robbed = town.issued(299)
    with AuthorityClient(town.services.issuer_url, town.services.second_operator_token) as keeper:
        desk = Desk(town.client, town.services.issuer_url, keeper)
        desk.agreed(lambda: town.client.compromise_key(signing_key(robbed.credential), None))
    people = {name: town.issued(serial) for serial, name in enumerate(("fine", "lost", "ended", "found", "later"), 300)}
    for name, changes in {
        "lost": [CardChange.REPORT_LOSS],
        "ended": [CardChange.CANCEL],
        "found": [CardChange.REPORT_LOSS, CardChange.RELEASE],
    }.items():
        for change in changes:
            town.client.change_card(people[name][0], change)
    made = town.command("status", "snapshot")
    told_of(town, made["number"])
    # What happens after it reaches the newcomer by the feed.
    town.client.change_card(people["later"][0], CardChange.REPORT_LOSS)
    _, young = town.issued(305)

    with newcomer.running() as process:
        wait_for(lambda: newcomer.health()[0] == 200, 60)
        assert f"began with the snapshot of event {made['upto']}" in newcomer.log
        assert newcomer.health()[1]["snapshot_error"] is None
        expected = {
            "fine": ("valid", "ok"),
            "lost": ("invalid", "suspended"),
            "ended": ("invalid", "ended"),
            "found": ("valid", "ok"),
            "later": ("invalid", "suspended"),
        }
        for name, (_, phone) in people.items():
            assert said(town, newcomer, phone) == [expected[name]] * 4, name
        assert said(town, newcomer, young) == [("valid", "ok")] * 4
        assert said(town, newcomer, robbed) == [("invalid", "key_compromised")] * 4

        old = town.services.verifier_data / "mirror.sqlite3"
        wait_for(lambda: tables(newcomer.mirror) == tables(old), 10)
        assert len(tables(old)["denied_key"]) == 1
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    # Killed and started again it has a position, and takes no snapshot any more.
    with newcomer.running():
        wait_for(lambda: newcomer.health()[0] == 200, 60)
        assert newcomer.log.count("feed: began with") == 1
        assert said(town, newcomer, people["lost"][1]) == [("invalid", "suspended")] * 4


def said(town: Town, newcomer: Newcomer, phone: Phone) -> list[tuple[str, str]]:
    """What both say of fresh codes, short ones and whole ones."""
    answers = []
    for code in (phone.short_code, phone.whole_code):
        old = town.counter.verify(code(), counter="window 1")
        answers += [(old.outcome, old.reason), newcomer.scan(code())]
    return answers
