"""Every POST that creates or changes heeds `Idempotency-Key`, whoever may call it; the others say here why not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from starlette.testclient import TestClient

from ecard_issuer.web.conventions.repeats import WITHOUT_KEY
from ecard_issuer.web.embedded import embed
from ecard_verifier.callers import Role
from tests.issuer.service import Service

REPLAYED = "idempotency-replayed"
_EVERY_API = ("/docs", "/openapi.json", "/problems", "/problems/{code}")  # of any application of ours, made with it
_PRESENTING = "OpenID4VP's, by wallets that know no such header; a request is given out and answered once"
_FORM = "OAuth's form, by a library that knows no such header"
_WALLET = "OpenID4VCI's, by wallets that know no such header; a token, nonce or transaction is good once"
#: By path: why a POST that is no read knows no key.
WITHOUT = {
    "/oauth/token": _FORM,
    "/login/token": _FORM,
    "/login/authorize": _FORM,
    "/login/userinfo": "a read, which OpenID Connect wants by POST too",
    "/login/wait/{transaction_id}/cancel": "a browser's form, and cancelling twice is cancelling",
    "/wallets/par": _FORM,
    "/wallets/token": _FORM,
    "/wallets/authorize": _FORM,
    "/wallets/nonce": _WALLET,
    "/wallets/credential": _WALLET,
    "/wallets/deferred": _WALLET,
    "/wallets/notification": _WALLET,
    "/openid4vp/request/{reference}": _PRESENTING,
    "/openid4vp/response/{reference}": _PRESENTING,
    "/v1/counter/session": "an admission code is good once, and the page that used it is admitted",
    "/v1/counter/staff": "logging on twice is logging on",
    "/v1/counter/verifications": "the scan_id is the key, and its answer is kept for 15 minutes alone",
    "/v1/counter/uploads": "each scan_id is a key",
    "/v1/counter/challenges": "one that nobody answers is over in two minutes",
    "/v1/sessions": "the ticket is the key: a second use is an alarm, never a repetition",
    "/v1/links/{link_id}/payments/show": "a read, whose challenge stands in no URL",
    "/v1/service-points/search": "a read, whose place stands in no URL",
}


@pytest.fixture(scope="module")
def whole(service: Service) -> FastAPI:
    return embed(service.issuer).app


@pytest.fixture(scope="module")
def operator(whole: FastAPI, service: Service) -> TestClient:
    headers = {"Authorization": f"Bearer {service.token(Role.OPERATOR)}"}
    return TestClient(whole, raise_server_exceptions=False, headers=headers)


def test_every_route_of_the_service_counts_addresses_and_heeds_keys(whole: FastAPI) -> None:
    """What stands at the application must be done by the routes themselves, however they came to it."""
    wanted = {depends.dependency for depends in whole.router.dependencies}
    assert len(wanted) == 2
    for context in iter_route_contexts(whole.router.routes):
        dependant = getattr(context, "dependant", None)
        if isinstance(dependant, Dependant) and context.path not in _EVERY_API:
            called = {one.call for one in dependant.dependencies}
            assert wanted <= called, context.path


def posts(app: FastAPI) -> dict[str, str | None]:
    """Path → operation id, of every route that takes a POST, described or not."""
    return {
        context.path: context.operation_id
        for context in iter_route_contexts(app.router.routes)
        if "POST" in (context.methods or ()) and context.path
    }


def with_key(app: FastAPI) -> set[str]:
    """Paths whose POST takes the header, as the description says."""
    return {
        path
        for path, methods in app.openapi()["paths"].items()
        if any(one["name"] == "Idempotency-Key" for one in methods.get("post", {}).get("parameters", ()))
    }


def test_every_post_heeds_the_key_or_says_why_not(whole: FastAPI) -> None:
    found = posts(whole)
    reads = {path for path, name in found.items() if name in WITHOUT_KEY}
    assert len(found) > 130
    assert found.keys() - with_key(whole) - reads - WITHOUT.keys() == set(), "heeds no key, for no reason"
    assert with_key(whole) & (reads | WITHOUT.keys()) == set()
    assert WITHOUT.keys() - found.keys() == set()
    assert WITHOUT_KEY - set(found.values()) == set()


def test_what_the_description_says_of_the_key_every_such_route_does(whole: FastAPI, service: Service) -> None:
    """By a bad key, which every one of them refuses before it looks at anything else that was sent."""
    tokens = {role.value: service.token(role) for role in Role}
    asked = 0
    client = TestClient(whole, raise_server_exceptions=False)
    for path, methods in whole.openapi()["paths"].items():
        operation: dict[str, Any] = methods.get("post", {})
        if "x-ecard-role" not in operation:
            continue
        token = tokens[operation["x-ecard-role"][0]]
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "no key"}
        answer = client.post(path.replace("{", "").replace("}", ""), json={}, headers=headers)
        refused = answer.json().get("code") == "bad_idempotency_key"
        assert refused is (operation["operationId"] not in WITHOUT_KEY), (path, answer.text)
        asked += 1
    assert asked > 80


def register(client: TestClient, body: dict[str, Any], key: str | None) -> httpx2.Response:
    return client.post("/v1/cards", json=body, headers={} if key is None else {"Idempotency-Key": key})


def test_an_operators_card_is_registered_once_under_its_key(operator: TestClient, service: Service) -> None:
    key, body = str(uuid4()), service.card_body(71)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: register(operator, body, key), range(8)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    again = register(operator, body, key)
    assert (again.status_code, again.headers[REPLAYED]) == (201, "true")
    assert {answer.content for answer in answers if answer.status_code == 201} == {again.content}
    assert register(operator, body, None).json()["code"] == "card_exists", "without a key nothing has changed"
    other = register(operator, service.card_body(72), key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_a_key_opens_nothing_to_another_caller_or_role(whole: FastAPI, operator: TestClient, service: Service) -> None:
    key, body = str(uuid4()), service.card_body(73)
    assert register(operator, body, key).status_code == 201
    for token, status in ((service.token(Role.DESK), 403), ("ecop_" + "x" * 43, 401), ("x" * 300, 401)):
        stranger = TestClient(whole, headers={"Authorization": f"Bearer {token}"})
        refused = register(stranger, body, key)
        assert (refused.status_code, REPLAYED in refused.headers) == (status, False)
    colleague = TestClient(whole, headers={"Authorization": f"Bearer {service.token(Role.OPERATOR)}"})
    assert register(colleague, body, key).json()["code"] == "card_exists", "their key of the same name is their own"


def test_a_secret_that_is_shown_once_is_shown_again_under_its_key(operator: TestClient, service: Service) -> None:
    key, body = {"Idempotency-Key": str(uuid4())}, {"endpoint": "https://partner.example/hook"}
    partner = {"Authorization": f"Bearer {service.token(Role.PARTNER)}"}
    first = operator.post("/v1/webhooks", json=body, headers={**partner, **key})
    again = operator.post("/v1/webhooks", json=body, headers={**partner, **key})
    assert first.status_code == 201, first.text
    assert (again.content, again.headers[REPLAYED]) == (first.content, "true")


def _group(whole: FastAPI, operator: TestClient, name: str) -> tuple[TestClient, str]:
    """The manager of a new group of merchants, and its id."""
    made = operator.post("/v1/groups", json={"name": name, "level": "basic", "purposes": ["query"]})
    assert made.status_code == 201, made.text
    body = {"name": "manager", "role": "merchant"}
    group = made.json()["group_id"]
    token = operator.post(f"/v1/groups/{group}/tokens", json=body).json()["token"]
    return TestClient(whole, raise_server_exceptions=False, headers={"Authorization": f"Bearer {token}"}), group


def test_a_groups_request_is_done_once_and_its_key_is_no_other_groups(whole: FastAPI, operator: TestClient) -> None:
    """Both call their token `manager`, and both number their requests from 1."""
    key = {"Idempotency-Key": "1"}
    (one, group), (other, others) = _group(whole, operator, "chain one"), _group(whole, operator, "chain two")
    body = {"group_id": group, "name": "first branch"}
    first, again = (one.post("/v1/branches", json=body, headers=key) for _ in range(2))
    assert (first.status_code, again.content, again.headers.get(REPLAYED)) == (201, first.content, "true")
    copied = other.post("/v1/branches", json=body, headers=key)
    assert (copied.status_code, REPLAYED in copied.headers) == (404, False), "the very same request, of another group"
    theirs = other.post("/v1/branches", json={**body, "group_id": others}, headers={"Idempotency-Key": "2"})
    assert theirs.status_code == 201, theirs.text


def test_what_a_holder_showed_is_kept_under_no_key(whole: FastAPI, service: Service) -> None:
    """Results are kept for 15 minutes, sealed under their own ids; a kept answer would be a copy for a day."""
    headers = {"Authorization": f"Bearer {service.token(Role.COUNTER)}", "Idempotency-Key": "no key"}
    client = TestClient(whole, raise_server_exceptions=False, headers=headers)
    for path in ("verifications/ver_x/use", "presentations/pre_x/answer", "presentations/pre_x/completion"):
        assert client.post(f"/v1/{path}", json={}).json()["code"] != "bad_idempotency_key", path
