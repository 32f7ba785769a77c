"""A person reads what is kept about them, and is erased: over HTTP and by command; nothing is told elsewhere."""

from __future__ import annotations

import io
import json
import logging
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from ecard_issuer.chip.simulator import synthetic
from ecard_issuer.operators import Desk
from ecard_issuer.web.app import create_app
from ecard_sdk.cli import main
from ecard_verifier.callers import Role
from tests.issuer.service import Service, open_service

DATA = synthetic(1)
CANARIES = (DATA.name, DATA.id_number, DATA.card_number, DATA.identification_code)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    opened = open_service(tmp_path / "data", approvals_needed=1)
    yield opened
    opened.issuer.close()


@pytest.fixture
def http(service: Service) -> Iterator[TestClient]:
    with TestClient(create_app(service.issuer), raise_server_exceptions=False) as client:
        yield client


def token(service: Service, role: Role = Role.OPERATOR) -> str:
    """Of a caller who was there before four eyes were."""
    name = f"test {role} {secrets.token_hex(3)}"
    return Desk(service.issuer.register).add(name, role, service.clock()).token


def bearer(service: Service, role: Role = Role.OPERATOR) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(service, role)}"}


def erasure(serial: int = 1, **other: Any) -> dict[str, Any]:
    body = {"erasure_id": "e-1", "id_number": synthetic(serial).id_number, "ground": "death", "proof": "file 2026-17"}
    return body | other


