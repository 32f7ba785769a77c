"""A region's policy from its file to what a counter's card may do: by two operators over HTTP, and by command."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from ecard_issuer.operators import Desk
from ecard_issuer.web.app import create_app
from ecard_sdk.cli import main
from ecard_verifier.callers import Role
from tests.issuer.service import Service, open_service

LENIENT = 'region = "000000"\nsource = "试行办法"\n[effects]\ntemporarily_lost = "allow"\n[loss]\ntemporary_days = 15\n'
MOMENT = "2026-11-24T00:00:00+08:00"  # six hours after the service's clock


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    opened = open_service(tmp_path, approvals_needed=1)
    yield opened
    opened.issuer.close()


@pytest.fixture
def http(service: Service) -> Iterator[TestClient]:
    with TestClient(create_app(service.issuer), raise_server_exceptions=False) as client:
        yield client


def bearer(service: Service, role: Role = Role.OPERATOR) -> dict[str, str]:
    """A caller who was there before four eyes were."""
    name = f"test {role} {secrets.token_hex(3)}"
    return {"Authorization": f"Bearer {Desk(service.issuer.register).add(name, role, service.clock()).token}"}


def setting(answer: dict[str, Any], name: str) -> str:
    return str(next(item["value"] for item in answer["settings"] if item["name"] == name))


def test_two_operators_set_a_policy_and_anybody_reads_it(service: Service, http: TestClient) -> None:
    anna, ben = bearer(service), bearer(service)
    card_ref = http.post("/v1/cards", json=service.card_body(1), headers=anna).json()["card_ref"]
    body = {"document": LENIENT, "effective_from": MOMENT}

    seen = http.post("/v1/policies", json=body | {"dry_run": True}, headers=anna)
    assert seen.status_code == 200
    assert [item["name"] for item in seen.json()["differences"]] == [
        "source",
        "effects.temporarily_lost",
        "loss.temporary_days",
    ]
    assert (seen.json()["cards"], seen.json()["cards_changed"]) == (1, 0)
    assert any("临时挂失" in line for line in seen.json()["words"]["zh"])

    asked = http.post("/v1/policies", json=body, headers=anna)
    assert asked.status_code == 202
    request = asked.json()["approval"]
    assert request["action"] == "policy.set"
    assert http.post(f"/v1/approvals/{request['id']}/approve", json={}, headers=ben).json()["state"] == "approved"
    assert http.post("/v1/policies", json=body, headers=anna).status_code == 201
    again = http.post("/v1/policies", json=body, headers=ben)
    assert (again.status_code, again.json()["number"]) == (201, 1)

    before = http.get("/v1/regions/410105/policy")
    assert before.status_code == 200
    assert (before.json()["digest"], setting(before.json(), "loss.temporary_days")) == (None, '"never"')
    service.clock.advance(6 * 3600)
    now = http.get("/v1/regions/410105/policy").json()
    assert (now["set_for"], setting(now, "loss.temporary_days")) == ("000000", "15")
    assert all(item["text"]["en"] and item["text"]["zh"] for item in now["settings"])

    http.post(f"/v1/cards/{card_ref}/changes", json={"change": "report_temporary_loss"}, headers=anna)
    (event,) = service.issuer.register.events_of(card_ref)
    assert int(event.status) == 4
    assert service.issuer.policies.book.policy_of("000000", service.clock()).source == "试行办法"
    (record,) = http.get("/v1/regions/000000/policies", headers=ben).json()["policies"]
    assert (record["document"], record["effective_from"]) == (LENIENT, "2026-11-23T16:00:00.000Z")
    assert http.get("/v1/regions/410000/policies", headers=ben).json() == {"policies": []}


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """An operator's client over one service for all requests that are refused."""
    service = open_service(tmp_path_factory.mktemp("refusing"))
    with TestClient(create_app(service.issuer), headers=bearer(service)) as client:
        yield client
    assert service.issuer.policies.book.regions() == frozenset()
    service.issuer.close()


