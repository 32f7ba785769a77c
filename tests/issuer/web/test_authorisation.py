"""Who may call which route: one row per route, and a route without a row fails."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from ecard_card import messages
from ecard_issuer.web.embedded import embed
from ecard_verifier.callers import Role
from tests.issuer.service import START, Service, open_service

OPERATOR = frozenset({Role.OPERATOR})
SERVING = OPERATOR | {Role.DESK, Role.HOTLINE, Role.CHANNEL}
AT_DESK = frozenset({Role.OPERATOR, Role.DESK})
APPLICANTS = frozenset({Role.OPERATOR, Role.DESK, Role.CHANNEL, Role.AGENCY})
MAKERS = frozenset({Role.OPERATOR, Role.DESK, Role.SOURCE})
DESK = frozenset({Role.OPERATOR, Role.DESK})
TILL = frozenset({Role.OPERATOR, Role.DESK, Role.INSTITUTION})
NEAR = frozenset({Role.OPERATOR, Role.DESK, Role.CHANNEL})
PAYING = frozenset({Role.OPERATOR, Role.CHANNEL, Role.INSTITUTION})
RELYING = frozenset({Role.OPERATOR, Role.RELYING})
PARTNER = frozenset({Role.OPERATOR, Role.PARTNER})
#: Route → the roles that may call it; None: anybody.
ROWS: dict[tuple[str, str], frozenset[Role] | None] = {
    ("POST", "/v1/cards"): OPERATOR,
    ("POST", "/v1/cards/find"): OPERATOR,
    ("GET", "/v1/cards/{card_ref}"): OPERATOR,
    ("POST", "/v1/cards/{card_ref}/changes"): OPERATOR | {Role.SOURCE},
    ("POST", "/v1/cards/{card_ref}/replacement"): OPERATOR | {Role.SOURCE},
    **{("POST", f"/v1/{case}"): SERVING for case in ("losses", "releases", "holder-locks", "consents")},
    **{("GET", f"/v1/{case}/{{case_id}}"): SERVING for case in ("losses", "releases", "holder-locks", "consents")},
    ("POST", "/v1/replacements"): OPERATOR | {Role.DESK, Role.CHANNEL},
    ("GET", "/v1/replacements/{case_id}"): OPERATOR | {Role.DESK, Role.CHANNEL, Role.SOURCE},
    ("POST", "/v1/replacements/{case_id}/made"): OPERATOR | {Role.DESK, Role.SOURCE},
    ("POST", "/v1/replacements/{case_id}/ready"): OPERATOR | {Role.DESK, Role.SOURCE},
    ("POST", "/v1/replacements/{case_id}/collected"): OPERATOR | {Role.DESK},
    ("POST", "/v1/replacements/{case_id}/withdrawn"): OPERATOR | {Role.DESK, Role.CHANNEL},
    ("POST", "/v1/cancellations"): OPERATOR | {Role.DESK},
    ("GET", "/v1/cancellations/{case_id}"): OPERATOR | {Role.DESK},
    ("POST", "/v1/applications"): frozenset({Role.OPERATOR, Role.DESK, Role.CHANNEL}),
    ("GET", "/v1/applications"): AT_DESK,
    ("POST", "/v1/applications/find"): AT_DESK,
    ("GET", "/v1/applications/{application_id}"): APPLICANTS,
    ("POST", "/v1/applications/{application_id}/open"): AT_DESK,
    ("POST", "/v1/applications/{application_id}/documents"): APPLICANTS,
    ("POST", "/v1/applications/{application_id}/documents/open"): AT_DESK,
    ("POST", "/v1/applications/{application_id}/review"): AT_DESK,
    ("POST", "/v1/applications/{application_id}/approve"): AT_DESK,
    ("POST", "/v1/applications/{application_id}/refuse"): AT_DESK,
    ("POST", "/v1/applications/{application_id}/produce"): MAKERS,
    ("POST", "/v1/applications/{application_id}/made"): MAKERS,
    ("POST", "/v1/applications/{application_id}/ready"): MAKERS,
    ("POST", "/v1/applications/{application_id}/collect"): AT_DESK,
    ("POST", "/v1/applications/{application_id}/withdraw"): APPLICANTS,
    ("POST", "/v1/agency-batches"): frozenset({Role.OPERATOR, Role.AGENCY}),
    ("GET", "/v1/agency-batches/{batch_id}"): frozenset({Role.OPERATOR, Role.AGENCY}),
    ("POST", "/v1/mandates"): frozenset({Role.OPERATOR, Role.DESK, Role.CHANNEL}),
    ("POST", "/v1/mandates/find"): AT_DESK,
    ("GET", "/v1/mandates/{mandate_id}"): APPLICANTS,
    ("POST", "/v1/mandates/{mandate_id}/open"): AT_DESK,
    ("POST", "/v1/mandates/{mandate_id}/documents"): frozenset({Role.OPERATOR, Role.DESK, Role.CHANNEL}),
    ("POST", "/v1/mandates/{mandate_id}/revoke"): APPLICANTS,
    ("POST", "/v1/people/life"): MAKERS,
    ("POST", "/v1/enrolments"): OPERATOR,
    ("POST", "/v1/enrolments/{enrolment_id}/evidence"): OPERATOR,
    ("POST", "/v1/enrolments/{enrolment_id}/credentials"): OPERATOR,
    ("POST", "/v1/credentials/{credential_id}/successor"): OPERATOR,
    ("GET", "/v1/keys"): OPERATOR,
    ("POST", "/v1/keys"): OPERATOR,
    ("POST", "/v1/keys/{kid}/promote"): OPERATOR,
    ("POST", "/v1/keys/{kid}/retire"): OPERATOR,
    ("POST", "/v1/keys/{kid}/compromise"): OPERATOR,
    ("PUT", "/v1/keys/schedules/{purpose}"): OPERATOR,
    ("DELETE", "/v1/keys/schedules/{purpose}"): OPERATOR,
    ("GET", "/v1/approvals"): OPERATOR,
    ("GET", "/v1/approvals/{request_id}"): OPERATOR,
    ("POST", "/v1/approvals/{request_id}/approve"): OPERATOR,
    ("POST", "/v1/approvals/{request_id}/refuse"): OPERATOR,
    ("GET", "/v1/regions/{region}/policy"): None,
    ("GET", "/v1/regions/{region}/policies"): OPERATOR,
    ("POST", "/v1/policies"): OPERATOR,
    ("POST", "/v1/privacy/exports"): frozenset({Role.OPERATOR, Role.DESK}),
    ("POST", "/v1/privacy/erasures"): OPERATOR,
    ("POST", "/v1/pins/verify"): TILL,
    ("POST", "/v1/pins/change"): TILL,
    ("POST", "/v1/pins/reset"): DESK,
    ("POST", "/v1/pins/unlock"): DESK,
    ("POST", "/v1/pins/show"): DESK,
    ("POST", "/v1/pins/bank"): TILL | NEAR | {Role.HOTLINE},
    ("POST", "/v1/ecard-passwords/set"): NEAR,
    ("POST", "/v1/ecard-passwords/change"): NEAR,
    ("POST", "/v1/ecard-passwords/reset"): NEAR,
    ("POST", "/v1/ecard-passwords/verify"): PAYING,
    ("POST", "/v1/ecard-passwords/show"): NEAR,
    ("POST", "/v1/levels/open"): NEAR,
    ("POST", "/v1/levels/close"): NEAR,
    ("POST", "/v1/levels/show"): NEAR | TILL,
    ("POST", "/v1/family"): NEAR,
    ("POST", "/v1/family/find"): NEAR,
    ("POST", "/v1/family/{link_id}/end"): NEAR,
    ("POST", "/v1/family/{link_id}/shown"): NEAR,
    ("POST", "/v1/holders/cards"): frozenset({Role.OPERATOR, Role.DESK, Role.HOTLINE}),
    ("GET", "/v1/catalogue"): None,
    ("GET", "/v1/relying"): OPERATOR,
    ("PUT", "/v1/relying/{service_id}"): OPERATOR,
    ("GET", "/v1/relying/{service_id}"): RELYING,
    ("GET", "/v1/relying/{service_id}/record"): OPERATOR,
    ("POST", "/v1/relying/{service_id}/end"): OPERATOR,
    ("POST", "/v1/relying/{service_id}/readings"): RELYING,
    ("POST", "/v1/relying/{service_id}/readings/{enrolment_id}/evidence"): RELYING,
    ("POST", "/v1/relying/{service_id}/checks"): RELYING,
    ("POST", "/v1/relying/{service_id}/accounts"): RELYING,
    ("POST", "/v1/relying/{service_id}/confirmations"): RELYING,
    ("GET", "/v1/confirmations/{confirmation_id}"): RELYING,
    ("GET", "/v1/banks"): OPERATOR,
    ("PUT", "/v1/banks/{bank_code}"): OPERATOR,
    ("POST", "/v1/bank-accounts"): frozenset({Role.OPERATOR, Role.PARTNER}),
    ("POST", "/v1/bank-accounts/changes"): frozenset({Role.OPERATOR, Role.PARTNER}),
    ("GET", "/v1/cards/{card_ref}/bank-account"): frozenset({Role.OPERATOR, Role.DESK}),
    ("POST", "/v1/cards/{card_ref}/bank-account/activation"): frozenset({Role.OPERATOR, Role.DESK}),
    ("GET", "/v1/service-points"): None,
    ("POST", "/v1/service-points/search"): None,
    ("PUT", "/v1/service-points"): OPERATOR,
    ("GET", "/v1/service-points/export"): OPERATOR,
    ("GET", "/v1/service-points/{point_id}"): None,
    ("GET", "/v1/programme"): None,
    ("PUT", "/v1/programme/channels/{channel}"): OPERATOR,
    ("GET", "/programme"): None,
    ("POST", "/v1/card-events"): frozenset({Role.OPERATOR, Role.SOURCE}),
    ("GET", "/v1/card-sources"): OPERATOR,
    ("PUT", "/v1/card-sources/{name}"): OPERATOR,
    ("DELETE", "/v1/card-sources/{name}"): OPERATOR,
    ("GET", "/v1/intake/exceptions"): OPERATOR,
    ("GET", "/v1/intake/exceptions/{exception_ref}"): OPERATOR,
    ("POST", "/v1/intake/exceptions/{exception_ref}/retry"): OPERATOR,
    ("POST", "/v1/intake/exceptions/{exception_ref}/dismiss"): OPERATOR,
    ("GET", "/v1/intake/gaps"): OPERATOR,
    ("GET", "/v1/reconciliations"): OPERATOR,
    ("GET", "/v1/reconciliations/{report_digest}"): OPERATOR,
    ("GET", "/v1/feed"): frozenset({Role.OPERATOR, Role.VERIFIER}),
    ("POST", "/v1/ssf/streams"): PARTNER,
    ("GET", "/v1/ssf/streams"): PARTNER,
    ("PATCH", "/v1/ssf/streams"): PARTNER,
    ("PUT", "/v1/ssf/streams"): PARTNER,
    ("DELETE", "/v1/ssf/streams"): PARTNER,
    ("GET", "/v1/ssf/status"): PARTNER,
    ("POST", "/v1/ssf/status"): PARTNER,
    ("POST", "/v1/ssf/subjects:add"): PARTNER,
    ("POST", "/v1/ssf/subjects:remove"): PARTNER,
    ("POST", "/v1/ssf/verify"): PARTNER,
    ("POST", "/v1/ssf/streams/{stream_id}/poll"): PARTNER,
    ("POST", "/v1/webhooks"): PARTNER,
    ("GET", "/v1/webhooks"): PARTNER,
    ("DELETE", "/v1/webhooks/{stream_id}"): PARTNER,
    ("POST", "/v1/webhooks/{stream_id}/secret"): PARTNER,
    ("DELETE", "/v1/webhooks/{stream_id}/secret"): PARTNER,
    ("GET", "/v1/partner-streams"): OPERATOR,
    ("GET", "/v1/partner-streams/{stream_id}"): PARTNER,
    ("GET", "/v1/partner-streams/{stream_id}/deliveries"): PARTNER,
    ("POST", "/v1/partner-streams/{stream_id}/deliveries/{number}/resend"): PARTNER,
    ("GET", "/v1/partner-streams/{stream_id}/events"): PARTNER,
    ("POST", "/v1/partner-streams/{stream_id}/status"): OPERATOR,
    ("PUT", "/v1/partner-streams/{stream_id}/regions"): OPERATOR,
    ("POST", "/v1/partner-streams/{stream_id}/cards"): OPERATOR,
    ("POST", "/v1/partner-streams/{stream_id}/catch-up"): OPERATOR,
    ("POST", "/v1/verifications"): frozenset({Role.OPERATOR, Role.COUNTER}),
    ("GET", "/v1/bundle"): None,
    ("GET", "/v1/trust-root"): None,
    ("GET", "/status-lists/{list_id}"): None,
    ("GET", "/status-lists"): None,
    ("GET", "/v1/status-deltas"): None,
    ("GET", "/v1/status-deltas/latest"): None,
    ("GET", "/v1/status-deltas/{number}"): None,
    ("GET", "/.well-known/ecard-trust-list"): None,
    ("GET", "/.well-known/ecard-trust-roots/{version}"): None,
    ("GET", "/.well-known/jwks.json"): None,
    ("GET", "/.well-known/jwt-vc-issuer"): None,
    ("GET", "/.well-known/ssf-configuration"): None,
    ("GET", "/.well-known/partner-jwks.json"): None,
    ("GET", "/health/live"): None,
    ("GET", "/health/ready"): None,
    ("GET", "/"): None,
    ("GET", "/docs"): None,
    ("GET", "/openapi.json"): None,
}
#: What stands in a path where a route has a name: nothing that exists.
NAMED = {
    "card_ref": "ab" * 16,
    "case_id": "ac" * 16,
    "application_id": "ac" * 16,
    "mandate_id": "ad" * 16,
    "batch_id": "none",
    "enrolment_id": "cd" * 16,
    "credential_id": "ce" * 16,
    "request_id": "ef" * 8,
    "kid": "00000000",
    "link_id": "ab" * 16,
    "purpose": "event",
    "name": "nobody",
    "exception_ref": "ab" * 16,
    "report_digest": "ab" * 32,
    "list_id": "0",
    "number": "9",
    "stream_id": "5a" * 16,
    "version": "2",
    "region": "410100",
    "service_id": "nobody",
    "confirmation_id": "cf" * 16,
    "bank_code": "NOBANK",
    "channel": "nowhere",
    "point_id": "nowhere",
}
CLOSED = [(method, path, roles) for (method, path), roles in ROWS.items() if roles is not None]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One for all rows: nothing here is to change anything."""
    opened = open_service(tmp_path_factory.mktemp("rows"))
    yield opened
    opened.issuer.close()


