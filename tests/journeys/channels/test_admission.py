"""Admission over HTTP by two operators, mutual TLS through a proxy, and proofs with a nonce of the authority."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.testclient import TestClient

from ecard_issuer.assembly import build
from ecard_issuer.channels.scopes import Scope
from ecard_issuer.chip.judge import Anchors
from ecard_issuer.config import load
from ecard_issuer.web.app import create_app
from ecard_keys.client_signer import ClientSigner
from ecard_verifier.callers import Role
from tests.issuer.channel_kit import AdmittedChannel, admit, registration
from tests.issuer.oauth.test_certificate import certificate, thumbprint
from tests.issuer.service import ORIGIN, START, Clock, Service, open_service
from tests.issuer.template import place_register

PROXY, STRANGER = "10.0.0.1", "203.0.113.9"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Four eyes are on, and two fetched key sets are served from memory."""
    opened = open_service(tmp_path_factory.mktemp("admission"), approvals_needed=1)
    yield opened
    opened.issuer.close()


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[TestClient]:
    with TestClient(create_app(service.issuer), raise_server_exceptions=False) as client:
        yield client


def headers(service: Service, role: Role = Role.OPERATOR) -> dict[str, str]:
    return {"Authorization": f"Bearer {service.token(role)}"}


def test_a_channel_is_admitted_by_two_and_suspended_by_one(service: Service, client: TestClient) -> None:
    anna, ben, desk = headers(service), headers(service), headers(service, Role.DESK)
    signer = ClientSigner.generate("k1")
    body = registration(signer, [Scope.READ]) | {"request_id": "over-http"}
    applied = client.post("/v1/channel-applications", json=body, headers=desk)
    assert applied.status_code == 201
    assert client.post("/v1/channel-applications", json=body, headers=desk).json() == applied.json()
    other = client.post("/v1/channel-applications", json=body | {"contact": "x@y.example"}, headers=desk)
    assert (other.status_code, other.json()["code"]) == (409, "app_request_differs")
    app_id = applied.json()["app_id"]
    path = f"/v1/channels/{app_id}"
    waiting = client.post(f"{path}/approve", headers=anna)
    assert waiting.status_code == 202
    request = waiting.json()["approval"]["id"]
    assert client.post(f"/v1/approvals/{request}/approve", json={}, headers=anna).status_code == 422
    assert client.post(f"/v1/approvals/{request}/approve", json={}, headers=ben).status_code == 200
    assert client.post(f"{path}/approve", headers=anna).json()["state"] == "active"
    channel = AdmittedChannel(app_id, signer, client, service.clock)
    assert channel.get("/v1/channel").json()["scopes"] == ["ecard:read"]
    more = registration(signer, [Scope.READ, Scope.CLAIM])
    assert client.put(path, json=more, headers=anna).status_code == 202  # and nothing has changed
    assert channel.ask_token(scope="ecard:claim").json()["error"] == "invalid_scope"
    page = client.get("/v1/channels", params={"state": "active", "limit": 1}, headers=anna).json()
    assert [item["app_id"] for item in page["data"]] == [app_id]
    assert page["next_cursor"] is None
    assert client.post(f"{path}/suspend", json={"reason": "keys lost"}, headers=ben).json()["state"] == "suspended"
    refused = channel.get("/v1/channel")
    assert (refused.status_code, refused.json()["code"]) == (403, "app_suspended")
    record = client.get(f"{path}/record", headers=anna).json()["changes"]
    assert [change["action"] for change in record] == ["applied", "approved", "suspended"]
    assert record[-1]["reason"] == "keys lost"
    assert client.get("/v1/channels/ek_live_" + "a" * 24, headers=anna).json()["code"] == "app_unknown"


def test_what_cannot_be_applied_for(service: Service, client: TestClient) -> None:
    desk = headers(service, Role.DESK)
    good = registration(ClientSigner.generate("k")) | {"request_id": "wrong"}
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"jwks": {"keys": [ClientSigner.generate("k").public_jwk | {"d": "AA"}]}}, 400, "bad_jwk"),
        ({"jwks": {"keys": []}}, 400, "bad_key_set"),
        ({"jwks": {"keys": [ClientSigner.generate(str(n)).public_jwk for n in range(200)]}}, 400, "bad_channel"),
        ({"jwks": {"keys": [{"x": "A" * 70_000}]}}, 413, "body_too_large"),
        ({"redirect_uris": ["http://169.254.169.254/"]}, 400, "bad_channel"),
        ({"scopes": ["ecard:admin"]}, 422, "invalid_request"),
    ]
    for changed, status, code in cases:
        answer = client.post("/v1/channel-applications", json=good | changed, headers=desk)
        assert (answer.status_code, answer.json()["code"]) == (status, code), changed.keys()


