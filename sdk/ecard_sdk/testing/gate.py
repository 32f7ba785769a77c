"""Who asks: tokens, proofs, signatures and idempotency keys, judged as the authority judges them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl

import httpx2

from ecard_card import jose
from ecard_card.errors import EcardError, InvalidInput
from ecard_keys.client_keys import ClientKey, read_client_key
from ecard_keys.client_signer import access_token_hash
from ecard_keys.http_signature import SignedRequest, verify_request

_SKEW: Final = timedelta(seconds=60)
_LIFE: Final = timedelta(minutes=5)
_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Fault(Exception):
    """An answer other than 2xx."""

    def __init__(self, status: int, code: str, detail: str = "", **headers: str) -> None:
        super().__init__(code)
        self.status, self.code, self.detail = status, code, detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    @property
    def oauth(self) -> str:
        """The error of RFC 6749 §5.2 or RFC 9449 §5 that the token endpoint names."""
        proofs = {"dpop_nonce_needed": "use_dpop_nonce", "clock_differs": "invalid_dpop_proof"}
        if self.code.startswith("dpop_proof"):
            return "invalid_dpop_proof"
        return proofs.get(self.code, "invalid_client" if self.status == 401 else "invalid_request")


@dataclass(frozen=True, slots=True)
class App:
    """An admitted app."""

    app_id: str
    key: ClientKey = field(repr=False)
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Token:
    app: App
    thumbprint: str
    expires_at: datetime


class Gate:
    """The door of `origin`. `clock` is the authority's."""

    def __init__(self, origin: str, clock: Callable[[], datetime]) -> None:
        self.origin, self._clock = origin, clock
        self.nonce: str | None = None  # asked for in every proof, once a test sets it
        self.tokens_given = 0
        self._apps: dict[str, App] = {}
        self._tokens: dict[str, _Token] = {}
        self._used: set[tuple[str, str]] = set()

    def admit(self, app: App) -> None:
        """Let an app in."""
        self._apps[app.app_id] = app

    def end_tokens(self) -> None:
        """No token is good any more."""
        self._tokens.clear()

    def token(self, request: httpx2.Request) -> dict[str, object]:
        """The token endpoint (RFC 6749 §4.4, RFC 7523 §2.2, RFC 9449 §5)."""
        form = dict(parse_qsl(request.content.decode()))
        if form.get("grant_type") != "client_credentials" or form.get("client_assertion_type") != _ASSERTION_TYPE:
            raise Fault(400, "grant_not_supported", "client credentials with a client assertion")
        app, claims = self._client(form.get("client_assertion", ""))
        thumbprint = self._proof(request, None, 400)
        self._once("client_assertion_used", claims.get("jti"))
        value = "ekat_" + secrets.token_urlsafe(32)
        self._tokens[value] = _Token(app, thumbprint, self._clock() + _LIFE)
        self.tokens_given += 1
        life = int(_LIFE.total_seconds())
        return {"access_token": value, "token_type": "DPoP", "expires_in": life, "scope": " ".join(sorted(app.scopes))}

    def caller(self, request: httpx2.Request, scope: str, *, signed: bool) -> App:
        """The app that asks, if it may."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        token = self._tokens.get(value)
        if token is None or self._clock() >= token.expires_at:
            raise _challenged("access_token_wrong", "invalid_token")
        if scheme != "DPoP" or self._proof(request, value, 401) != token.thumbprint:
            raise _challenged("dpop_proof_wrong", "invalid_dpop_proof", "the token is bound to another key")
        if scope not in token.app.scopes:
            raise Fault(403, "scope_missing", f"this call needs {scope}")
        if signed:
            self._signature(request, token.app)
        return token.app

    def _client(self, assertion: str) -> tuple[App, Mapping[str, Any]]:
        header, claims, verified = _jwt(assertion, Fault(401, "client_assertion_wrong", "not a JWT"))
        app = self._apps.get(str(claims.get("sub")))
        if app is None or claims.get("iss") != app.app_id or header.get("kid") != app.key.kid or not verified(app.key):
            raise Fault(401, "client_assertion_wrong", "not an app's own, or not signed by its key")
        if claims.get("aud") != self.origin:
            raise Fault(401, "client_assertion_wrong", "aud is this server's issuer identifier, as one text")
        if not 0 < claims.get("exp", 0) - claims.get("iat", 0) <= 300:
            raise Fault(401, "client_assertion_wrong", "exp is at most 300 s ahead")
        self._recent(claims.get("iat"), Fault(401, "clock_differs", "iat is not now"))
        return app, claims

    def _proof(self, request: httpx2.Request, token: str | None, status: int) -> str:
        wrong = _challenged("dpop_proof_wrong", "invalid_dpop_proof", status=status)
        header, claims, verified = _jwt(request.headers.get("dpop", ""), wrong)
        try:
            key = read_client_key(header.get("jwk"))
        except InvalidInput:
            raise wrong from None
        wanted: dict[str, object] = {"htm": request.method, "htu": str(request.url).partition("?")[0]}
        wanted |= {} if token is None else {"ath": access_token_hash(token)}
        if header.get("typ") != "dpop+jwt" or not verified(key) or not wanted.items() <= claims.items():
            raise wrong
        self._recent(claims.get("iat"), _challenged("clock_differs", "invalid_dpop_proof", "iat is not now", status))
        if self.nonce is not None and claims.get("nonce") != self.nonce:
            needed = _challenged("dpop_nonce_needed", "use_dpop_nonce", status=status)
            needed.headers["DPoP-Nonce"] = self.nonce
            raise needed
        self._once("dpop_proof_used", claims.get("jti"))
        return key.thumbprint

    def _signature(self, request: httpx2.Request, app: App) -> None:
        lines = tuple(request.headers.multi_items())
        seen = SignedRequest(request.method, str(request.url), lines, request.content)
        try:
            signed = verify_request(seen, app.key, self._clock(), skew=_SKEW)
        except EcardError as error:
            raise Fault(401, error.code, error.detail) from None
        self._once("http_signature_used", signed.nonce)

    def _recent(self, moment: object, differs: Fault) -> None:
        if not isinstance(moment, int) or abs(moment - self._clock().timestamp()) > _SKEW.total_seconds():
            raise differs

    def _once(self, code: str, value: object) -> None:
        if not isinstance(value, str) or (code, value) in self._used:
            raise Fault(401, code, "made for another request")
        self._used.add((code, value))


def _challenged(code: str, error: str, detail: str = "", status: int = 401) -> Fault:
    fault = Fault(status, code, detail)
    if status == 401:
        fault.headers["WWW-Authenticate"] = f'DPoP error="{error}"'
    return fault


class Repeats:
    """`Idempotency-Key`: the same request under the same key is done once."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, str], tuple[str, httpx2.Response]] = {}

    def answer(self, app: App, request: httpx2.Request, work: Callable[[], httpx2.Response]) -> httpx2.Response:
        """What `work` gives, or what it gave before."""
        key = request.headers.get("idempotency-key")
        if key is None:
            raise Fault(400, "idempotency_key_missing", "want the header Idempotency-Key")
        slot = (app.app_id, f"{request.method} {request.url.path}", key)
        asked = hashlib.sha256(request.content).hexdigest()
        if slot in self._kept:
            before, answer = self._kept[slot]
            if before != asked:
                raise Fault(422, "idempotency_key_reused", "this key was used for another request; want a new one")
            headers = {**answer.headers, "Idempotency-Replayed": "true"}
            return httpx2.Response(answer.status_code, headers=headers, content=answer.content)
        answer = work()
        self._kept[slot] = asked, answer
        return answer


def _jwt(text: str, wrong: Fault) -> tuple[Mapping[str, Any], Mapping[str, Any], Callable[[ClientKey], bool]]:
    """Header, claims, and whether a key has signed it. Raises `wrong`."""
    try:
        head, body, tail = text.split(".")
        header, claims = (jose.parse_json(jose.b64url_decode(part), limit=4096) for part in (head, body))
        signature = jose.b64url_decode(tail)
    except (ValueError, InvalidInput):
        raise wrong from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise wrong
    message = f"{head}.{body}".encode()
    return header, claims, lambda key: key.verify(str(header.get("alg")), message, signature)
