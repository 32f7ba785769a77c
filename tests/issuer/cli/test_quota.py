"""`ecard key quota`, as two admins run it, and the desk that obeys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ecard_issuer.config import load
from ecard_issuer.key_homes import quotas_file
from ecard_keys.desk.quotas import DEFAULTS, Quotas
from tests.issuer.cli.test_approval import Admins


@pytest.fixture
def admins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Admins:
    monkeypatch.setenv("ECARD_APPROVALS_NEEDED", "1")
    return Admins(tmp_path, monkeypatch, capsys)


def limit(folder: Path) -> int:
    """What the desk of a service would go by."""
    return Quotas(folder / "signing-journal" / "quotas.json").limit("issuer", "credential")


def test_a_quota_is_raised_by_two_and_lowered_by_one(admins: Admins, tmp_path: Path) -> None:
    status, shown, _ = admins.talk("anna", "key", "quota", "--json")
    assert (status, json.loads(shown)["per_hour"]) == (0, dict(DEFAULTS))
    status, _, said = admins.talk("anna", "key", "quota", "credential", "3000000")
    assert (status, limit(tmp_path)) == (4, DEFAULTS["credential"])
    request = json.loads(admins.talk("ben", "approval", "list", "--json")[1])["approvals"][0]
    assert request["id"] in said
    assert request["facts"] == {"from": DEFAULTS["credential"], "per_hour": 3_000_000}
    assert admins.talk("anna", "approval", "approve", request["id"])[0] == 1  # not her own
    assert admins.talk("ben", "approval", "approve", request["id"])[0] == 0
    assert admins.talk("anna", "key", "quota", "credential", "4000000")[0] == 4  # another number was not agreed to
    assert admins.talk("anna", "key", "quota", "credential", "3000000")[0] == 0
    assert limit(tmp_path) == 3_000_000
    assert admins.talk("anna", "key", "quota", "credential", "1000")[0] == 0  # less power needs nobody else
    assert limit(tmp_path) == 1000
    assert admins.talk("anna", "key", "quota", "credential", "3000000")[0] == 4  # the agreement is used up


def test_what_makes_no_sense_changes_nothing(admins: Admins, tmp_path: Path) -> None:
    for arguments, status in (
        (("nothing", "5"), 5),
        (("event",), 2),
        (("event", "-5"), 2),
        (("event", "2000000000"), 2),
    ):
        assert admins.talk("anna", "key", "quota", *arguments)[0] == status
    (tmp_path / "signing-journal" / "quotas.json").write_text("{}")
    assert admins.talk("anna", "key", "quota")[0] == 3  # a damaged file is no permission


def test_a_signer_process_has_its_own(tmp_path: Path) -> None:
    assert quotas_file(load(data_dir=tmp_path, signer_socket=str(tmp_path / "socket"))) is None