def opened_with(folder: Path, **settings: Any) -> Service:
    place_register(folder)
    clock = Clock()
    loaded = load(data_dir=folder, public_origin=ORIGIN, regions=("000000",), approvals_needed=0, **settings)
    issuer = build(loaded, clock=clock, anchors=Anchors((), allow_test=True))
    return Service(issuer, clock, None)  # type: ignore[arg-type]  # no chip is read here


def test_mutual_tls_through_a_proxy(tmp_path: Path) -> None:
    service = opened_with(tmp_path, client_cert_header="Client-Cert", trusted_proxies=("10.0.0.0/24",))
    shown, other = certificate(START), certificate(START)
    app = create_app(service.issuer)
    proxy, stranger = (TestClient(app, client=(peer, 5000)) for peer in (PROXY, STRANGER))
    bank = admit(service, client=proxy, jwks=None, certificates=[thumbprint(shown)])

    def header(shown: Any) -> dict[str, str]:
        return {"Client-Cert": f":{base64.b64encode(shown.public_bytes(Encoding.DER)).decode()}:"}

    form = {"grant_type": "client_credentials", "client_id": bank.app_id}
    told = proxy.post("/oauth/token", data=form, headers=header(shown))
    assert told.status_code == 200, told.text
    assert told.json()["token_type"] == "Bearer"
    token = {"Authorization": f"Bearer {told.json()['access_token']}"}
    assert proxy.get("/v1/channel", headers=token | header(shown)).json()["app_id"] == bank.app_id
    for client, sent in (
        (proxy, token),  # the token alone
        (proxy, token | header(other)),
        (stranger, token | header(shown)),  # whoever writes the header is no proxy of ours
        (proxy, {"Authorization": token["Authorization"].replace("Bearer", "DPoP")} | header(shown)),
    ):
        assert client.get("/v1/channel", headers=sent).json()["code"] == "access_token_wrong"
    for client, sent in ((proxy, {}), (proxy, header(other)), (stranger, header(shown))):
        refused = client.post("/oauth/token", data=form, headers=sent)
        assert (refused.status_code, refused.json()["code"]) == (401, "client_unknown")
    twice = [*header(shown).items(), *header(shown).items()]
    assert proxy.post("/oauth/token", data=form, headers=twice).json()["code"] == "client_certificate_wrong"
    office = service.issuer.channels.office
    left = office.registration(registration(ClientSigner.generate("k"), certificates=[thumbprint(other)]))
    office.change(bank.app_id, left, "operator", service.clock())
    assert proxy.get("/v1/channel", headers=token | header(shown)).json()["code"] == "access_token_wrong"
    told = proxy.get("/.well-known/oauth-authorization-server").json()
    assert told["tls_client_certificate_bound_access_tokens"] is True
    service.issuer.close()


def test_without_the_setting_a_certificate_in_a_header_is_nothing(service: Service, client: TestClient) -> None:
    shown = certificate(START)
    bank = admit(service, client=client, certificates=[thumbprint(shown)])
    sent = {"Client-Cert": f":{base64.b64encode(shown.public_bytes(Encoding.DER)).decode()}:"}
    form = {"grant_type": "client_credentials", "client_id": bank.app_id}
    assert client.post("/oauth/token", data=form, headers=sent).json()["code"] == "client_unknown"
    asserted = form | {
        "client_assertion": bank.assertion(),
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    unbound = client.post("/oauth/token", data=asserted, headers=sent)
    assert (unbound.status_code, unbound.json()["error"]) == (400, "invalid_dpop_proof")
    assert unbound.json()["code"] == "token_unbound"


def test_a_nonce_of_the_authority(tmp_path: Path) -> None:
    service = opened_with(tmp_path, dpop_nonce=True)
    client = TestClient(create_app(service.issuer))
    channel = admit(service, client=client)
    refused = channel.ask_token()
    assert (refused.status_code, refused.json()["error"]) == (400, "use_dpop_nonce")
    nonce = refused.headers["dpop-nonce"]
    form = {
        "grant_type": "client_credentials",
        "client_assertion": channel.assertion(),
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    proof = channel.proof("POST", "/oauth/token", nonce=nonce)
    token = client.post("/oauth/token", data=form, headers={"DPoP": proof}).json()["access_token"]

    def ask(nonce: str | None) -> Any:
        proof = channel.proof("GET", "/v1/channel", token, nonce=nonce)
        return client.get("/v1/channel", headers={"Authorization": f"DPoP {token}", "DPoP": proof})

    assert ask(nonce).status_code == 200
    for wrong in (None, "", "A" * 24, nonce + "x", "é"):
        answer = ask(wrong)
        assert (answer.status_code, answer.json()["code"]) == (401, "dpop_nonce_needed")
        assert 'error="use_dpop_nonce"' in answer.headers["www-authenticate"]
        assert answer.headers["dpop-nonce"] == nonce
    service.clock.advance(270)
    assert ask(nonce).json()["code"] == "dpop_nonce_needed"  # too old by now
    service.issuer.close()