@pytest.fixture(scope="module")
def app(service: Service) -> FastAPI:
    """Both services in one application; not started, so that nothing runs but the request."""
    embedded = embed(service.issuer)
    service.issuer.hub.close()  # the feed's answer then ends at once
    embedded.app.router.lifespan_context = FastAPI().router.lifespan_context
    return embedded.app


def routes_of(app: FastAPI) -> set[tuple[str, str]]:
    """Every route that answers, from the OpenAPI document and from the router itself."""
    described = {(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods}
    routed = {
        (method, route.path)
        for route in app.router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    return described | routed


def test_every_route_has_a_row(app: FastAPI) -> None:
    assert routes_of(app) | {("GET", "/"), ("GET", "/programme"), ("GET", "/docs"), ("GET", "/openapi.json")} == set(
        ROWS
    )


def call(client: TestClient, method: str, path: str, token: str | None) -> tuple[int, dict[str, str]]:
    filled = path.format(**NAMED)
    headers = {} if token is None else {"Authorization": token}
    response = client.request(method, filled, headers=headers, json={} if method == "POST" else None)
    return response.status_code, dict(response.headers)


@pytest.mark.parametrize(("method", "path", "roles"), CLOSED)
def test_a_closed_route_lets_its_roles_in_and_nobody_else(
    service: Service, anybody: TestClient, method: str, path: str, roles: frozenset[Role]
) -> None:
    unknown = "ecop_" + secrets.token_urlsafe(32)
    known = service.token(Role.OPERATOR)
    refused = (None, "", "Bearer", "Bearer ", f"Bearer {unknown}", f"Basic {known}", known, f"Bearer {known} x", "é")
    for token in refused:
        header = token.encode() if token is not None else None
        response = anybody.request(
            method,
            path.format(**NAMED),
            headers=[] if header is None else [(b"authorization", header)],
            json={} if method == "POST" else None,
        )
        assert response.status_code == 401, token
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.json()["code"] == "not_authenticated"
    for role in Role:
        status, _ = call(anybody, method, path, f"Bearer {service.token(role)}")
        assert (status == 403) is (role not in roles)
        assert status != 401
        assert status < 500


@pytest.mark.parametrize(("method", "path", "roles"), CLOSED)
def test_a_revoked_token_opens_nothing(
    service: Service, anybody: TestClient, method: str, path: str, roles: frozenset[Role]
) -> None:
    made = service.issuer.operators.add("gone", Role.OPERATOR, START)
    assert service.issuer.operators.revoke("gone", START) == 1
    assert call(anybody, method, path, f"Bearer {made.token}")[0] == 401


@pytest.mark.parametrize("path", [path for (_, path), roles in ROWS.items() if roles is None])
def test_an_open_route_needs_no_token_and_sends_safe_headers(anybody: TestClient, path: str) -> None:
    status, headers = call(anybody, "GET", path, None)
    assert status in (200, 404, 503)
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]


def test_the_api_description_says_which_roles_a_route_needs(app: FastAPI) -> None:
    described = {
        (method.upper(), path): operation
        for path, operations in app.openapi()["paths"].items()
        for method, operation in operations.items()
    }
    for route, operation in described.items():
        roles = ROWS[route]
        assert bool(operation.get("security")) == (roles is not None), route
        assert operation.get("x-ecard-role", []) == sorted(role.value for role in roles or ()), route


def test_the_api_description_names_codes_that_exist(app: FastAPI) -> None:
    for operations in app.openapi()["paths"].values():
        for operation in operations.values():
            for response in operation["responses"].values():
                if "application/problem+json" in response.get("content", {}):
                    named = set(re.findall("`([^`]+)`", response["description"]))
                    assert named <= set(messages.codes()), operation["operationId"]
