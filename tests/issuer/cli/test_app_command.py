"""`ecard app`, as two admins run it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ecard_keys.client_signer import ClientSigner
from tests.issuer.channel_kit import registration
from tests.issuer.cli.test_approval import Admins


@pytest.fixture
def admins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Admins:
    monkeypatch.setenv("ECARD_APPROVALS_NEEDED", "1")
    return Admins(tmp_path, monkeypatch, capsys)


def agree(admins: Admins, *command: str) -> str:
    """What anna runs, ben agrees to, and anna runs again."""
    assert admins.talk("anna", *command)[0] == 4
    (request,) = (
        item
        for item in json.loads(admins.talk("ben", "approval", "list", "--json")[1])["approvals"]
        if item["state"] == "pending"
    )
    assert admins.talk("ben", "approval", "approve", request["id"])[0] == 0
    status, said, _ = admins.talk("anna", *command)
    assert status == 0
    return said


def test_an_app_from_application_to_suspension(admins: Admins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, keys = tmp_path / "app.json", tmp_path / "jwks.json"
    body = registration(ClientSigner.generate("first")) | {"request_id": "bank-1", "scopes": ["ecard:read"]}
    file.write_text(json.dumps(body, ensure_ascii=False), encoding="utf-8")
    assert "no such app" in admins.talk("anna", "app", "list")[2]
    status, said, hint = admins.talk("anna", "app", "apply", str(file))
    app_id = said.strip()
    assert status == 0
    assert f"ecard app approve {app_id}" in hint
    assert f"{app_id} active" in agree(admins, "app", "approve", app_id)
    assert "示例银行" in admins.talk("anna", "app", "list", "--state", "active")[1]
    assert admins.talk("anna", "app", "scopes", app_id, "ecard:read", "ecard:show")[0] == 4  # more: by two
    monkeypatch.setenv("ECARD_APPROVALS_NEEDED", "0")
    keys.write_text(json.dumps({"keys": [ClientSigner.generate("second").public_jwk]}), encoding="utf-8")
    for command in (
        ("scopes", app_id, "ecard:read", "ecard:show"),
        ("keys", app_id, str(keys)),
        ("keys", app_id, "--uri", "https://bank.example/jwks.json"),
        ("suspend", app_id, "--reason", "keys lost"),
        ("resume", app_id),
    ):
        assert admins.talk("ben", "app", *command)[0] == 0
    assert "suspended by ben  keys lost" in admins.talk("anna", "app", "show", app_id)[1]
    shown = json.loads(admins.talk("anna", "app", "show", app_id, "--json")[1])
    assert shown["app"]["jwks_uri"] == "https://bank.example/jwks.json"
    actions = [change["action"] for change in shown["changes"]]
    assert actions == ["applied", "approved", *["changed"] * 3, "suspended", "resumed"]


def test_what_makes_no_sense_is_refused(admins: Admins, tmp_path: Path) -> None:
    file = tmp_path / "odd.json"
    body = registration(ClientSigner.generate("k")) | {"request_id": "odd"}
    wrong: list[dict[str, Any]] = [
        {"scopes": ["all"]},
        {"redirect_uris": ["http://x.example/"]},
        {"jwks": {"keys": []}},
        {"more": 1},
    ]
    for changed in wrong:
        file.write_text(json.dumps(body | changed), encoding="utf-8")
        assert admins.talk("anna", "app", "apply", str(file))[0] == 2
    file.write_text(json.dumps(body), encoding="utf-8")
    app_id = admins.talk("anna", "app", "apply", str(file))[1].strip()
    assert admins.talk("anna", "app", "scopes", app_id, "everything")[0] == 2
    assert admins.talk("anna", "app", "keys", app_id)[0] == 2
    assert admins.talk("anna", "app", "refuse", app_id, "--reason", "no such body")[0] == 0
    assert admins.talk("anna", "app", "approve", app_id)[0] != 0
    assert admins.talk("anna", "app", "show", "ek_live_" + "a" * 24)[0] == 5
