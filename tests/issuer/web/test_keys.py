"""The routes about keys: dry runs, four eyes, a stolen key, schedules, and what the management port tells of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from ecard_card.errors import Unavailable
from ecard_issuer.web.app import create_app
from ecard_issuer.web.management import management_app
from ecard_verifier.callers import Role
from tests.issuer.service import Service, open_service

LEAD = 25 * 3600


@pytest.fixture
def careful(tmp_path: Path) -> Iterator[Service]:
    """A service where another operator has to agree."""
    opened = open_service(tmp_path, approvals_needed=1)
    yield opened
    opened.issuer.close()


def client_of(service: Service) -> TestClient:
    headers = {"Authorization": f"Bearer {service.token(Role.OPERATOR)}"}
    return TestClient(create_app(service.issuer), raise_server_exceptions=False, headers=headers)


def active(client: TestClient, purpose: str = "credential") -> str:
    keys = client.get("/v1/keys").json()["keys"]
    return next(str(key["kid"]) for key in keys if (key["purpose"], key["state"]) == (purpose, "active"))


def create(client: TestClient, purpose: str = "credential") -> dict[str, Any]:
    made = client.post("/v1/keys", json={"purpose": purpose})
    assert made.status_code == 201
    body: dict[str, Any] = made.json()
    return body


def test_a_rotation_from_dry_run_to_the_old_key_that_only_verifies(operator: TestClient, service: Service) -> None:
    foreseen = operator.post("/v1/keys", json={"purpose": "credential", "dry_run": True})
    assert foreseen.status_code == 200
    assert foreseen.json()["possible"] is True
    assert len(operator.get("/v1/keys").json()["keys"]) == 4
    old, made = active(operator), create(operator)
    assert (made["state"], made["home"], made["live_credentials"]) == ("next", "file", 0)
    early = operator.post(f"/v1/keys/{made['kid']}/promote")
    assert (early.status_code, early.json()["code"]) == (422, "key_lead_not_over")
    assert made["next_change_from"] in early.json()["detail"]
    service.clock.advance(LEAD)
    assert [item["code"] for item in operator.get("/v1/keys").json()["advice"]] == ["key_promotion_due"]
    dry = operator.post(f"/v1/keys/{made['kid']}/promote", json={"dry_run": True}).json()
    assert (dry["possible"], dry["refused"]) == (True, None)
    assert active(operator) == old
    assert operator.post(f"/v1/keys/{made['kid']}/promote", json={}).json()["state"] == "active"
    states = {key["kid"]: key["state"] for key in operator.get("/v1/keys").json()["keys"]}
    assert (states[old], states[made["kid"]]) == ("verify-only", "active")
    service.clock.advance(3 * 86400)
    assert operator.post(f"/v1/keys/{old}/retire").json()["state"] == "retired"


def test_a_stolen_key_is_succeeded_at_once(operator: TestClient) -> None:
    stolen = active(operator)
    dry = operator.post(f"/v1/keys/{stolen}/compromise", json={"cut_off": None, "dry_run": True})
    assert dry.json()["stops_signing"] is False
    assert active(operator) == stolen
    done = operator.post(f"/v1/keys/{stolen}/compromise", json={"cut_off": None})
    assert (done.status_code, done.json()["state"], done.json()["compromised_from"]) == (200, "compromised", None)
    assert active(operator) != stolen


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        pytest.param({}, 422, "invalid_request", id="no cut-off said"),
        pytest.param({"cut_off": "2026-01-01T00:00:00"}, 400, "bad_cut_off", id="no zone"),
        pytest.param({"cut_off": "2036-01-01T00:00:00Z"}, 400, "bad_cut_off", id="ahead"),
        pytest.param({"cut_off": "soon"}, 422, "invalid_request", id="no time"),
        pytest.param({"cut_off": None, "dry_run": 1}, 422, "invalid_request", id="dry run is no number"),
        pytest.param({"cut_off": None, "dryrun": True}, 422, "invalid_request", id="a typed-wrong dry run"),
    ],
)
def test_a_compromise_that_is_not_clear_changes_nothing(
    operator: TestClient, body: dict[str, object], status: int, code: str
) -> None:
    kid = active(operator)
    answer = operator.post(f"/v1/keys/{kid}/compromise", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert active(operator) == kid


def test_a_schedule_is_set_shown_and_cleared(operator: TestClient) -> None:
    path = "/v1/keys/schedules/credential"
    short = operator.put(path, json={"every_seconds": 3600})
    assert (short.status_code, short.json()["code"]) == (422, "schedule_shorter_than_lead")
    assert operator.put(path, json={"every_seconds": 90 * 86400, "dry_run": True}).json()["dry_run"] is True
    assert operator.get("/v1/keys").json()["schedules"] == []
    assert operator.put(path, json={"every_seconds": 90 * 86400}).json()["every_seconds"] == 90 * 86400
    assert [row["purpose"] for row in operator.get("/v1/keys").json()["schedules"]] == ["credential"]
    assert operator.delete(path, params={"dry_run": "true"}).status_code == 200
    assert operator.delete(path).status_code == 204
    again = operator.delete(path)
    assert (again.status_code, again.json()["code"]) == (404, "key_schedule_unknown")
    assert operator.put("/v1/keys/schedules/trust", json={"every_seconds": 86400}).status_code == 422


def test_a_change_is_answered_202_until_another_operator_agrees(careful: Service) -> None:
    with client_of(careful) as first, client_of(careful) as second:
        kid = active(first, "status")
        asked = first.post(f"/v1/keys/{kid}/compromise", json={"cut_off": None})
        assert asked.status_code == 202
        request = asked.json()["approval"]["id"]
        own = first.post(f"/v1/approvals/{request}/approve", json={})
        assert (own.status_code, own.json()["code"]) == (422, "approval_own_request")
        assert second.post(f"/v1/approvals/{request}/approve", json={}).status_code == 200
        assert active(first, "status") == kid
        assert first.post(f"/v1/keys/{kid}/compromise", json={"cut_off": None}).status_code == 200
        assert active(first, "status") != kid


def test_texts_are_in_the_language_asked_for(operator: TestClient) -> None:
    kid = active(operator)
    answer = operator.post(f"/v1/keys/{kid}/retire", json={"dry_run": True}, headers={"Accept-Language": "zh-CN"})
    assert answer.headers["content-language"] == "zh"
    assert "密钥" in answer.json()["text"][0]


def test_the_management_port_tells_findings_and_ages_and_no_key_id(service: Service) -> None:
    with client_of(service) as operator:
        made = create(operator)
        kids = [key["kid"] for key in operator.get("/v1/keys").json()["keys"]]
    service.clock.advance(LEAD)
    with TestClient(management_app([service.issuer], lambda: True)) as watcher:
        text = watcher.get("/metrics").text
        assert watcher.get("/health/live").json() == {"live": True}
        assert watcher.get("/health/ready").status_code == 200
        assert watcher.get("/docs").status_code == 404
        assert watcher.post("/metrics").status_code == 405
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    issuer = 'issuer="https://issuer.example"'
    assert values[f'ecard_key_findings{{{issuer},kind="due"}}'] == "1.0"
    assert values[f'ecard_key_active_age_seconds{{{issuer},purpose="credential"}}'] == f"{LEAD}.0"
    assert float(values[f'ecard_key_promotion_due_seconds{{{issuer},purpose="credential"}}']) == 0
    assert not any(kid in text for kid in [*kids, made["kid"]])


def test_a_service_that_has_not_started_or_has_no_valid_list_is_not_ready(service: Service) -> None:
    with TestClient(management_app([service.issuer], lambda: False)) as watcher:
        assert watcher.get("/health/started").status_code == 503
        assert watcher.get("/health/live").status_code == 200
        assert watcher.get("/health/ready").status_code == 503
    service.clock.advance(31 * 86400)
    with TestClient(management_app([service.issuer], lambda: True)) as watcher:
        assert watcher.get("/health/started").status_code == 200
        assert watcher.get("/health/ready").status_code == 503
        assert 'kind="unsafe"} 1.0' in watcher.get("/metrics").text


def test_a_register_that_is_away_is_a_metric_and_no_fault(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise Unavailable("register_unavailable", "no answer")

    monkeypatch.setattr(service.issuer.register, "schedules", away)
    with TestClient(management_app([service.issuer], lambda: True)) as watcher:
        answer = watcher.get("/metrics")
    assert answer.status_code == 200
    assert 'ecard_register_up{issuer="https://issuer.example"} 0.0' in answer.text
    assert "ecard_key_findings{" not in answer.text
