"""What belongs to one caller is not there for another of the same role, by whatever route, and nothing tells why.

Every route that names something and that others than the authority's own people may call is in one of two lists: whose
the thing is, or why it is nobody's. A new route without a line fails.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from ecard_card.card import HolderProof
from ecard_card.region_policy import STRICT
from ecard_card.status import CardStatus, Effect
from ecard_issuer.web.embedded import embed
from ecard_sdk.device import DeviceKey
from ecard_verifier.callers import Role
from tests.issuer.channel_kit import AdmittedChannel, admit
from tests.issuer.links_kit import claimed, opened
from tests.issuer.people_kit import CHILD, file, mandate, online, person, photo
from tests.issuer.service import Service, open_service
from tests.issuer.web.test_authorisation import MANAGERS, ROWS, SYSTEMS

Json = dict[str, Any]
#: The authority's own people: they see what is of their work, whoever sent it.
OWN_PEOPLE = {"operator", "desk", "hotline", "source"}
_KEY = DeviceKey.generate()
_STREAM = {"events_requested": [], "delivery": {"method": "urn:ietf:rfc:8936"}}
_ACCOUNT = {"line": 82, "business_type": "03", "claim": "bank_account"}
_PAYMENT = {"counter": "ctr-1", "purpose": "medical", "amount": 1, "payer": "fund", "reference": "1"}
_CHECK = {"line": 82, "business_type": "03", "claims": []}

BY_CONSENT = replace(STRICT, effects={**STRICT.effects, CardStatus.TEMPORARILY_LOST: Effect.CONSENT})

#: Method and path → (the kind of thing, what is sent). The paths name the thing of another.
OWNED: dict[tuple[str, str], tuple[str, Json | str | None]] = {
    ("GET", "/v1/applications/{application_id}"): ("application", None),
    ("POST", "/v1/applications/{application_id}/documents"): ("application", file("photo", photo())),
    ("POST", "/v1/applications/{application_id}/withdraw"): ("application", {}),
    ("GET", "/v1/mandates/{mandate_id}"): ("mandate", None),
    ("POST", "/v1/mandates/{mandate_id}/documents"): ("mandate", {"media_type": "image/jpeg", "content": "/9j/4A=="}),
    ("POST", "/v1/mandates/{mandate_id}/revoke"): ("mandate", {}),
    ("GET", "/v1/losses/{case_id}"): ("loss", None),
    ("GET", "/v1/releases/{case_id}"): ("release", None),
    ("GET", "/v1/holder-locks/{case_id}"): ("lock", None),
    ("GET", "/v1/consents/{case_id}"): ("consent", None),
    ("GET", "/v1/replacements/{case_id}"): ("replacement", None),
    ("POST", "/v1/replacements/{case_id}/withdrawn"): ("replacement", {"channel": "app"}),
    ("GET", "/v1/relying/{service_id}"): ("relying", None),
    ("POST", "/v1/relying/{service_id}/readings"): ("relying", {"terminal_id": "desk 1"}),
    ("POST", "/v1/relying/{service_id}/readings/{enrolment_id}/evidence"): ("relying", "evidence of a chip"),
    ("POST", "/v1/relying/{service_id}/checks"): ("relying", {"request_id": "r-1", "code": "EC1:x", **_CHECK}),
    ("POST", "/v1/relying/{service_id}/accounts"): ("relying", {"request_id": "r-2", "subject": "ab" * 16, **_ACCOUNT}),
    ("POST", "/v1/relying/{service_id}/confirmations"): (
        "relying",
        {"request_id": "r-3", "line": 65, "business_type": "03", "benefit": "basic-pension", "code": "EC1:x"},
    ),
    ("POST", "/v1/relying/{service_id}/transactions"): ("relying", {"request_id": "r-4", "line": 82, **_PAYMENT}),
    ("GET", "/v1/relying/{service_id}/transactions/{transaction_id}"): ("relying", None),
    ("POST", "/v1/relying/{service_id}/transactions/{transaction_id}/answer"): ("relying", {"code": "EC1:x"}),
    ("POST", "/v1/relying/{service_id}/transactions/{transaction_id}/void"): ("relying", None),
    ("POST", "/v1/relying/{service_id}/redemptions"): (
        "relying",
        {"request_id": "r-5", "authorization": "e30.e30.e30"},
    ),
    ("POST", "/v1/ssf/streams/{stream_id}/poll"): ("stream", {"returnImmediately": True}),
    ("DELETE", "/v1/webhooks/{stream_id}"): ("webhook", None),
    ("POST", "/v1/webhooks/{stream_id}/secret"): ("webhook", None),
    ("DELETE", "/v1/webhooks/{stream_id}/secret"): ("webhook", None),
    ("GET", "/v1/partner-streams/{stream_id}"): ("webhook", None),
    ("GET", "/v1/partner-streams/{stream_id}/deliveries"): ("webhook", None),
    ("POST", "/v1/partner-streams/{stream_id}/deliveries/{number}/resend"): ("webhook", None),
    ("GET", "/v1/partner-streams/{stream_id}/events"): ("webhook", None),
    ("POST", "/v1/events/{event_id}/resend"): ("event", {}),
    ("POST", "/v1/events/webhooks/{webhook_id}/secret"): ("hook", {}),
    ("DELETE", "/v1/events/webhooks/{webhook_id}/secret"): ("hook", None),
    ("GET", "/v1/events/webhooks/{webhook_id}/deliveries"): ("hook", None),
    ("POST", "/v1/events/webhooks/{webhook_id}/enable"): ("hook", {}),
    ("POST", "/v1/events/webhooks/{webhook_id}/verify"): ("hook", {}),
    ("POST", "/v1/claims/{claim_id}/evidence"): ("claim", {"pin": "123456"}),
    ("GET", "/v1/links/{link_id}"): ("link", None),
    ("POST", "/v1/links/{link_id}/release"): ("link", {}),
    ("POST", "/v1/links/{link_id}/password"): ("link", {"password": "135246", "event_id": "e-1"}),
    ("POST", "/v1/links/{link_id}/payment"): ("link", {"password": "135246", "consent": "payment-1"}),
    ("POST", "/v1/links/{link_id}/payment/close"): ("link", {}),
    ("POST", "/v1/links/{link_id}/payments/show"): ("link", {"challenge": "ECQ:A"}),
    ("POST", "/v1/links/{link_id}/payments"): ("link", {"challenge": "ECQ:A", "password": "135246"}),
    ("POST", "/v1/links/{link_id}/codes"): ("link", {}),
    ("POST", "/v1/links/{link_id}/credentials"): ("link", {"device_key": _KEY.public_jwk, "proof": "e30.e30.e30"}),
    ("POST", "/v1/links/{link_id}/credentials/{credential_id}/successor"): ("device", {"proof": "e30.e30.e30"}),
    ("POST", "/v1/links/{link_id}/losses"): ("link", {"request_id": "l-1"}),
    ("POST", "/v1/links/{link_id}/losses/release"): ("link", {"request_id": "l-2"}),
    ("POST", "/v1/links/{link_id}/tickets"): ("link", {}),
    ("POST", "/v1/links/{link_id}/offers"): ("link", {}),
    ("GET", "/v1/links/{link_id}/relatives"): ("link", None),
    ("POST", "/v1/links/{link_id}/relatives/{relative_id}/codes"): ("link", {}),
}
#: Asked last: the thing is not there afterwards.
ENDING = {("DELETE", "/v1/webhooks/{stream_id}"), ("POST", "/v1/links/{link_id}/release")}
#: Routes whose names lead to nothing of one caller, and why.
NOBODYS = {
    ("GET", "/v1/agency-batches/{batch_id}"): "the sender's own word: another's batch of that name is another batch",
    ("GET", "/v1/feed/snapshot/{number}/chunks/{place}"): "the issuer's: every verifier is given the same",
    ("POST", "/v1/family/{link_id}/end"): "people's: asked for with the number of the person, by whichever way",
    ("POST", "/v1/family/{link_id}/shown"): "people's, as above",
    ("POST", "/v1/login-requests/{request_id}/confirm"): "tested where one is scanned: test_login.py",
    ("POST", "/v1/login-requests/{request_id}/deny"): "as above",
    ("GET", "/v1/confirmations/{confirmation_id}"): "tested where one is made: test_qualification.py",
    ("GET", "/v1/presentations/{presentation_id}"): "tested where one is made: test_presentations.py",
    ("POST", "/v1/presentations/{presentation_id}/completion"): "as above",
    ("POST", "/v1/presentations/{presentation_id}/answer"): "as above",
    **{
        route: "a group's of merchants: tests/verifier/counters/test_groups_apart.py calls each as another group"
        for route, roles in ROWS.items()
        if "{" in route[1] and roles in (MANAGERS, SYSTEMS)
    },
}


@dataclass
class Tenants:
    """Two callers of each role, the things of the first, and each thing's place in paths."""

    service: Service
    app: FastAPI
    clients: dict[tuple[Role, str], TestClient] = field(default_factory=dict)
    things: dict[str, dict[str, str]] = field(default_factory=dict)
    channels: dict[str, AdmittedChannel] = field(default_factory=dict)

    def client(self, role: Role, name: str) -> TestClient:
        if (role, name) not in self.clients:
            token = self.service.issuer.operators.add(f"{role} {name}", role, self.service.clock()).token
            headers = {"Authorization": f"Bearer {token}"}
            self.clients[role, name] = TestClient(self.app, raise_server_exceptions=False, headers=headers)
        return self.clients[role, name]

    def made(self, role: Role, path: str, body: Json, member: str) -> dict[str, str]:
        """Something of the first caller's, as a name in paths."""
        answer = self.client(role, "one").post(path, json=body)
        assert answer.status_code == 201, answer.text
        return {member: answer.json()[member]}


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    service = open_service(tmp_path_factory.mktemp("tenants"), policy_of=lambda *_: BY_CONSENT)
    app = embed(service.issuer).app
    app.router.lifespan_context = FastAPI().router.lifespan_context
    tenants = Tenants(service, app)
    for name in ("one", "two"):
        tenants.channels[name] = admit(service, app=app)
    _fill(tenants)
    yield tenants
    service.issuer.close()


