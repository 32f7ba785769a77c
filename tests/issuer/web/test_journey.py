"""The whole story over HTTP: a card is registered, proven, issued, lost, found, replaced, cancelled."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from ecard_card import cwt
from ecard_card.jose import b64url_decode
from ecard_card.status import EcardStatus
from ecard_keys.trust.root import root_from_json
from ecard_sdk.device import DeviceKey
from ecard_verifier.bundle import open_bundle
from ecard_verifier.callers import Role
from ecard_verifier.check import check
from ecard_verifier.statuses import accept_status_token
from tests.issuer.service import ORIGIN, Service


def post(client: TestClient, path: str, body: dict[str, Any], status: int = 200) -> dict[str, Any]:
    response = client.post(path, json=body)
    assert response.status_code == status, response.text
    answer = response.json()
    assert isinstance(answer, dict)
    return answer


def enrol(service: Service, client: TestClient, serial: int) -> dict[str, Any]:
    opened = post(client, "/v1/enrolments", {"terminal_id": "desk-1"}, 201)
    evidence = service.evidence(serial, bytes.fromhex(opened["challenge"]))
    return post(client, f"/v1/enrolments/{opened['enrolment_id']}/evidence", evidence)


def issue(service: Service, client: TestClient, serial: int, device: DeviceKey) -> dict[str, Any]:
    proven = enrol(service, client, serial)
    body = service.credential_body(device, proven["enrolment_id"])
    return post(client, f"/v1/enrolments/{proven['enrolment_id']}/credentials", body, 201)


def status_of(service: Service, client: TestClient, credential: dict[str, Any]) -> EcardStatus:
    place = credential["status"]
    response = client.get(place["uri"].removeprefix(ORIGIN))
    token = accept_status_token(response.text, service.issuer.keys.trust(service.clock()), service.clock())
    return EcardStatus(token.statuses.get(place["index"]))


def test_the_life_of_a_card(service: Service, operator: TestClient) -> None:
    device = DeviceKey.generate()
    card = post(operator, "/v1/cards", service.card_body(1), 201)
    assert (card["status"], card["ecard_status"], card["ecard_id"]) == (1, "valid", None)
    first = issue(service, operator, 1, device)
    assert first["chip_assurance"] == "signature"
    parsed = cwt.parse(b64url_decode(first["cwt"]))
    assert parsed.credential_id.hex() == first["credential_id"]

    bundle = open_bundle(
        operator.get("/v1/bundle").content, service.clock(), root_from_json(operator.get("/v1/trust-root").json())
    )
    code = device.offline_code(b64url_decode(first["cwt"]), service.clock())
    assert check(code, bundle.trust, bundle.statuses, service.clock()).outcome.value == "valid"

    path = f"/v1/cards/{card['card_ref']}"
    assert (
        post(operator, f"{path}/changes", {"change": "report_loss", "event_id": "l-1"})["ecard_status"] == "suspended"
    )
    assert status_of(service, operator, first) is EcardStatus.SUSPENDED
    assert not post(operator, f"{path}/changes", {"change": "report_loss", "event_id": "l-1"})["applied"]
    named = post(operator, f"{path}/changes", {"change": "release"})["event_id"]
    assert status_of(service, operator, first) is EcardStatus.VALID
    repeated = post(operator, f"{path}/changes", {"change": "release", "event_id": named})
    assert (repeated["applied"], repeated["event_id"]) == (False, named)

    new_body = service.card_body(2) | {"holder": service.card_body(1)["holder"]}
    new = post(operator, "/v1/cards", new_body, 201)
    post(operator, f"{path}/replacement", {"new_card_ref": new["card_ref"], "sequence": 7})
    assert status_of(service, operator, first) is EcardStatus.INVALID
    second = issue(service, operator, 2, device)
    assert second["ecard_id"] == first["ecard_id"]
    assert status_of(service, operator, second) is EcardStatus.VALID

    shown = operator.get(f"/v1/cards/{new['card_ref']}").json()
    assert (shown["binding"], shown["ecard_id"]) == ("live", first["ecard_id"])
    assert [row["state"] for row in operator.get(path).json()["credentials"]] == ["ended"]
    found = post(operator, "/v1/cards/find", {"id_number": new_body["holder"]["id_number"]})["cards"]
    assert {row["card_ref"] for row in found} == {card["card_ref"], new["card_ref"]}

    post(operator, f"/v1/cards/{new['card_ref']}/changes", {"change": "cancel"})
    assert status_of(service, operator, second) is EcardStatus.INVALID
    refused = operator.post(f"/v1/cards/{new['card_ref']}/changes", json={"change": "release"})
    assert (refused.status_code, refused.json()["code"]) == (422, "card_change_impossible")


def test_a_lost_answer_is_asked_for_again_and_an_enrolment_serves_one_device(
    service: Service, operator: TestClient
) -> None:
    post(operator, "/v1/cards", service.card_body(1), 201)
    proven = enrol(service, operator, 1)
    path = f"/v1/enrolments/{proven['enrolment_id']}/credentials"
    device = DeviceKey.generate()
    first = post(operator, path, service.credential_body(device, proven["enrolment_id"]), 201)
    assert post(operator, path, service.credential_body(device, proven["enrolment_id"]), 201) == first
    other = operator.post(path, json=service.credential_body(DeviceKey.generate(), proven["enrolment_id"]))
    assert (other.status_code, other.json()["code"]) == (409, "enrolment_already_used")


def test_keys_are_listed_made_and_promoted(operator: TestClient) -> None:
    made = post(operator, "/v1/keys", {"purpose": "credential"}, 201)
    assert made["state"] == "next"
    assert post(operator, f"/v1/keys/{made['kid']}/promote", {"despite_lead": True})["state"] == "active"
    states = {key["kid"]: key["state"] for key in operator.get("/v1/keys").json()["keys"]}
    assert sorted(states.values()) == ["active", "active", "active", "active", "verify-only"]
    published = operator.get("/.well-known/jwt-vc-issuer").json()
    assert made["kid"] in {key["kid"] for key in published["jwks"]["keys"]}


def test_status_lists_are_negotiated_and_cached(service: Service, operator: TestClient) -> None:
    post(operator, "/v1/cards", service.card_body(1), 201)
    path = issue(service, operator, 1, DeviceKey.generate())["status"]["uri"].removeprefix(ORIGIN)
    plain = operator.get(path)
    assert plain.headers["content-type"] == "application/statuslist+jwt"
    assert plain.headers["cache-control"] == "public, max-age=60"
    assert plain.headers["access-control-allow-origin"] == "*"
    compact = operator.get(path, headers={"Accept": "application/statuslist+cwt"})
    assert compact.headers["content-type"] == "application/statuslist+cwt"
    accept_status_token(compact.content, service.issuer.keys.trust(service.clock()), service.clock())
    for given in (plain.headers["etag"], f'W/{plain.headers["etag"]}, "x"', "*"):
        again = operator.get(path, headers={"If-None-Match": given})
        assert (again.status_code, again.content) == (304, b"")
    assert operator.get(path, headers={"If-None-Match": '"x"'}).status_code == 200


def test_the_feed_streams_what_is_stored_in_the_form_of_server_sent_events(
    service: Service, operator: TestClient
) -> None:
    service.issuer.dispatcher.turn()
    with operator.stream("GET", "/v1/feed?since=0") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.iter_lines()
        assert [next(lines) for _ in range(2)] == ["id: 1", "event: set"]
        service.issuer.hub.close()


def test_nothing_personal_in_answers_or_logs(
    service: Service, operator: TestClient, app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    body = service.card_body(1)
    device = DeviceKey.generate()
    answers = [operator.post("/v1/cards", json=body).text, operator.post("/v1/cards", json=body).text]
    canaries = [
        body["identification_code"],
        body["card_number"],
        body["holder"]["id_number"],
        body["holder"]["name"],
    ]
    for name in ("identification_code", "card_number"):
        answers.append(operator.post("/v1/cards/find", json={name: body[name]}).text)
        answers.append(operator.post("/v1/cards", json=body | {name: body[name] + "*"}).text)
        answers.append(operator.post("/v1/cards", json=body | {body[name]: 1}).text)
    answers.append(operator.post("/v1/cards/find", json={"id_number": canaries[2]}).text)
    proven = enrol(service, operator, 1)
    answers.append(str(proven))
    credential = service.credential_body(device, proven["enrolment_id"])
    path = f"/v1/enrolments/{proven['enrolment_id']}/credentials"
    answers.append(operator.post(path, json=credential | {"proof": canaries[2]}).text)
    assert operator.post(path, json=credential).status_code == 201
    service.issuer.dispatcher.turn()
    answers.append(operator.get(f"/v1/cards/{proven['card_ref']}").text)
    answers.extend(row.token for row in service.issuer.register.read_feed("0"))
    token = operator.headers["Authorization"].removeprefix("Bearer ")
    for canary in canaries:
        assert not any(canary in answer for answer in answers)
        assert canary not in caplog.text
    assert token not in caplog.text


def test_the_card_system_reports_under_its_own_name(service: Service, operator: TestClient, app: FastAPI) -> None:
    card = post(operator, "/v1/cards", service.card_body(1), 201)["card_ref"]
    path = f"/v1/cards/{card}/changes"
    desk = post(operator, path, {"change": "report_loss"})
    assert (desk["sequence"], desk["source"], desk["source_sequence"]) == (1, "", None)
    name = f"card system {card[:4]}"
    token = service.issuer.operators.add(name, Role.SOURCE, service.clock()).token
    source = TestClient(app, headers={"Authorization": f"Bearer {token}"})
    echo = post(source, path, {"change": "report_loss", "sequence": 1})
    assert (echo["sequence"], echo["source"], echo["source_sequence"]) == (2, name, 1)
    assert (echo["applied"], echo["previous"], echo["status"]) == (True, 2, 2)
    late = {"change": "release", "occurred_at": "2026-11-23T09:59:59Z", "sequence": 2}
    refused = source.post(path, json=late)
    assert (refused.status_code, refused.json()["code"]) == (422, "card_change_superseded")
    ahead = source.post(path, json=late | {"occurred_at": "2026-11-23T10:06:00Z"})
    assert (ahead.status_code, ahead.json()["code"]) == (422, "card_event_from_future")


def test_operators_choose_event_ids_without_knowing_each_other(service: Service, operator: TestClient) -> None:
    """Else the second operator's loss would pass for the first one's repetition, and the card stay good."""
    path = f"/v1/cards/{post(operator, '/v1/cards', service.card_body(1), 201)['card_ref']}/changes"
    other = {"Authorization": f"Bearer {service.token(Role.OPERATOR)}"}
    lost = {"change": "report_loss", "event_id": "1"}
    assert post(operator, path, lost)["applied"]
    assert post(operator, path, {"change": "release"})["applied"]
    answer = operator.post(path, json=lost, headers=other).json()
    assert (answer["applied"], answer["event_id"], answer["ecard_status"]) == (True, "1", "suspended")
    assert not operator.post(path, json=lost, headers=other).json()["applied"]
    assert not post(operator, path, lost)["applied"]  # the first one's own repetition still is one
