"""`ecard application` and `ecard mandate`, as an operator runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from ecard_issuer.web.app import create_app
from ecard_sdk.cli import main
from ecard_verifier.callers import Role
from tests.issuer.people_kit import CHILD, application, file, mandate, online, person, photo
from tests.issuer.service import open_service
from tests.journeys.services.counter_scene import post


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory with one complete application and one without its photo."""
    service = open_service(tmp_path)
    monkeypatch.setenv("ECARD_TOKEN", service.token(Role.OPERATOR))
    headers = {"Authorization": f"Bearer {service.token(Role.DESK)}"}
    with TestClient(create_app(service.issuer), headers=headers) as desk:
        first = post(desk, "/v1/applications", application(who=person(serial=1)), 201)["application_id"]
        post(desk, f"/v1/applications/{first}/documents", file("photo", photo()))
        service.clock.advance(60)
        post(desk, "/v1/applications", application("a-2", who=person(serial=2)), 201)
    service.issuer.close()
    return tmp_path


def run(folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> Any:
    capsys.readouterr()
    assert main([*arguments, "--data-dir", str(folder), "--json"]) == status
    out = capsys.readouterr().out
    return json.loads(out) if out else None


def test_an_operator_works_through_the_list(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = run(folder, capsys, "application", "list", "--limit", "1")
    (first,) = page["applications"]
    (second,) = run(folder, capsys, "application", "list", "--after", page["next"])["applications"]
    identity = first["application_id"]
    assert run(folder, capsys, "application", "review", identity)["state"] == "reviewing"
    assert run(folder, capsys, "application", "approve", identity)["state"] == "approved"
    other = second["application_id"]
    run(folder, capsys, "application", "review", other)
    assert main(["application", "approve", other, "--data-dir", str(folder)]) == 1
    assert "application_incomplete" in capsys.readouterr().err
    refused = run(folder, capsys, "application", "refuse", other, "photo", "--note", "请重拍")
    assert refused["refusal"]["code"] == "application_photo_unfit"
    opened = run(folder, capsys, "application", "show", other, "--names")
    assert opened["details"]["name"] == "测试"
    assert main(["application", "show", other, "--data-dir", str(folder)]) == 0
    assert "测试" not in capsys.readouterr().out
    assert main(["application", "show", "ab" * 16, "--data-dir", str(folder)]) == 5


def test_an_operator_records_and_ends_a_mandate(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = folder / "mandate.json"
    document.write_text(json.dumps(mandate(person(CHILD, 3), person(serial=4))), encoding="utf-8")
    given = run(folder, capsys, "mandate", "add", str(document))
    assert run(folder, capsys, "mandate", "show", given["mandate_id"])["state"] == given["state"]
    assert run(folder, capsys, "mandate", "revoke", given["mandate_id"])["state"] == "revoked"
    document.write_text(json.dumps(online()), encoding="utf-8")
    assert main(["mandate", "add", str(document), "--data-dir", str(folder)]) == 2