def _fill(tenants: Tenants) -> None:
    """One thing of each kind, all of the callers called "one"."""
    service, things, made = tenants.service, tenants.things, tenants.made
    things["application"] = made(Role.CHANNEL, "/v1/applications", online(), "application_id")
    things["mandate"] = made(Role.CHANNEL, "/v1/mandates", mandate(person(CHILD, 7), person(serial=8)), "mandate_id")
    cases: list[tuple[str, str, Json]] = [
        ("loss", "/v1/losses", {"kind": "formal"}),
        ("release", "/v1/releases", {}),
        ("lock", "/v1/holder-locks", {"locked": True}),
        ("consent", "/v1/consents", {"given": True}),
        ("replacement", "/v1/replacements", {"reason": "damage"}),
    ]
    for serial, (kind, path, more) in enumerate(cases):
        holder = service.card_body(10 + serial)
        card = tenants.client(Role.OPERATOR, "one").post("/v1/cards", json=holder).json()["card_ref"]
        body: Json = {"request_id": f"{kind}-1", "channel": "app", "card_ref": card}
        if kind in ("release", "consent"):
            made(Role.CHANNEL, "/v1/losses", body | {"request_id": f"before-{kind}"}, "case_id")
        things[kind] = made(Role.CHANNEL, path, body | more, "case_id")
    service_body = {
        "names": {"zh": "测试服务", "en": "test service"},
        "owner": "relying one",
        "region": "000000",
        "lines": [65, 82],
        "claims": ["name_masked"],
        "proof": "read",
        "business_types": ["01", "02", "03"],
        "starts_at": "2026-01-01T00:00:00Z",
    }
    answer = tenants.client(Role.OPERATOR, "one").put("/v1/relying/one", json=service_body)
    assert answer.status_code == 200, answer.text
    answer = tenants.client(Role.OPERATOR, "one").put("/v1/relying/fund", json=service_body)
    assert answer.status_code == 200, answer.text
    asked = made(
        Role.RELYING, "/v1/relying/one/transactions", {"request_id": "r-0", "line": 82, **_PAYMENT}, "transaction_id"
    )
    things["relying"] = {"service_id": "one", "enrolment_id": "ab" * 16, **asked}
    things["stream"] = made(Role.PARTNER, "/v1/ssf/streams", _STREAM, "stream_id")
    hook = {"endpoint": "https://partner.example/hook"}
    things["webhook"] = made(Role.PARTNER, "/v1/webhooks", hook, "stream_id") | {"number": "1"}
    one = tenants.channels["one"]
    things["link"] = {"link_id": claimed(service, one, 1), "relative_id": secrets.token_hex(16)}
    issuer = service.issuer
    held = issuer.links.issue_to(issuer.links.get(one.app_id, things["link"]["link_id"]), _KEY.point, service.clock())
    things["device"] = {"link_id": things["link"]["link_id"], "credential_id": held.credential_id.hex()}
    issuer.dispatcher.turn()
    issuer.channel_events.worker.turn()
    things["hook"] = {"webhook_id": one.get("/v1/events/webhooks").json()["data"][0]["webhook_id"]}
    things["event"] = {"event_id": one.get("/v1/events").json()["data"][0]["id"]}
    things["claim"] = {"claim_id": opened(service, one, 2, HolderProof.CHIP).row.claim_id}