def test_a_clerk_hands_a_person_their_data_and_two_operators_erase_them(
    service: Service, http: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    anna, ben, desk = bearer(service), bearer(service), bearer(service, Role.DESK)
    card_ref = http.post("/v1/cards", json=service.card_body(1), headers=anna).json()["card_ref"]

    asked = {"export_id": "x-1", "id_number": DATA.id_number}
    given = http.post("/v1/privacy/exports", json=asked, headers=desk)
    assert given.status_code == 200
    assert given.headers["cache-control"] == "no-store"
    sections = {item["section"]: item for item in given.json()["sections"]}
    assert sections["person"]["records"] == [{"id_number": DATA.id_number, "name": DATA.name}]
    assert sections["cards"]["title"] == {"en": "Your cards", "zh": "社保卡"}
    assert [row["export_id"] for row in sections["exports"]["records"]] == ["x-1"]
    refused = http.post(
        "/v1/privacy/exports", json=asked | {"acting": {"ground": "mandate", "mandate_id": "m-1"}}, headers=desk
    )
    assert (refused.status_code, refused.json()["code"]) == (422, "mandate_unknown")

    def erase(headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        answer = http.post("/v1/privacy/erasures", json=erasure(), headers=headers)
        assert not [canary for canary in CANARIES if canary in answer.text]
        return answer.status_code, answer.json()

    assert erase(desk)[0] == 403
    status, problem = erase(anna)
    assert (status, problem["code"]) == (422, "erasure_card_live")
    http.post(f"/v1/cards/{card_ref}/changes", json={"change": "cancel"}, headers=anna)
    status, waiting = erase(anna)
    assert status == 202
    assert waiting["approval"]["facts"]["proof"] == "file 2026-17"
    request_id = waiting["approval"]["id"]
    assert http.post(f"/v1/approvals/{request_id}/approve", json={}, headers=ben).json()["state"] == "approved"
    status, done = erase(anna)
    assert (status, done["applied"], done["ground"]) == (201, True, "death")
    status, again = erase(ben)
    assert (status, again["applied"]) == (201, False)

    gone = http.post("/v1/privacy/exports", json=asked | {"export_id": "x-2"}, headers=desk)
    assert (gone.status_code, gone.json()["code"]) == (404, "person_unknown")
    found = http.post("/v1/cards/find", json={"id_number": DATA.id_number}, headers=anna)
    assert found.json() == {"cards": []}
    assert http.get(f"/v1/cards/{card_ref}", headers=anna).json()["status"] == 9
    assert not [canary for canary in CANARIES if canary in caplog.text]


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """An operator's client over one service for all requests that are refused."""
    service = open_service(tmp_path_factory.mktemp("refusing"))
    with TestClient(create_app(service.issuer), headers=bearer(service)) as client:
        client.post("/v1/cards", json=service.card_body(1))
        yield client
    service.issuer.close()


@pytest.mark.parametrize(
    ("route", "change", "status", "code"),
    [
        ("erasures", {"id_number": DATA.id_number[:-1] + "X"}, 400, "bad_id_number"),
        ("erasures", {"id_number": "１" * 18}, 400, "bad_id_number"),
        ("erasures", {"id_number": DATA.id_number[:-1]}, 422, "invalid_request"),
        ("erasures", {"id_number": 5}, 422, "invalid_request"),
        ("erasures", {"id_number": synthetic(9).id_number}, 404, "person_unknown"),
        ("erasures", {"proof": DATA.id_number}, 400, "bad_proof_reference"),
        ("erasures", {"proof": "a\nb"}, 400, "bad_proof_reference"),
        ("erasures", {"proof": ""}, 422, "invalid_request"),
        ("erasures", {"ground": "repeated"}, 422, "invalid_request"),
        ("erasures", {"ground": DATA.name}, 422, "invalid_request"),
        ("erasures", {"erasure_id": DATA.name}, 422, "invalid_request"),
        ("erasures", {DATA.name: DATA.name}, 422, "invalid_request"),
        ("exports", {"id_number": DATA.id_number[:-1] + "X"}, 400, "bad_id_number"),
        ("exports", {"id_number": synthetic(9).id_number}, 404, "person_unknown"),
        ("exports", {"export_id": ""}, 422, "invalid_request"),
        ("exports", {"export_id": DATA.name}, 422, "invalid_request"),
        ("exports", {"acting": {"ground": "own", "mandate_id": "m-1"}}, 400, "bad_acting"),
        ("exports", {"acting": {"ground": "mandate"}}, 400, "bad_acting"),
        ("exports", {"acting": {"ground": DATA.name}}, 422, "invalid_request"),
        ("exports", {"acting": {"ground": "guardian", "mandate_id": "m-1"}}, 422, "mandate_unknown"),
    ],
)
def test_bad_requests_are_refused_in_both_languages_and_nothing_is_quoted(
    refusing: TestClient, caplog: pytest.LogCaptureFixture, route: str, change: dict[str, Any], status: int, code: str
) -> None:
    caplog.set_level(logging.DEBUG)
    body = (erasure() if route == "erasures" else {"export_id": "x-1", "id_number": DATA.id_number}) | change
    texts = set()
    for language in ("en", "zh-CN"):
        answer = refusing.post(f"/v1/privacy/{route}", json=body, headers={"Accept-Language": language})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert not [canary for canary in CANARIES if canary in answer.text]
        texts.add(answer.json()["title"])
    assert len(texts) == 2
    assert not [canary for canary in CANARIES if canary in caplog.text]


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs `ecard privacy …` on the data directory, with a document on standard input."""
    monkeypatch.setenv("LC_ALL", "C")

    def command(*arguments: str, stdin: object = None) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(stdin)))
        capsys.readouterr()
        status = main(["privacy", *arguments, "--data-dir", str(tmp_path / "data")])
        output = capsys.readouterr()
        return status, output.out, output.err

    return command


def test_commands_export_erase_list_and_erase_again(
    service: Service, http: TestClient, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ECARD_APPROVALS_NEEDED", "0")
    anna = token(service)
    headers = {"Authorization": f"Bearer {anna}"}
    monkeypatch.setenv("ECARD_TOKEN", anna)
    card_ref = http.post("/v1/cards", json=service.card_body(1), headers=headers).json()["card_ref"]
    wanted = {"export_id": "x-1", "id_number": DATA.id_number}

    status, out, told = run("export", "-", stdin=wanted)
    assert (status, told) == (0, "")
    assert DATA.name in out
    assert run("export", "-", stdin=wanted | {"id_number": synthetic(9).id_number})[0] == 5
    status, out, told = run("erase", "-", stdin=erasure())
    assert (status, out) == (1, "")
    assert "erasure_card_live" in told
    http.post(f"/v1/cards/{card_ref}/changes", json={"change": "cancel"}, headers=headers)
    status, out, told = run("erase", "-", "--json", stdin=erasure())
    assert (status, json.loads(out)["applied"]) == (0, True)
    assert "ecard privacy erased" in told

    status, listed, _ = run("erased")
    assert status == 0
    assert len(listed.splitlines()) == 1
    file = tmp_path / "erased.jsonl"
    file.write_text(listed)
    status, out, _ = run("reapply", str(file), "--json")
    assert (status, json.loads(out)) == (0, {"erased": 0, "absent": 1, "waiting": 0})
    file.write_text(listed[:-5])
    assert run("reapply", str(file))[0] == 2
    assert run("reapply", str(tmp_path / "missing"))[0] == 2
    status, out, _ = run("scrub", "--json")
    assert status in (0, 1)  # the service beside it may be reading
    status, out, _ = run("retention", "--dry-run", "--json")
    assert (status, json.loads(out)["would_go"]["erased_people"]) == (0, 0)
    status, out, _ = run("retention")
    assert status == 0
    assert "enrolments: 0" in out


@pytest.mark.parametrize(
    "document",
    [
        {"export_id": "x-1", "id_number": DATA.name},
        {"export_id": DATA.name, "id_number": DATA.id_number},
        {DATA.name: 1},
        DATA.id_number,
    ],
)
def test_a_command_quotes_nothing_of_a_wrong_document(service: Service, run: Run, document: object) -> None:
    for command in ("export", "erase"):
        status, out, told = run(command, "-", stdin=document)
        assert (status, out) == (2, "")
        assert not [canary for canary in CANARIES if canary in told]
