"""`ecard identity-provider`, as two admins run it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ecard_card import messages
from tests.issuer.cli.test_approval import Admins
from tests.issuer.links_kit import IdentityService


@pytest.fixture
def admins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Admins:
    monkeypatch.setenv("ECARD_APPROVALS_NEEDED", "1")
    return Admins(tmp_path, monkeypatch, capsys)


def test_a_service_is_believed_after_two_agreed_and_until_one_says_no(admins: Admins, tmp_path: Path) -> None:
    face, file = IdentityService(), tmp_path / "face.json"
    file.write_text(json.dumps(face.provider.to_json()), encoding="utf-8")
    assert admins.talk("anna", "identity-provider", "list")[2].strip() == "There is no identity-proofing service."
    status, _, said = admins.talk("anna", "identity-provider", "add", str(file))
    assert status == 4
    assert messages.text("approval_needed") in said
    (request,) = json.loads(admins.talk("ben", "approval", "list", "--json")[1])["approvals"]
    assert request["action"] == "identity_provider.set"
    assert admins.talk("ben", "approval", "approve", request["id"])[0] == 0
    assert admins.talk("anna", "identity-provider", "add", str(file))[0] == 0
    assert f"{face.provider_id}  believed  face" in admins.talk("anna", "identity-provider", "list")[1]
    assert admins.talk("ben", "identity-provider", "remove", face.provider_id)[0] == 0
    assert f"{face.provider_id}  removed  face" in admins.talk("anna", "identity-provider", "list")[1]
    assert admins.talk("ben", "identity-provider", "remove", "https://other.example")[0] == 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"provider_id": "http://face.example"},
        {"methods": ["Face!"]},
        {"keys": [{"kty": "EC"}]},
        {"keys": [{**IdentityService().key.public_jwk, "kid": "k1", "d": "x"}]},
        {"more": 1},
    ],
)
def test_what_makes_no_sense_is_refused(admins: Admins, tmp_path: Path, wrong: dict[str, object]) -> None:
    file = tmp_path / "odd.json"
    file.write_text(json.dumps({**IdentityService().provider.to_json(), **wrong}), encoding="utf-8")
    assert admins.talk("anna", "identity-provider", "add", str(file))[0] == 2