def _ask(tenants: Tenants, who: str, method: str, path: str, roles: list[str] | None) -> Any:
    kind, body = OWNED[method, path]
    if isinstance(body, str):
        body = tenants.service.evidence(3, bytes(32))
    filled = path.format(**tenants.things[kind])
    if roles is None:
        channel = tenants.channels[who]
        return channel.get(filled) if method == "GET" else channel.post(filled, body)
    role = next(Role(role) for role in sorted(roles) if role not in OWN_PEOPLE and role != "agency")
    return tenants.client(role, who).request(method, filled, json=body)


def named_routes(app: FastAPI) -> dict[tuple[str, str], list[str] | None]:
    """Routes that name something and that others than our own people may call, with the roles, None for channels."""
    return {
        (method.upper(), path): operation.get("x-ecard-role")
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
        if "{" in path and (set(operation.get("x-ecard-role", ())) - OWN_PEOPLE or "x-ecard-scope" in operation)
    }


def test_every_such_route_is_in_one_of_the_lists(tenants: Tenants) -> None:
    assert named_routes(tenants.app).keys() == OWNED.keys() | NOBODYS.keys()
    assert not OWNED.keys() & NOBODYS.keys()


def test_what_is_anothers_is_not_there(tenants: Tenants) -> None:
    """The other gets 404, with the very code of a thing that does not exist; the owner gets something else."""
    wrong = []
    routes = named_routes(tenants.app)
    for method, path in sorted(OWNED, key=lambda route: (route in ENDING, route)):
        theirs = _ask(tenants, "two", method, path, routes[method, path])
        if theirs.status_code != 404:
            wrong.append(f"{method} {path}: another gets {theirs.status_code} {theirs.text[:200]}")
            continue
        own = _ask(tenants, "one", method, path, routes[method, path])
        if own.status_code >= 500 or (own.status_code == 404 and own.json()["code"] == theirs.json()["code"]):
            wrong.append(f"{method} {path}: the owner gets {own.status_code} {own.text[:200]}")
    assert not wrong, "\n".join(wrong)


