"""Four eyes over HTTP: a change that waits is an answer of its own, and nobody agrees with themselves on any path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from ecard_issuer.approvals import Change
from ecard_issuer.web.app import create_app
from ecard_verifier.callers import Role
from tests.issuer.service import Service, open_service

PROMOTE = Change("key.promote", "aaaa0001", {"purpose": "credential", "注": "一"})


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    opened = open_service(tmp_path, approvals_needed=1)
    yield opened
    opened.issuer.close()


@pytest.fixture
def app(service: Service) -> FastAPI:
    """With a route that asks for approval and then makes an operator, as every dangerous route does."""
    app = create_app(service.issuer)

    @app.post("/test/change/{actor}")
    def change(actor: str) -> dict[str, bool]:
        return {"granted": service.issuer.approvals.require(PROMOTE, actor, service.clock()) is not None}

    return app


def client_of(app: FastAPI, service: Service, name: str, role: Role = Role.OPERATOR) -> TestClient:
    token = service.issuer.operators.add(name, role, service.clock()).token
    return TestClient(app, raise_server_exceptions=False, headers={"Authorization": f"Bearer {token}"})


def test_a_change_waits_with_202_until_another_operator_agrees(app: FastAPI, service: Service) -> None:
    anna, also_anna = (client_of(app, service, "anna") for _ in range(2))
    ben = client_of(app, service, "ben")
    waiting = anna.post("/test/change/anna")
    assert waiting.status_code == 202
    approval = waiting.json()["approval"]
    assert set(waiting.json()) == {"approval"}
    assert (approval["state"], approval["requester"], approval["facts"]) == ("pending", "anna", dict(PROMOTE.facts))
    assert anna.post("/test/change/anna").json()["approval"]["id"] == approval["id"]
    path = f"/v1/approvals/{approval['id']}"
    for own in (anna, also_anna):  # two tokens are not two people
        for verb in ("approve", "refuse"):
            answer = own.post(f"{path}/{verb}", json={})
            assert (answer.status_code, answer.json()["code"]) == (422, "approval_own_request")
    assert [row["id"] for row in ben.get("/v1/approvals").json()["approvals"]] == [approval["id"]]
    approved = ben.post(f"{path}/approve", json={"reason": "as agreed"})
    assert approved.status_code == 200
    assert approved.json()["state"] == "approved"
    assert [(vote["approver"], vote["reason"]) for vote in approved.json()["votes"]] == [("ben", "as agreed")]
    again = ben.post(f"{path}/approve", json={})
    assert (again.status_code, again.json()["code"]) == (409, "approval_closed")
    assert anna.post("/test/change/anna").json() == {"granted": True}
    assert anna.get(path).json() == approved.json()


def test_what_waits_is_asked_again_under_the_same_key(app: FastAPI, service: Service) -> None:
    """An answer that says "not yet" is no answer to keep."""
    anna, ben = client_of(app, service, "anna"), client_of(app, service, "ben")
    kid = next(key["kid"] for key in anna.get("/v1/keys").json()["keys"] if key["state"] == "active")
    headers = {"Idempotency-Key": "one-act"}
    asked = [anna.post(f"/v1/keys/{kid}/compromise", json={"cut_off": None}, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in asked] == [202, 202], asked[0].text
    approval = asked[0].json()["approval"]["id"]
    assert ben.post(f"/v1/approvals/{approval}/approve", json={}).status_code == 200
    done = anna.post(f"/v1/keys/{kid}/compromise", json={"cut_off": None}, headers=headers)
    assert (done.status_code, "idempotency-replayed" in done.headers) == (200, False), done.text
    again = anna.post(f"/v1/keys/{kid}/compromise", json={"cut_off": None}, headers=headers)
    assert (again.content, again.headers["idempotency-replayed"]) == (done.content, "true")


def test_one_refusal_ends_a_request(app: FastAPI, service: Service) -> None:
    anna, ben = client_of(app, service, "anna"), client_of(app, service, "ben")
    path = f"/v1/approvals/{anna.post('/test/change/anna').json()['approval']['id']}"
    assert ben.post(f"{path}/refuse", json={"reason": "no"}).json()["state"] == "refused"
    assert ben.get("/v1/approvals").json() == {"approvals": []}
    assert [row["state"] for row in ben.get("/v1/approvals?all=true").json()["approvals"]] == ["refused"]
    answer = ben.post(f"{path}/approve", json={})
    assert (answer.status_code, answer.json()["code"]) == (409, "approval_closed")


def test_a_request_that_is_over_is_not_approved(app: FastAPI, service: Service) -> None:
    anna, ben = client_of(app, service, "anna"), client_of(app, service, "ben")
    path = f"/v1/approvals/{anna.post('/test/change/anna').json()['approval']['id']}"
    service.clock.advance(24 * 3600)
    assert ben.get(path).json()["state"] == "expired"
    answer = ben.post(f"{path}/approve", json={})
    assert (answer.status_code, answer.json()["code"]) == (422, "approval_expired")


def test_hostile_requests_are_refused(app: FastAPI, service: Service) -> None:
    anna, ben = client_of(app, service, "anna"), client_of(app, service, "ben")
    path = f"/v1/approvals/{anna.post('/test/change/anna').json()['approval']['id']}"
    unknown = ben.post(f"/v1/approvals/{'00' * 8}/approve", json={})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "approval_unknown")
    bodies: list[object] = [{"reason": "x" * 201}, {"approver": "carla"}, {"reason": 1}, []]
    for body in bodies:
        assert ben.post(f"{path}/approve", json=body).status_code == 422
    for wrong in ("xyz", "ABCDEF0123456789", "00" * 9):
        assert ben.post(f"/v1/approvals/{wrong}/approve", json={}).status_code == 422
    unprintable = ben.post(f"{path}/approve", json={"reason": "\x1b[2J"})
    assert (unprintable.status_code, unprintable.json()["code"]) == (400, "bad_reason")
    counter = client_of(app, service, "desk 1", Role.COUNTER)
    assert counter.post(f"{path}/approve", json={}).status_code == 403
    assert ben.get(path).json()["votes"] == []


def test_the_api_description_names_the_answer_that_waits(app: FastAPI) -> None:
    from ecard_issuer.web.approval_models import NEEDS_APPROVAL, ApprovalWaiting

    assert NEEDS_APPROVAL[202]["model"] is ApprovalWaiting
    described = app.openapi()["paths"]["/v1/approvals/{request_id}/approve"]["post"]
    assert described["x-ecard-role"] == ["operator"]
