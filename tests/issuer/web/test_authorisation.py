"""Who may call which route, written down by hand: one row per route, and a route without a row fails.

`test_matrix.py` calls every route as everybody."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.testclient import TestClient

from ecard_card import messages
from ecard_issuer.channels.scopes import Scope
from ecard_issuer.web.embedded import embed
from ecard_issuer.web.login_pages import SCRIPT, STYLE, asset_name
from ecard_verifier.callers import Role
from tests.issuer.channel_kit import AdmittedChannel, admit
from tests.issuer.service import Service, open_service

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
MANAGERS = frozenset({Role.OPERATOR, Role.MERCHANT})
SYSTEMS = frozenset({Role.OPERATOR, Role.COUNTER})
#: The OpenID provider's.
LOGIN_ROUTES = (
    ("GET", "/.well-known/openid-configuration"),
    ("GET", "/login/authorize"),
    ("POST", "/login/authorize"),
    ("GET", "/login/wait/{transaction_id}"),
    ("GET", "/login/wait/{transaction_id}/state"),
    ("POST", "/login/wait/{transaction_id}/cancel"),
    ("GET", "/login/jwks"),
    ("POST", "/login/token"),
    ("GET", "/login/userinfo"),
    ("POST", "/login/userinfo"),
    ("GET", f"/login/{asset_name(STYLE)}"),
    ("GET", f"/login/{asset_name(SCRIPT)}"),
    ("GET", "/l/{token}"),
)
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
    ("POST", "/v1/enrolments"): DESK,
    ("POST", "/v1/enrolments/{enrolment_id}/evidence"): DESK,
    ("POST", "/v1/enrolments/{enrolment_id}/check"): DESK,
    ("POST", "/v1/enrolments/{enrolment_id}/credentials"): OPERATOR,
    ("POST", "/v1/credentials/{credential_id}/successor"): OPERATOR,
    ("POST", "/v1/enrolments/{enrolment_id}/offers"): DESK,
    ("GET", "/v1/wallets"): OPERATOR,
    ("PUT", "/v1/wallets/{client_id}"): OPERATOR,
    ("POST", "/v1/wallets/{client_id}/end"): OPERATOR,
    ("GET", "/v1/wallet-reviews"): DESK,
    ("POST", "/v1/wallet-reviews/{review_id}/approve"): DESK,
    ("POST", "/v1/wallet-reviews/{review_id}/refuse"): DESK,
    ("GET", "/wallets/offers/{reference}"): None,
    **{("POST", f"/wallets/{name}"): None for name in ("par", "token", "nonce", "credential", "deferred")},
    ("POST", "/wallets/notification"): None,
    ("GET", "/wallets/authorize"): None,
    ("POST", "/wallets/authorize"): None,
    ("GET", "/.well-known/openid-credential-issuer"): None,
    ("GET", "/.well-known/oauth-authorization-server/wallets"): None,
    ("GET", "/wallets/.well-known/oauth-authorization-server"): None,
    ("GET", "/vct/social-security-card/1"): None,
    ("GET", "/vct/ecard/1"): None,
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
    ("POST", "/v1/holders/links"): DESK,
    ("POST", "/v1/holders/links/release"): DESK,
    ("GET", "/v1/identity-providers"): OPERATOR,
    ("PUT", "/v1/identity-providers"): OPERATOR,
    ("POST", "/v1/identity-providers/remove"): OPERATOR,
    ("GET", "/.well-known/ecard-encryption-keys"): None,
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
    ("POST", "/v1/relying/{service_id}/transactions"): RELYING,
    ("GET", "/v1/relying/{service_id}/transactions/{transaction_id}"): RELYING,
    ("POST", "/v1/relying/{service_id}/transactions/{transaction_id}/answer"): RELYING,
    ("POST", "/v1/relying/{service_id}/transactions/{transaction_id}/void"): RELYING,
    ("POST", "/v1/relying/{service_id}/redemptions"): RELYING,
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
    **dict.fromkeys(LOGIN_ROUTES),
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
    ("GET", "/v1/feed/snapshot"): frozenset({Role.OPERATOR, Role.VERIFIER}),
    ("GET", "/v1/feed/snapshot/{number}/chunks/{place}"): frozenset({Role.OPERATOR, Role.VERIFIER}),
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
    ("POST", "/oauth/token"): None,
    ("GET", "/.well-known/oauth-authorization-server"): None,
    ("POST", "/v1/channel-applications"): AT_DESK,
    ("GET", "/v1/channels"): OPERATOR,
    ("GET", "/v1/channels/{app_id}"): OPERATOR,
    ("GET", "/v1/channels/{app_id}/record"): OPERATOR,
    ("PUT", "/v1/channels/{app_id}"): OPERATOR,
    **{("POST", f"/v1/channels/{{app_id}}/{verb}"): OPERATOR for verb in ("approve", "refuse", "suspend", "resume")},
    ("POST", "/v1/numbers/find"): frozenset({Role.OPERATOR, Role.VERIFIER}),
    ("POST", "/v1/presentations"): SYSTEMS,
    ("GET", "/v1/presentations/{presentation_id}"): SYSTEMS,
    ("POST", "/v1/presentations/{presentation_id}/completion"): SYSTEMS,
    ("POST", "/v1/presentations/{presentation_id}/answer"): SYSTEMS,
    ("GET", "/openid4vp/request/{reference}"): None,
    ("POST", "/openid4vp/request/{reference}"): None,
    ("POST", "/openid4vp/response/{reference}"): None,
    ("GET", "/openid4vp/wallet"): None,
    ("POST", "/v1/holder-facts"): frozenset({Role.OPERATOR, Role.VERIFIER}),
    ("POST", "/v1/verifications"): SYSTEMS,
    ("GET", "/v1/verifications/{verification_id}"): SYSTEMS,
    ("POST", "/v1/verifications/{verification_id}/use"): SYSTEMS,
    ("POST", "/v1/counter/session"): None,
    ("POST", "/v1/groups"): OPERATOR,
    ("GET", "/v1/groups"): MANAGERS,
    ("GET", "/v1/groups/{group_id}"): MANAGERS,
    ("POST", "/v1/groups/{group_id}/revoke"): OPERATOR,
    ("POST", "/v1/groups/{group_id}/tokens"): MANAGERS,
    ("GET", "/v1/groups/{group_id}/tokens"): MANAGERS,
    ("DELETE", "/v1/groups/{group_id}/tokens/{name}"): MANAGERS,
    **{
        (method, f"/v1/{things}"): MANAGERS
        for method in ("GET", "POST")
        for things in ("branches", "counters", "staff")
    },
    ("POST", "/v1/branches/{branch_id}/revoke"): MANAGERS,
    ("GET", "/v1/counters/{counter_id}"): MANAGERS,
    ("POST", "/v1/counters/{counter_id}/revoke"): MANAGERS,
    ("POST", "/v1/counters/{counter_id}/admissions"): MANAGERS,
    ("GET", "/v1/counters/{counter_id}/devices"): MANAGERS,
    ("DELETE", "/v1/counters/{counter_id}/devices/{device_id}"): MANAGERS,
    ("GET", "/v1/counters/{counter_id}/shift.csv"): MANAGERS,
    ("POST", "/v1/staff/{staff_id}/pin"): MANAGERS,
    ("POST", "/v1/staff/{staff_id}/revoke"): MANAGERS,
    ("GET", "/v1/alarms"): MANAGERS,
    ("POST", "/v1/alarms/{alarm_id}/acknowledge"): MANAGERS,
    ("GET", "/v1/bundle"): None,
    ("GET", "/v1/trust-root"): None,
    ("POST", "/v1/sessions"): None,
    ("GET", "/ecard-code.js"): None,
    ("GET", "/h5/card"): None,
    ("GET", "/counter"): None,
    ("GET", "/counter/{asset}"): None,
    ("GET", "/desk"): None,
    ("GET", "/desk/{asset}"): None,
    ("GET", "/ecard-code.mjs"): None,
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
    ("GET", "/problems"): None,
    ("GET", "/problems/{code}"): None,
}
#: Routes of channels → the scopes that a token needs, and whether the request is signed too.
CHANNEL_ROWS: dict[tuple[str, str], tuple[frozenset[Scope], bool]] = {
    ("GET", "/v1/channel"): (frozenset(), False),
    **{
        row: (frozenset({Scope.READ}), False)
        for row in (
            ("GET", "/v1/events"),
            ("POST", "/v1/events/{event_id}/resend"),
            ("GET", "/v1/events/webhooks"),
            ("POST", "/v1/events/webhooks/{webhook_id}/secret"),
            ("DELETE", "/v1/events/webhooks/{webhook_id}/secret"),
            ("GET", "/v1/events/webhooks/{webhook_id}/deliveries"),
            ("POST", "/v1/events/webhooks/{webhook_id}/enable"),
            ("POST", "/v1/events/webhooks/{webhook_id}/verify"),
        )
    },
    ("POST", "/v1/identifications"): (frozenset({Scope.CLAIM}), False),
    ("POST", "/v1/claims"): (frozenset({Scope.CLAIM}), False),
    ("POST", "/v1/claims/{claim_id}/evidence"): (frozenset({Scope.CLAIM}), True),
    ("GET", "/v1/links"): (frozenset({Scope.READ}), False),
    ("GET", "/v1/links/{link_id}"): (frozenset({Scope.READ}), False),
    ("POST", "/v1/links/{link_id}/release"): (frozenset({Scope.CLAIM}), True),
    ("POST", "/v1/links/{link_id}/password"): (frozenset({Scope.CLAIM}), True),
    ("POST", "/v1/links/{link_id}/payment"): (frozenset({Scope.CLAIM}), True),
    ("POST", "/v1/links/{link_id}/payment/close"): (frozenset({Scope.CLAIM}), True),
    ("POST", "/v1/links/{link_id}/payments/show"): (frozenset({Scope.SHOW}), False),
    ("POST", "/v1/links/{link_id}/payments"): (frozenset({Scope.SHOW}), True),
    ("POST", "/v1/links/{link_id}/codes"): (frozenset({Scope.SHOW}), False),
    ("POST", "/v1/links/{link_id}/credentials"): (frozenset({Scope.SHOW}), False),
    ("POST", "/v1/links/{link_id}/credentials/{credential_id}/successor"): (frozenset({Scope.SHOW}), False),
    ("POST", "/v1/links/{link_id}/losses"): (frozenset({Scope.LOSS}), True),
    ("POST", "/v1/links/{link_id}/losses/release"): (frozenset({Scope.LOSS}), True),
    ("GET", "/v1/links/{link_id}/relatives"): (frozenset({Scope.FAMILY}), False),
    ("POST", "/v1/links/{link_id}/relatives/{relative_id}/codes"): (frozenset({Scope.FAMILY}), False),
    ("POST", "/v1/links/{link_id}/tickets"): (frozenset({Scope.SHOW}), False),
    ("POST", "/v1/links/{link_id}/offers"): (frozenset({Scope.OFFER}), False),
    ("POST", "/v1/login-requests/scan"): (frozenset({Scope.LOGIN}), False),
    ("POST", "/v1/login-requests/{request_id}/confirm"): (frozenset({Scope.LOGIN}), True),
    ("POST", "/v1/login-requests/{request_id}/deny"): (frozenset({Scope.LOGIN}), False),
}
#: Routes that the token of one page's session opens, and nothing else.
SESSION_ROWS = {
    ("POST", "/v1/sessions/{session_id}/device"),
    ("POST", "/v1/sessions/{session_id}/codes"),
    ("POST", "/v1/sessions/{session_id}/numbers"),
    ("GET", "/v1/sessions/{session_id}/state"),
}
#: Routes that the cookie of an admitted counter's page opens, and nothing else.
COUNTER_ROWS = {
    ("GET", "/v1/counter/session"),
    ("DELETE", "/v1/counter/session"),
    ("POST", "/v1/counter/staff"),
    ("DELETE", "/v1/counter/staff"),
    ("POST", "/v1/counter/verifications"),
    ("POST", "/v1/counter/challenges"),
    ("POST", "/v1/counter/uploads"),
    ("GET", "/v1/counter/bundle"),
    ("GET", "/v1/counter/deltas"),
    ("GET", "/v1/counter/shift"),
    ("GET", "/v1/counter/shift.csv"),
}
#: What stands in a path where a route has a name: nothing that exists.
NAMED = {
    "asset": "app.js",
    "card_ref": "ab" * 16,
    "case_id": "ac" * 16,
    "application_id": "ac" * 16,
    "mandate_id": "ad" * 16,
    "batch_id": "none",
    "transaction_id": "ae" * 16,
    "token": "a" * 22,
    "enrolment_id": "cd" * 16,
    "credential_id": "ce" * 16,
    "request_id": "ef" * 8,
    "kid": "00000000",
    "link_id": "ab" * 16,
    "claim_id": "ac" * 16,
    "relative_id": "ad" * 16,
    "purpose": "event",
    "name": "nobody",
    "exception_ref": "ab" * 16,
    "report_digest": "ab" * 32,
    "list_id": "0",
    "number": "9",
    "place": "0",
    "stream_id": "5a" * 16,
    "webhook_id": "5b" * 16,
    "event_id": "5c" * 16,
    "version": "2",
    "region": "410100",
    "service_id": "nobody",
    "confirmation_id": "cf" * 16,
    "bank_code": "NOBANK",
    "channel": "nowhere",
    "point_id": "nowhere",
    "code": "not_found",
    "app_id": "ek_live_" + "a" * 24,
    "session_id": "5e" * 16,
    "client_id": "nobody",
    "review_id": "ab" * 16,
    "reference": "nothing",
    "presentation_id": "pre_none",
    "group_id": "grp_" + "a" * 16,
    "branch_id": "br_" + "a" * 16,
    "counter_id": "ctr_" + "a" * 16,
    "device_id": "dev_" + "a" * 16,
    "staff_id": "stf_" + "a" * 16,
    "alarm_id": "alm_" + "a" * 16,
    "verification_id": "ver_" + "a" * 22,
}
_POINT = {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}
CHANNELS = [(method, path, *needed) for (method, path), needed in CHANNEL_ROWS.items()]
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
    return described | routed(app)


def routed(app: FastAPI) -> set[tuple[str, str]]:
    """From the router: every route of ours, in whichever router it was written."""
    return {
        (method, context.path)
        for context in iter_route_contexts(app.router.routes)
        if context.path is not None and context.path != "/openapi.json"  # FastAPI's own, which takes HEAD too
        for method in context.methods or ()
    }


def hidden_routes() -> dict[tuple[str, str], str]:
    """What the description leaves out, and why."""
    about = "a page for people about this very service"
    pages = {("GET", path): about for path in ("/", "/docs", "/problems", "/problems/{code}", "/programme", "/desk")}
    assets = [f"/login/{asset_name(name)}" for name in (STYLE, SCRIPT)]
    named = {("GET", path): "named by its own content" for path in (*assets, "/desk/{asset}")}
    return pages | named | {("GET", "/openid4vp/wallet"): "a page that opens a wallet"}


def test_every_route_has_a_row(app: FastAPI) -> None:
    described = ROWS.keys() | CHANNEL_ROWS.keys() | SESSION_ROWS | COUNTER_ROWS
    assert routes_of(app) | {("GET", "/openapi.json")} == described
    assert not ROWS.keys() & CHANNEL_ROWS.keys()
    assert not (SESSION_ROWS | COUNTER_ROWS) & (ROWS.keys() | CHANNEL_ROWS.keys())


def call(client: TestClient, method: str, path: str, token: str | None) -> tuple[int, dict[str, str]]:
    filled = path.format(**NAMED)
    headers = {} if token is None else {"Authorization": token}
    response = client.request(method, filled, headers=headers, json={} if method == "POST" else None)
    return response.status_code, dict(response.headers)


@pytest.mark.parametrize(("method", "path", "roles"), CLOSED)
def test_a_closed_route_takes_a_token_in_one_form_only(
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


@pytest.fixture(scope="module")
def channel(service: Service, app: FastAPI) -> Iterator[AdmittedChannel]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield admit(service, client=client)


@pytest.mark.parametrize(("method", "path", "scopes", "signed"), CHANNELS)
def test_a_channels_route_lets_in_who_has_its_scopes_and_proves_it(
    service: Service, channel: AdmittedChannel, method: str, path: str, scopes: frozenset[Scope], signed: bool
) -> None:
    filled = path.format(**NAMED)
    content = b"{}" if method == "POST" else b""

    def ask(**headers: str) -> tuple[int, str]:
        answer = channel.client.request(method, filled, content=content, headers=headers)
        kind = answer.headers.get("content-type", "")
        return answer.status_code, answer.json()["code"] if "problem" in kind else ""

    def call_with(token: str, *, sign: bool = True) -> tuple[int, str]:
        idempotent = {"Idempotency_Key": secrets.token_hex(16)} if method == "POST" else {}
        return ask(**channel.headers(method, filled, content, token=token, sign=sign, more=idempotent))

    plain = {"Content-Type": "application/json"} if content else {}
    assert ask(**plain) == (401, "not_authenticated")
    for role in Role:  # no static token opens a channel's route, an operator's neither
        assert ask(**plain, Authorization=f"Bearer {service.token(role)}") == (401, "access_token_wrong")
    whole = channel.token()
    assert ask(**plain, Authorization=f"DPoP {whole}")[0] == 401  # a stolen token, without its key
    assert ask(**plain, Authorization=f"Bearer {whole}")[0] == 401
    for scope in scopes:
        others = " ".join(sorted(set(Scope) - {scope}))
        assert call_with(channel.token(others)) == (403, "scope_missing")
    if signed:
        assert call_with(whole, sign=False) == (401, "http_signature_missing")
    status, _ = call_with(whole)
    assert status not in (401, 403)
    assert status < 500


@pytest.mark.parametrize(("method", "path"), sorted(SESSION_ROWS))
def test_a_sessions_route_lets_in_its_own_page_and_nobody_else(
    service: Service, channel: AdmittedChannel, method: str, path: str
) -> None:
    filled = path.format(**NAMED)
    body = (
        {"count": 1} if path.endswith("codes") else {"device_key": _POINT, "proof": "x"} if method == "POST" else None
    )
    tokens = [None, "", *(service.token(role) for role in Role), channel.token(), "es_" + "A" * 43]
    for token in tokens:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        answer = channel.client.request(method, filled, headers=headers, json=body)
        assert (answer.status_code, answer.json()["code"]) == (401, "session_unknown"), token


@pytest.mark.parametrize(("method", "path"), sorted(COUNTER_ROWS))
def test_a_counters_route_lets_in_its_own_page_and_nobody_else(
    service: Service, anybody: TestClient, method: str, path: str
) -> None:
    body: dict[str, str] | None = {} if method == "POST" else None
    cookies = [None, "", "x", "eccs_" + "A" * 43, *(f"eccs_{service.token(role)[5:]}" for role in Role)]
    for cookie in cookies:
        headers = {"Cookie": f"__Host-ecard-counter={cookie}", "Origin": "http://testserver"} if cookie else {}
        answer = anybody.request(method, path, headers=headers, json=body)
        assert (answer.status_code, answer.json()["code"]) == (401, "counter_not_admitted"), cookie
    for role in Role:
        headers = {"Authorization": f"Bearer {service.token(role)}", "Origin": "http://testserver"}
        answer = anybody.request(method, path, headers=headers, json=body)
        assert (answer.status_code, answer.json()["code"]) == (401, "counter_not_admitted"), role


@pytest.mark.parametrize("path", [path for (_, path), roles in ROWS.items() if roles is None])
def test_an_open_route_needs_no_token_and_sends_safe_headers(anybody: TestClient, path: str) -> None:
    status, headers = call(anybody, "GET", path, None)
    # Not what a site or a wallet asks, or without the token that the route itself gave.
    expected = (400, 401) if path.startswith(("/login/", "/wallets/", "/v1/counter/")) else ()
    assert status in (200, 404, 405, 503, *expected)
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]


def test_the_api_description_says_which_roles_a_route_needs(app: FastAPI) -> None:
    described = {
        (method.upper(), path): operation
        for path, operations in app.openapi()["paths"].items()
        for method, operation in operations.items()
    }
    for route, operation in described.items():
        if route in CHANNEL_ROWS:
            scopes, signed = CHANNEL_ROWS[route]
            bound = [{"channel": sorted(scopes), how: []} for how in ("dpop", "mtls")]
            assert operation["security"] == bound, route
            assert operation["x-ecard-scope"] == sorted(scopes), route
            assert operation.get("x-ecard-signed", False) is signed, route
            continue
        if route in SESSION_ROWS:
            assert operation["security"] == [{"PageSession": []}], route
            continue
        if route in COUNTER_ROWS:
            assert operation["security"] == [{"CounterPage": []}], route
            assert operation["x-ecard-counter"] is True, route
            continue
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