def test_a_list_shows_only_ones_own(tenants: Tenants) -> None:
    assert tenants.channels["two"].get("/v1/links").json()["data"] == []
    assert tenants.channels["one"].get("/v1/links").json()["data"] != []
    tenants.made(Role.PARTNER, "/v1/webhooks", {"endpoint": "https://partner.example/another"}, "stream_id")
    for path, member in (("/v1/webhooks", "streams"), ("/v1/ssf/streams", "")):
        other, own = (tenants.client(Role.PARTNER, who).get(path).json() for who in ("two", "one"))
        assert (other[member] if member else other) == []
        assert own[member] if member else own


def test_a_key_or_a_cursor_of_anothers_is_of_no_use(tenants: Tenants) -> None:
    """The same idempotency key is another key, and nothing of the first answer shows."""
    one, two, key = tenants.channels["one"], tenants.channels["two"], secrets.token_hex(8)
    path = f"/v1/links/{claimed(tenants.service, one, 4)}/codes"
    mine = one.post(path, {}, key=key)
    assert mine.status_code == 201, mine.text
    again = one.post(path, {}, key=key)
    assert (again.json(), again.headers["idempotency-replayed"]) == (mine.json(), "true")
    theirs = two.post(path, {}, key=key)
    assert (theirs.status_code, theirs.json()["code"]) == (404, "link_unknown")
    assert json.dumps(mine.json()) not in theirs.text
    assert "idempotency-replayed" not in theirs.headers
