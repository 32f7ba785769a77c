"""A channel's back end for tests: admitted for real, then calling with tokens, DPoP proofs and signatures."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from httpx2 import Response
from starlette.testclient import TestClient

from ecard_issuer.channels.scopes import Scope
from ecard_issuer.channels.values import Channel
from ecard_issuer.oauth.client_assertion import ASSERTION_TYPE
from ecard_keys.client_signer import ClientSigner, client_assertion, dpop_proof
from ecard_keys.http_signature import sign_request
from tests.issuer.service import ORIGIN, Clock, Service

EVERY_SCOPE = tuple(Scope)


def registration(signer: ClientSigner, scopes: Sequence[Scope] = EVERY_SCOPE, **members: Any) -> dict[str, Any]:
    """What an app applies with; `members` in the place of the usual ones."""
    return {
        "names": {"zh": "示例银行", "en": "Example Bank"},
        "legal_entity": "Example Bank Ltd.",
        "contact": "ecard@bank.example",
        "kind": "bank",
        "scopes": [scope.value for scope in scopes],
        "quotas": {"calls_per_minute": 600, "claims_per_day": 10_000},
        "redirect_uris": ["https://app.bank.example/back"],
        "webhook_urls": ["https://app.bank.example/hooks"],
        "browser_origins": ["https://app.bank.example"],
        "jwks": {"keys": [signer.public_jwk]},
        "jwks_uri": None,
        "certificates": [],
    } | members


@dataclass
class AdmittedChannel:
    """A channel that may call. `client` asks the application, `origin` is the one that signatures are made for."""

    app_id: str
    signer: ClientSigner
    client: TestClient
    clock: Clock
    origin: str = ORIGIN
    dpop: ClientSigner = field(default_factory=ClientSigner.generate)
    _tokens: dict[str | None, tuple[str, float]] = field(default_factory=dict, repr=False)

    def assertion(self, **changed: Any) -> str:
        return client_assertion(self.signer, self.app_id, self.origin, self.clock(), **changed)

    def proof(self, method: str, path: str, token: str | None = None, **changed: Any) -> str:
        return dpop_proof(self.dpop, method, self.origin + path, self.clock(), access_token=token, **changed)

    def ask_token(self, *, scope: str | None = None, **form: Any) -> Response:
        """`POST /oauth/token` as it should be, with members of the form replaced by `form`."""
        members = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion(),
            **({} if scope is None else {"scope": scope}),
        } | form
        return self.client.post("/oauth/token", data=members, headers={"DPoP": self.proof("POST", "/oauth/token")})

    def token(self, scope: str | None = None) -> str:
        """A token that lives, the same one while it does."""
        held = self._tokens.get(scope)
        if held is None or held[1] <= self.clock().timestamp() + 5:
            answer = self.ask_token(scope=scope)
            assert answer.status_code == 200, answer.text
            held = answer.json()["access_token"], self.clock().timestamp() + answer.json()["expires_in"]
            self._tokens[scope] = held
        return held[0]

    def headers(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        token: str | None = None,
        sign: bool = True,
        more: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        """Everything that a call carries; `more` are further headers, with `_` for `-`."""
        token = token or self.token()
        headers = {
            "Authorization": f"DPoP {token}",
            "DPoP": self.proof(method, path.partition("?")[0], token),
            **({"Content-Type": "application/json"} if body else {}),
            **{name.replace("_", "-"): value for name, value in (more or {}).items()},
        }
        if sign:
            headers |= sign_request(self.signer, method, self.origin + path, headers, body, self.clock())
        return headers

    def get(self, path: str, **more: str) -> Response:
        return self.client.get(path, headers=self.headers("GET", path, sign=False, more=more))

    def post(
        self, path: str, body: Mapping[str, Any] | None = None, *, key: str | None = None, **more: str
    ) -> Response:
        """A signed call, under an idempotency key of its own unless `key` is given."""
        content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        more = {"Idempotency_Key": key or secrets.token_hex(16)} | more
        return self.client.post(path, content=content, headers=self.headers("POST", path, content, more=more))


def admit(
    service: Service,
    scopes: Sequence[Scope] = EVERY_SCOPE,
    *,
    app: FastAPI | None = None,
    client: TestClient | None = None,
    signer: ClientSigner | None = None,
    **members: Any,
) -> AdmittedChannel:
    """A channel of the service, with its own keys, asked through `client`, or through `app`, or a new application.

    Where the service wants four eyes, two operators are made and agree.
    """
    signer = signer or ClientSigner.generate()
    channel = admitted(service, registration(signer, scopes, **members))
    if client is None:
        from ecard_issuer.web.app import create_app

        client = TestClient(app or create_app(service.issuer), raise_server_exceptions=False)
    return AdmittedChannel(channel.app_id, signer, client, service.clock, service.issuer.identity.issuer)


def admitted(service: Service, document: Mapping[str, Any]) -> Channel:
    """The document applied for and approved."""
    from ecard_card.errors import ApprovalNeeded

    office, now = service.issuer.channels.office, service.clock()
    channel = office.apply(secrets.token_hex(8), office.registration(document), "operator one", now)
    try:
        return office.approve(channel.app_id, "operator one", now)
    except ApprovalNeeded as needed:
        service.issuer.approvals.decide(needed.request_id, "operator two", approve=True, now=now)
        return office.approve(channel.app_id, "operator one", now)
