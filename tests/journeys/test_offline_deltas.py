"""A card is lost in one process and refused offline in another: `ecard serve`, `ecard card change`, `ecard bundle
update`, each as an operator types it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from ecard_demo.services import until
from ecard_keys.trust.root import root_to_json
from ecard_verifier.bundle import open_bundle
from tests.ecard import ecard
from tests.issuer.service import ORIGIN, Clock, open_service
from tests.issuer.test_dispatch import issue

EVERY = 2  # seconds until a change is in a delta, set for this test; 25 by default


class RealClock(Clock):
    def __call__(self) -> datetime:
        return datetime.now(UTC)


@dataclass
class Office:
    """A served issuer, and one card of its register."""

    url: str
    folder: Path
    card_ref: str
    uri: str
    index: int

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return ecard(*arguments, ECARD_DATA_DIR=str(self.folder / "data"))


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    service = open_service(tmp_path / "data", RealClock())
    card_ref, _ = issue(service, 1)
    (credential,) = service.issuer.register.credentials_of(card_ref)
    (tmp_path / "root.json").write_text(json.dumps(root_to_json(service.issuer.keys.root())))
    service.issuer.close()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ECARD_")}
    settings = {
        "ECARD_DATA_DIR": str(tmp_path / "data"),
        "ECARD_PORT": str(port),
        "ECARD_PUBLIC_ORIGIN": ORIGIN,
        "ECARD_STATUS_DELTA_SECONDS": str(EVERY),
    }
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ecard_sdk.cli", "serve", "issuer"],
            env={**inherited, **settings},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        assert until(lambda: answers(url), bool, 30), (tmp_path / "log").read_text()
        yield Office(url, tmp_path, card_ref, f"{ORIGIN}/status-lists/{credential.list_id}", credential.index)
    finally:
        process.terminate()
        process.wait(20)


def answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/v1/status-deltas/latest").status_code == 200
    except httpx2.HTTPError:
        return False


def test_a_loss_typed_at_the_issuer_is_in_the_offline_terminals_bundle_within_the_minute(office: Office) -> None:
    bundle, root = office.folder / "bundle.json", office.folder / "root.json"
    assert office.command("bundle", "-o", str(bundle)).returncode == 0
    made = bundle.read_bytes()

    def status() -> int:
        done = office.command("bundle", "update", str(bundle), "--from", office.url, "--root", str(root), "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["whole"] is False
        opened = open_bundle(bundle.read_bytes(), datetime.now(UTC))
        return opened.statuses.read(office.uri, office.index).value

    assert status() == 0
    assert office.command("card", "change", office.card_ref, "report_loss").returncode == 0
    acknowledged = time.monotonic()
    assert until(status, lambda value: value == 2, 60) == 2
    assert time.monotonic() - acknowledged < 60
    assert len(bundle.read_bytes()) - len(made) < 8192  # deltas, and not lists once more
    # Carried as files, deltas do the same to an older bundle; one that is not the next is refused by name.
    older, files = office.folder / "older.json", list[Path]()
    older.write_bytes(made)
    for token in json.loads(bundle.read_bytes())["status_deltas"]:
        files.append(office.folder / f"delta-{len(files)}")
        files[-1].write_text(token + "\n")
    deltas = [part for file in files for part in ("--delta", str(file))]
    whole = office.command("verify", "--offline", str(older), "--root", str(root), *deltas, "--json", "no code")
    assert json.loads(whole.stdout)["reason"] == "unreadable_code"  # the bundle and all its deltas opened
    if len(files) > 1:
        torn = office.command("verify", "--offline", str(older), "--root", str(root), *deltas, *deltas[:2], "x")
        assert torn.returncode == 3
        assert "delta_old" in torn.stdout


def test_the_served_lists_are_proven_equal_to_the_register_from_outside(office: Office) -> None:
    assert office.command("card", "change", office.card_ref, "report_loss").returncode == 0
    done = office.command("status", "rebuild", "--check", "--published", office.url, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "equal": True,
        "lists": 4,
        "entries": json.loads(done.stdout)["entries"],
        "differences": 0,
        "repaired": 0,
        "named": [],
    }