@pytest.mark.parametrize(
    ("change", "status", "code", "words"),
    [
        ({"document": "region = 1"}, 400, "bad_region_policy", "政策"),
        ({"document": 'region = "410000"\nunheard_of = 1'}, 400, "bad_region_policy", "政策"),
        ({"document": "x" * 40_000}, 422, "invalid_request", "请求"),
        ({"document": ""}, 422, "invalid_request", "请求"),
        ({"effective_from": "2026-11-23T10:00:30Z"}, 422, "policy_too_soon", "倒签"),
        ({"effective_from": "2020-01-01T00:00:00Z"}, 422, "policy_too_soon", "倒签"),
        ({"effective_from": "2027-01-01T00:00:00"}, 400, "bad_policy_moment", "时区"),
        ({"effective_from": "2027-01-01T00:00:00.5Z"}, 400, "bad_policy_moment", "时区"),
        ({"effective_from": "9999-12-31T23:59:59-12:00"}, 400, "bad_policy_moment", "时区"),
        ({"effective_from": "0001-01-01T00:00:00+12:00"}, 422, "policy_too_soon", "倒签"),
        ({"unknown": 1}, 422, "invalid_request", "请求"),
    ],
)
def test_bad_policies_are_refused_in_both_languages(
    refusing: TestClient, change: dict[str, Any], status: int, code: str, words: str
) -> None:
    body = {"document": LENIENT, "effective_from": MOMENT} | change
    for language in ("en", "zh-CN"):
        answer = refusing.post("/v1/policies", json=body, headers={"Accept-Language": language})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert (words in answer.text) is (language == "zh-CN")


@pytest.mark.parametrize("region", ["41010", "4101055", "41010x", "４１０１０５"])
def test_a_region_is_six_digits(refusing: TestClient, region: str) -> None:
    assert refusing.get(f"/v1/regions/{region}/policy").status_code == 422


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `ecard …` on a fresh authority where four eyes are off; gives exit status, data and talk."""
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("ECARD_APPROVALS_NEEDED", "0")
    open_service(tmp_path / "data").issuer.close()

    def command(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(list(arguments))
        output = capsys.readouterr()
        return status, output.out, output.err

    return command


def test_commands_check_set_and_show(run: Any, tmp_path: Path) -> None:
    file, place = tmp_path / "policy.toml", ("--data-dir", str(tmp_path / "data"))
    file.write_text(LENIENT, encoding="utf-8")
    status, out, _ = run("policy", "check", str(file))
    assert status == 0
    assert "loss.temporary_days = 15" in out
    status, out, _ = run("policy", "set", str(file), "--from", "2030-01-01T00:00:00+08:00", "--dry-run", *place)
    assert status == 0
    assert "loss.temporary_days" in out
    assert "适用本政策的卡：0 张" in out
    status, out, _ = run("policy", "set", str(file), "--from", "2030-01-01T00:00:00+08:00", *place)
    assert (status, out) == (0, "policy 1 of 000000 holds from 2029-12-31T16:00:00.000Z\n")
    status, out, _ = run("policy", "show", "410105", "--json", *place)
    assert json.loads(out)["digest"] is None
    status, out, _ = run("policy", "show", "410105", "--at", "2030-01-01T00:00:00+08:00", "--json", *place)
    assert setting(json.loads(out), "loss.temporary_days") == "15"
    status, out, _ = run("policy", "history", "000000", "--json", *place)
    assert json.loads(out)["policies"][0]["set_by"] == "local admin"
    status, out, told = run("policy", "history", "410000", *place)
    assert (status, out) == (0, "")
    assert "Nobody" in told


@pytest.mark.parametrize(
    ("content", "moment", "code"),
    [
        (b"\xff\xfe", "2030-01-01T00:00:00+08:00", "bad_region_policy"),
        (b"region = '410000", "2030-01-01T00:00:00+08:00", "bad_region_policy"),
        (LENIENT.encode(), "tomorrow", "bad_policy_moment"),
        (LENIENT.encode(), "2030-01-01", "bad_policy_moment"),
        (LENIENT.encode(), "2020-01-01T00:00:00+08:00", "policy_too_soon"),
    ],
)
def test_a_command_refuses_what_cannot_be_used(
    run: Any, tmp_path: Path, content: bytes, moment: str, code: str
) -> None:
    file = tmp_path / "policy.toml"
    file.write_bytes(content)
    status, out, told = run("policy", "set", str(file), "--from", moment, "--data-dir", str(tmp_path / "data"))
    assert status == (1 if code == "policy_too_soon" else 2)
    assert out == ""
    assert code in told
