"""Hostile bodies, paths and headers: a problem document in every case, never a 5xx, nothing half-written."""

from __future__ import annotations

import json
import re
import time
from html import unescape
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from ecard_card.jose import b64url_encode
from ecard_sdk.device import DeviceKey
from tests.issuer.service import Service
from tests.issuer.web.test_journey import enrol, post

POSTS = (
    "/v1/cards",
    "/v1/cards/find",
    f"/v1/cards/{'ab' * 16}/changes",
    f"/v1/cards/{'ab' * 16}/replacement",
    "/v1/enrolments",
    f"/v1/enrolments/{'cd' * 16}/evidence",
    f"/v1/enrolments/{'cd' * 16}/credentials",
    "/v1/keys",
    "/v1/keys/00000000/promote",
)
RAW = {
    "empty object": b"{}",
    "array": b"[]",
    "null": b"null",
    "number": b"1e999",
    "not a number": b'{"terminal_id": NaN}',
    "half a surrogate": b'{"terminal_id": "\\ud800", "purpose": "\\ud800", "format": "\\ud800"}',
    "zero byte": b'{"terminal_id": "\\u0000"}',
    "broken": b'{"terminal_id": ',
    "not utf-8": b'{"terminal_id": "\xff\xfe"}',
    "deep": b'{"a":' * 3000 + b"1" + b"}" * 3000,
    "deep arrays": b"[" * 20000,
    "duplicate members": b'{"purpose": "status", "purpose": "credential", "x": 1}',
    "huge number": b'{"sequence": ' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW.keys())
@pytest.mark.parametrize("path", POSTS)
def test_an_odd_body_gets_a_problem_document(shared: TestClient, path: str, raw: bytes) -> None:
    response = shared.post(path, content=raw, headers={"Content-Type": "application/json"})
    assert 400 <= response.status_code < 500
    if path != "/v1/keys/00000000/promote":
        assert response.status_code in (400, 404, 422)
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["code"]
    assert problem["request_id"] == response.headers["x-request-id"]


@pytest.mark.parametrize("path", POSTS)
def test_ten_megabytes_and_foreign_types_are_refused_at_once(shared: TestClient, path: str) -> None:
    started = time.monotonic()
    large = shared.post(path, content=b"x" * 10_000_000, headers={"Content-Type": "application/json"})
    assert (large.status_code, large.json()["code"]) == (413, "body_too_large")
    form = shared.post(path, data={"a": "b"})
    assert (form.status_code, form.json()["code"]) == (415, "unsupported_media_type")
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "path",
    [
        "/status-lists/99999999999999999999",
        "/status-lists/4294967296",
        "/status-lists/-1",
        "/status-lists/abc",
        "/status-lists/%00",
        "/status-lists/..%2f..%2fetc",
        "/v1/cards/%27%20or%201=1",
        "/v1/cards/" + "a" * 5000,
        "/v1/feed?since=-1",
        "/v1/feed?since=9" + "9" * 400,
        "/v1/nothing",
    ],
)
def test_an_odd_path_gets_a_problem_document(shared: TestClient, path: str) -> None:
    response = shared.get(path)
    assert 400 <= response.status_code < 500
    assert response.json()["type"] == f"/problems/{response.json()['code']}"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"identification_code": "1" * 32}, "bad_identification_code"),
        ({"holder": {"id_number": "1" * 18, "name": "x"}}, "bad_id_number"),
        ({"card_number": "........."}, "bad_card_number"),
        ({"expires_on": "2000-01-01"}, "bad_card_validity"),
        ({"issued_on": "yesterday"}, "invalid_request"),
        ({"status": 5}, "invalid_request"),
        ({"chip_public_key": "===="}, "bad_base64url"),
        ({"surprise": 1}, "invalid_request"),
    ],
)
def test_a_card_that_is_none_is_refused_and_nothing_is_stored(
    service: Service, operator: TestClient, change: dict[str, Any], code: str
) -> None:
    body = service.card_body(1)
    response = operator.post("/v1/cards", json=body | change)
    assert response.status_code in (400, 422)
    assert response.json()["code"] == code
    found = operator.post("/v1/cards/find", json={"card_number": body["card_number"]})
    assert found.json() == {"cards": []}


def test_the_examples_on_the_page_issue_a_card_as_they_stand(service: Service, operator: TestClient) -> None:
    """Only a device's key and proof has everybody to make themselves."""
    page = unescape(operator.get("/docs").text)
    examples = dict(re.findall(r"""--json @- "\$URL(\S+)" <<'END'\n(.*?)\nEND""", page, re.DOTALL))
    bodies = {path: json.loads(body) for path, body in examples.items()}
    card = post(operator, "/v1/cards", bodies["/v1/cards"], 201)
    assert card.pop("warnings") == []
    assert post(operator, "/v1/cards/find", bodies["/v1/cards/find"], 200)["cards"] == [card]
    enrolment = post(operator, "/v1/enrolments", bodies["/v1/enrolments"], 201)["enrolment_id"]
    path = f"/v1/enrolments/{enrolment}"
    proven = post(operator, f"{path}/evidence", bodies["/v1/enrolments/$enrolment_id/evidence"], 200)
    assert (proven["card_ref"], proven["chip_assurance"]) == (card["card_ref"], "read")
    own = service.credential_body(DeviceKey.generate(), enrolment)
    assert bodies["/v1/enrolments/$enrolment_id/credentials"].keys() == own.keys()
    post(operator, f"{path}/credentials", own, 201)
    changed = post(operator, f"/v1/cards/{card['card_ref']}/changes", bodies["/v1/cards/$card_ref/changes"], 200)
    assert changed["ecard_status"] == "suspended"
    post(operator, "/v1/keys", bodies["/v1/keys"], 201)


