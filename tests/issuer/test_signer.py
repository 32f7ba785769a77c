"""An issuer whose keys are behind a signer process: it issues, publishes, and holds no signing key of its own."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ecard_card.errors import Unavailable
from ecard_issuer.assembly import Issuer, build
from ecard_issuer.config import load
from ecard_issuer.keyring import PURPOSES
from ecard_issuer.publishing.publisher import Form
from ecard_keys.desk.desk import SigningProfile, SigningRules
from ecard_keys.desk.journal import Journal, Outcome
from ecard_keys.homes.file import FileKeyHome
from ecard_keys.process.config import Caller, SignerConfig
from ecard_keys.process.server import SignerDesk, SignerServer
from tests.issuer.office import ISSUER, NOW, PASSPHRASE


@dataclass
class Signer:
    """A signer in a thread, and an issuer that knows only its socket."""

    folder: Path

    def __post_init__(self) -> None:
        self.home = FileKeyHome(self.folder / "signer-keys.json", PASSPHRASE)
        rules = SigningRules(ISSUER, f"{ISSUER}/status-lists/{{list}}", ("000000",))
        callers = (Caller("issuer", os.getuid(), frozenset(SigningProfile), True),)
        self.path = self.folder / "run" / "signer.sock"
        folder = self.folder / "journal"
        config = SignerConfig(self.path, None, folder, None, folder / "archive", (rules,), callers, {})
        self.journal = Journal(folder)
        self.server = SignerServer(SignerDesk(self.home, config, lambda: NOW), callers, self.path)
        self.thread = threading.Thread(target=self.server.serve)
        self.thread.start()

    def stop(self) -> None:
        self.server.stop()
        self.thread.join(5)
        assert not self.thread.is_alive()


@pytest.fixture
def signer(tmp_path: Path) -> Iterator[Signer]:
    running = Signer(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def issuer(signer: Signer) -> Iterator[Issuer]:
    settings = load(
        data_dir=signer.folder / "data", public_origin=ISSUER, regions=("000000",), signer_socket=signer.path
    )
    opened = build(settings, clock=lambda: NOW)
    yield opened
    opened.close()


def test_the_signing_keys_are_made_and_used_by_the_signer_alone(signer: Signer, issuer: Issuer) -> None:
    made = {key.key_id: key.purpose for key in signer.home.held()}
    assert set(made.values()) == set(PURPOSES)
    assert {record.kid for record in issuer.keys.records()} == set(made)
    passphrase = (issuer.settings.data_dir / "key-passphrase").read_text().strip().encode()
    assert FileKeyHome(issuer.settings.data_dir / "keys.json", passphrase).held() == ()
    assert not (issuer.settings.data_dir / "signing-journal").exists()
    slot = issuer.register.free_slot(NOW)
    for form in Form:
        assert issuer.publisher.status_list(slot.list_id, form, NOW).body
    lines = [entry for entry in signer.journal.entries() if entry.outcome is Outcome.SIGNING]
    assert [line.profile for line in lines] == ["status-list", "status-list"]


def test_without_the_signer_the_issuer_says_so_in_time(signer: Signer, issuer: Issuer) -> None:
    slot = issuer.register.free_slot(NOW)
    signer.stop()
    begun = time.monotonic()
    with pytest.raises(Unavailable, match="signer_unavailable"):
        issuer.publisher.status_list(slot.list_id, Form.JWT, NOW)
    assert time.monotonic() - begun < 2
