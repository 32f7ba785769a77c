"""Logins for tests: sites as registered, browsers with a cookie jar of their own, phones that scan and confirm."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import FastAPI
from httpx2 import Response
from starlette.testclient import TestClient

from ecard_card import jose
from ecard_issuer.web.relying_models import ServiceBody
from ecard_sdk.device import DeviceKey
from tests.issuer.channel_kit import AdmittedChannel
from tests.issuer.links_kit import claim
from tests.issuer.service import Service

SECRET = "s" * 20 + "ecret-with-256-random-bits"


def register_site(
    service: Service, service_id: str, *uris: str, login: dict[str, Any] | None = None, **said: Any
) -> None:
    """A relying service that people log in to at `uris`, by `client_secret_basic` with `SECRET` unless told other."""
    body = {
        "names": {"zh": "就业服务网", "en": "Jobs online"},
        "owner": service_id,
        "region": "000000",
        "lines": [82],
        "claims": ["name_masked", "personal_administrative_number"],
        "proof": "read",
        "business_types": ["01", "03"],
        "starts_at": "2026-01-01T00:00:00Z",
        "login": {
            "redirect_uris": list(uris),
            "auth": "client_secret_basic",
            "scopes": ["openid", "profile", "id_number"],
            "secret_sha256": hashlib.sha256(SECRET.encode()).hexdigest(),
        }
        | (login or {}),
    } | said
    office = service.issuer.relying.services
    office.save(ServiceBody.model_validate(body).to_service(service_id), "office", service.clock())


@dataclass
class Phone:
    """Somebody's phone with the app of a channel, a link in it and a device key."""

    service: Service
    channel: AdmittedChannel
    serial: int = 1
    device: DeviceKey = field(default_factory=DeviceKey.generate)

    def __post_init__(self) -> None:
        done = claim(self.service, self.channel, self.serial, device=self.device)
        assert done.issued is not None
        self.link_id, self.credential = done.link.link_id, done.issued.cwt

    def scan(self, text: str, **changed: str) -> Response:
        return self.channel.post("/v1/login-requests/scan", {"link_id": self.link_id, "scanned": text} | changed)

    def read(self, scanned: Response) -> dict[str, Any]:
        """The signed request, verified as an app does."""
        assert scanned.status_code == 201, scanned.text
        claims = jose.parse_json(jose.b64url_decode(scanned.json()["signed"].split(".")[1]))
        assert isinstance(claims, dict)
        return claims

    def proof(self, request: dict[str, Any], number: str) -> str:
        now = self.service.clock()
        return self.device.login_proof(self.credential, request["client"]["id"], request["jti"], number, now)

    def confirm(self, request: dict[str, Any], number: str, *, signed: bool = True, **said: str) -> Response:
        body = {"number": number, **({"proof": self.proof(request, number)} if signed else {})} | said
        return self.channel.post(f"/v1/login-requests/{request['jti']}/confirm", body)

    def deny(self, request: dict[str, Any]) -> Response:
        return self.channel.post(f"/v1/login-requests/{request['jti']}/deny")


@dataclass
class Browser:
    """A desktop's browser, asked in-process. `uri` is where the site wants it back."""

    app: FastAPI
    service: Service
    client_id: str
    uri: str
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    language: str = "en"

    def __post_init__(self) -> None:
        origin = self.service.issuer.identity.issuer
        self.client = TestClient(
            self.app,
            base_url=origin,
            raise_server_exceptions=False,
            follow_redirects=False,
            headers={"Accept-Language": self.language},
        )
        self.transaction = ""

    def asks(self, **said: str | None) -> dict[str, str]:
        """The parameters of an authorization request."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).decode().rstrip("=")
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.uri,
            "scope": "openid profile",
            "state": "st-1",
            "nonce": "no-1",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        } | said
        return {name: value for name, value in asked.items() if value is not None}

    def authorize(self, **said: str | None) -> Response:
        return self.client.get(f"/login/authorize?{urlencode(self.asks(**said))}")

    def begin(self, **said: str | None) -> str:
        """The text of the QR code that the page shows."""
        answer = self.authorize(**said)
        assert answer.status_code == 303, answer.text
        self.transaction = urlsplit(answer.headers["location"]).path.rpartition("/")[2]
        return self.shown()

    @property
    def cookie(self) -> str:
        (cookie,) = (cookie for cookie in self.client.cookies.jar if "ecard-login" in cookie.name)
        return str(cookie.value)

    def page(self) -> Response:
        return self.client.get(f"/login/wait/{self.transaction}")

    def shown(self) -> str:
        """What the QR code on the page says now."""
        page = self.page()
        assert page.status_code == 200, page.text
        seen = self.service.issuer.login.desk.see(self.transaction, self.cookie, self.service.clock())
        assert seen.qr is not None
        return seen.qr

    def number(self) -> str:
        (number,) = re.findall(r'class="number">(\d\d)<', self.page().text)
        return str(number)

    def back(self) -> dict[str, str]:
        """What the site gets when the browser comes back to it."""
        answer = self.page()
        assert answer.status_code == 303, answer.text
        return self.answer(answer)

    def answer(self, answer: Response) -> dict[str, str]:
        location = answer.headers["location"]
        assert location.startswith(self.uri)
        return dict(parse_qsl(urlsplit(location).query))

    def redeem(self, code: str, *, secret: str | None = SECRET, client_id: str | None = None, **said: str) -> Response:
        """What the site's own server asks for."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.uri,
            "code_verifier": self.verifier,
        } | said
        headers = {}
        if secret is not None:
            pair = f"{client_id or self.client_id}:{secret}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        return self.client.post("/login/token", data=form, headers=headers)


def log_in(browser: Browser, phone: Phone, **said: str | None) -> dict[str, Any]:
    """A whole login; the answer of the token endpoint."""
    request = phone.read(phone.scan(browser.begin(**said)))
    confirmed = phone.confirm(request, browser.number())
    assert confirmed.status_code == 200, confirmed.text
    redeemed = browser.redeem(browser.back()["code"])
    assert redeemed.status_code == 200, redeemed.text
    answer = redeemed.json()
    assert isinstance(answer, dict)
    return answer


def claims_of(token: str) -> dict[str, Any]:
    """What a token says, unverified."""
    claims = jose.parse_json(jose.b64url_decode(token.split(".")[1]))
    assert isinstance(claims, dict)
    return claims
