"""`ecard service`, as two admins run it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from ecard_card import messages
from ecard_sdk.cli import main
from tests.issuer.cli.test_approval import Admins
from tests.test_documents import ROOT

BODY = {
    "names": {"zh": "失业登记", "en": "Unemployment registration"},
    "owner": "jobs",
    "region": "410000",
    "lines": [82],
    "claims": ["name_masked"],
    "proof": "read",
    "business_types": ["03"],
    "starts_at": "2026-01-01T00:00:00Z",
}


@pytest.fixture
def admins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Admins:
    monkeypatch.setenv("ECARD_APPROVALS_NEEDED", "1")
    return Admins(tmp_path, monkeypatch, capsys)


def test_a_service_is_registered_by_two_listed_shown_and_ended(admins: Admins, tmp_path: Path) -> None:
    file = tmp_path / "jobs.json"
    file.write_text(json.dumps(BODY, ensure_ascii=False), encoding="utf-8")
    assert admins.talk("anna", "service", "list")[2].strip() == "There is no relying service."
    status, _, said = admins.talk("anna", "service", "add", "jobs", str(file))
    assert status == 4
    assert messages.text("approval_needed") in said
    (request,) = json.loads(admins.talk("ben", "approval", "list", "--json")[1])["approvals"]
    assert (request["action"], request["facts"]["after"]["claims"]) == ("relying.set", ["name_masked"])
    assert admins.talk("ben", "approval", "approve", request["id"])[0] == 0
    assert admins.talk("anna", "service", "add", "jobs", str(file))[0] == 0
    assert "jobs  live  410000  失业登记" in admins.talk("anna", "service", "list")[1]
    status, shown, _ = admins.talk("anna", "service", "show", "jobs", "--json")
    assert (status, [item["action"] for item in json.loads(shown)["changes"]]) == (0, ["added"])
    assert admins.talk("ben", "service", "end", "jobs")[0] == 0
    assert "ended by ben" in admins.talk("anna", "service", "show", "jobs")[1]
    assert "jobs  not live" in admins.talk("anna", "service", "list")[1]


def test_what_makes_no_sense_is_refused(admins: Admins, tmp_path: Path) -> None:
    file = tmp_path / "odd.json"
    for said, status in (({"lines": [1]}, 2), ({"claims": ["mother"]}, 2), ({"name": "x"}, 2)):
        file.write_text(json.dumps(BODY | said), encoding="utf-8")
        assert admins.talk("anna", "service", "add", "odd", str(file))[0] == status
    assert admins.talk("anna", "service", "add", "odd", str(tmp_path / "none.json"))[0] == 2
    assert admins.talk("anna", "service", "show", "odd")[0] == 5
    assert admins.talk("nobody", "service", "end", "odd")[0] in (1, 5)


def test_a_site_is_registered_as_the_guide_says_with_a_secret_that_was_made_for_it(
    admins: Admins, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["service", "secret", "--json"]) == 0
    secret = json.loads(capsys.readouterr().out)
    assert len(secret["client_secret"]) == 43
    assert hashlib.sha256(secret["client_secret"].encode()).hexdigest() == secret["secret_sha256"]
    guide = (ROOT / "docs/login.md").read_text(encoding="utf-8")
    example = guide.partition("```json")[2].partition("```")[0].replace("<from ecard service secret>", "{hash}")
    file = tmp_path / "jobs.json"
    file.write_text(example.replace("{hash}", secret["secret_sha256"]), encoding="utf-8")
    assert admins.talk("anna", "service", "add", "jobs", str(file))[0] == 4
    (request,) = json.loads(admins.talk("ben", "approval", "list", "--json")[1])["approvals"]
    assert request["facts"]["after"]["login"]["redirect_uris"] == ["https://jobs.example/callback"]
    assert secret["client_secret"] not in json.dumps(request)
    assert admins.talk("ben", "approval", "approve", request["id"])[0] == 0
    assert admins.talk("anna", "service", "add", "jobs", str(file))[0] == 0