@pytest.mark.parametrize("members", [{}, {"id_number": "1", "card_number": "2"}])
def test_a_search_names_exactly_one_thing(shared: TestClient, members: dict[str, str]) -> None:
    response = shared.post("/v1/cards/find", json=members)
    assert (response.status_code, response.json()["code"]) == (400, "bad_search")


def test_device_keys_and_proofs_that_do_not_hold_are_refused(service: Service, operator: TestClient) -> None:
    post(operator, "/v1/cards", service.card_body(1), 201)
    enrolment_id = enrol(service, operator, 1)["enrolment_id"]
    path = f"/v1/enrolments/{enrolment_id}/credentials"
    device = DeviceKey.generate()
    good = service.credential_body(device, enrolment_id)
    off_curve = good["device_key"] | {"x": b64url_encode(bytes(32))}
    header, claims, _ = good["proof"].split(".")
    wrong = (
        good | {"device_key": off_curve},
        good | {"device_key": good["device_key"] | {"d": "AAAA"}},
        good | {"device_key": DeviceKey.generate().public_jwk},
        good | {"proof": "a.b.c"},
        good | {"proof": f"{header}.{claims}.{b64url_encode(bytes(64))}"},
        good | {"proof": device.proof("https://other.example", enrolment_id, service.clock())},
        good | {"proof": device.proof(service.issuer.identity.issuer, "00" * 16, service.clock())},
        good | {"ecard_id": "ab" * 16},
        good | {"ecard_id": "not a reference"},
    )
    for body in wrong:
        response = operator.post(path, json=body)
        assert 400 <= response.status_code < 500, body
        assert response.headers["content-type"] == "application/problem+json"
    assert post(operator, path, good, 201)["ecard_id"]


def test_a_wrong_answer_of_a_chip_proves_nothing_and_the_right_one_still_counts(
    service: Service, operator: TestClient
) -> None:
    post(operator, "/v1/cards", service.card_body(1), 201)
    opened = post(operator, "/v1/enrolments", {"terminal_id": "desk"}, 201)
    path = f"/v1/enrolments/{opened['enrolment_id']}/evidence"
    replayed = operator.post(path, json=service.evidence(1, bytes(32)))
    assert (replayed.status_code, replayed.json()["code"]) == (422, "chip_answer_replayed")
    unknown = operator.post(path, json=service.evidence(2, bytes.fromhex(opened["challenge"])))
    assert (unknown.status_code, unknown.json()["code"]) == (404, "card_unknown")
    evidence = service.evidence(1, bytes.fromhex(opened["challenge"]))
    assert post(operator, path, evidence)["chip_assurance"] == "signature"
    again = operator.post(path, json=evidence)
    assert (again.status_code, again.json()["code"]) == (409, "enrolment_already_used")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(path=st.sampled_from(POSTS), body=JSON, name=st.sampled_from(["device_key", "holder", "reading", "change"]))
def test_no_json_makes_a_fault(shared: TestClient, path: str, body: object, name: str) -> None:
    for document in (body, {name: body}):
        content = json.dumps(document).encode()
        response = shared.post(path, content=content, headers={"Content-Type": "application/json"})
        assert response.status_code < 500


def test_the_api_document_names_every_operation_and_bounds_every_text(app: FastAPI) -> None:
    document = app.openapi()
    assert document["openapi"].startswith("3.1")
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert all(operation.get("summary") for operation in operations)
    for body in ("NewCard", "ChangeBody", "ReplacementBody", "EnrolmentBody", "CredentialBody", "KeyBody", "FindCards"):
        schema = document["components"]["schemas"][body]
        assert schema["additionalProperties"] is False
        for member in schema["properties"].values():
            for kind in (member, *member.get("anyOf", ())):
                if kind.get("type") == "string" and kind.get("format") is None:
                    assert {"maxLength", "pattern", "enum", "const"} & kind.keys(), kind


def test_a_register_that_does_not_answer_is_our_fault_and_says_so(service: Service, operator: TestClient) -> None:
    assert operator.get("/health/ready").status_code == 200
    with service.issuer.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE trust_list RENAME TO elsewhere")
        connection.exec_driver_sql("ALTER TABLE card RENAME TO elsewhere_too")
    ready = operator.get("/health/ready")
    assert (ready.status_code, ready.json()) == (503, {"ready": False, "database": False, "trust_list": False})
    for path in ("/.well-known/ecard-trust-list", "/v1/cards/" + "ab" * 16):
        response = operator.get(path)
        assert (response.status_code, response.json()["code"]) == (503, "register_unavailable")
        assert response.headers["retry-after"] == "1"
        assert "elsewhere" not in response.text
        assert "SELECT" not in response.text
    assert operator.get("/health/live").status_code == 200


def test_an_odd_card_number_is_registered_with_a_warning(service: Service, operator: TestClient) -> None:
    assert post(operator, "/v1/cards", service.card_body(1), 201)["warnings"] == []
    odd = post(operator, "/v1/cards", service.card_body(2) | {"card_number": "TEST00010"}, 201)
    assert odd["warnings"] == ["card_number_check"]
