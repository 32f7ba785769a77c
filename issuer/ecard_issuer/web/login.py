"""The OpenID provider's routes: authorization with its pages, tokens, user information, and what it says of itself.

Every address in an answer is built from the configured origin. The client's address is that of the connection, or
what a trusted proxy says of it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from ecard_card import messages
from ecard_card.errors import EcardError, NotFound, RuleViolation
from ecard_card.messages import Language
from ecard_issuer.assembly import Issuer
from ecard_issuer.login.authorize import parameters, read_request, site_of
from ecard_issuer.login.desktop import desktop_of
from ecard_issuer.login.metadata import provider_metadata
from ecard_issuer.login.refusal import OauthRefusal, UnsafeRequest
from ecard_issuer.login.sites import answer_to
from ecard_issuer.web.conventions.rates import address_of
from ecard_issuer.web.login_pages import SCRIPT, STYLE, asset, asset_name, login_page, plain_page

FORM: Final = "application/x-www-form-urlencoded"
#: Paths whose bodies are forms.
LOGIN_FORMS: Final = ("/login/authorize", "/login/token", "/login/userinfo", "/login/wait/[0-9a-f]{32}/cancel")
_SECRET: Final = re.compile(r"[0-9a-f]{64}")
TransactionId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
Chosen = Annotated[str, Query(max_length=8, alias="lang")]
_PUBLIC: Final = {"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}


async def form_of(request: Request) -> list[tuple[str, str]]:
    """The fields of a form body, in order; none where there is no form."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        return []
    try:
        text = (await request.body()).decode("ascii")
        return parse_qsl(text, keep_blank_values=True, max_num_fields=64, strict_parsing=bool(text))
    except ValueError:
        return [("", ""), ("", "")]  # refused as a parameter that is there twice


Form = Annotated[list[tuple[str, str]], Depends(form_of)]


def login_router(issuer: Issuer) -> APIRouter:
    """`/login/…`, `/l/{token}` and the discovery document."""
    router = APIRouter(tags=["login"], include_in_schema=False)
    router.include_router(_pages(issuer))
    router.include_router(_endpoints(issuer))
    return router


def _pages(issuer: Issuer) -> APIRouter:
    router = APIRouter()
    desk, sites, clock = issuer.login.desk, issuer.login.sites, issuer.clock
    origin = issuer.identity.issuer
    secure = origin.startswith("https:")
    cookie = "__Host-ecard-login" if secure else "ecard-login-without-tls"

    proxies = tuple(ipaddress.ip_network(network) for network in issuer.settings.trusted_proxies)

    def browser_of(request: Request) -> str | None:
        secret = request.cookies.get(cookie, "")
        return secret if _SECRET.fullmatch(secret) else None

    def authorize(request: Request, pairs: Sequence[tuple[str, str]]) -> Response:
        now, language = clock(), _language(request)
        try:
            given = parameters(pairs)
            site = site_of(given, lambda service_id: sites.find(service_id, now))
        except UnsafeRequest as error:
            return plain_page("unsafe", language, 400, error.reason)
        try:
            wanted = read_request(given, site)
        except OauthRefusal as refusal:
            state = given.get("state")
            said = {
                "error": refusal.error,
                "error_description": refusal.description,
                "state": state if state is not None and len(state) <= 512 else None,
                "iss": origin,
            }
            return RedirectResponse(answer_to(site.redirect_uri, said), 303)
        peer = "" if request.client is None else request.client.host
        address = address_of(peer, request.headers.getlist("x-forwarded-for"), proxies)
        desktop = desktop_of(address, request.headers.get("user-agent", ""), issuer.login.region_of)
        begun = desk.begin(wanted, desktop, wanted.language or language, browser_of(request), now)
        answer = RedirectResponse(f"{origin}/login/wait/{begun.transaction_id}", 303)
        answer.set_cookie(cookie, begun.browser_secret, path="/", secure=secure, httponly=True, samesite="lax")
        return answer

    @router.get("/login/authorize")
    def authorize_login(request: Request) -> Response:
        """OpenID Connect Core 1.0 §3.1.2."""
        return authorize(request, request.query_params.multi_items())

    @router.post("/login/authorize")
    def authorize_login_by_form(request: Request, form: Form) -> Response:
        """The same by a form."""
        return authorize(request, form)

    @router.get("/login/wait/{transaction_id}")
    def login_wait(request: Request, transaction_id: TransactionId, chosen: Chosen = "") -> Response:
        """The page of an attempt, for its own browser; the way back to the site, once its login is confirmed."""
        try:
            seen = desk.turn(transaction_id, browser_of(request) or "", clock())
        except (NotFound, RuleViolation):
            return plain_page("unknown", _language(request), 404)
        if seen.state == "collected" and seen.back is not None:
            answer = RedirectResponse(seen.back, 303)
            # The next login of this browser has another secret: nothing from before a login goes on after it.
            answer.delete_cookie(cookie, path="/", secure=secure, httponly=True, samesite="lax")
            return answer
        return login_page(seen, transaction_id, _either(chosen) or _either(seen.language) or "zh")

    @router.get("/login/wait/{transaction_id}/state")
    def login_wait_state(request: Request, transaction_id: TransactionId) -> JSONResponse:
        """Whether the page has something new to show; nothing else."""
        try:
            seen = desk.see(transaction_id, browser_of(request) or "", clock())
        except (NotFound, RuleViolation):
            return JSONResponse({"version": "unknown"}, 404)
        return JSONResponse({"version": seen.version})

    @router.post("/login/wait/{transaction_id}/cancel")
    def login_cancel(request: Request, transaction_id: TransactionId) -> Response:
        try:
            return RedirectResponse(desk.cancel(transaction_id, browser_of(request) or "", clock()), 303)
        except (NotFound, RuleViolation):
            return plain_page("unknown", _language(request), 404)

    @router.get("/l/{token}")
    def login_link(request: Request, token: Annotated[str, Path(max_length=64)]) -> HTMLResponse:
        """A QR code that was opened by a phone's own camera: tells what it is, and logs nobody in."""
        return plain_page("link", _language(request))

    @router.get(f"/login/{asset_name(STYLE)}")
    def login_style() -> Response:
        return asset(STYLE)

    @router.get(f"/login/{asset_name(SCRIPT)}")
    def login_script() -> Response:
        return asset(SCRIPT)

    return router


def _endpoints(issuer: Issuer) -> APIRouter:
    router = APIRouter()
    tokens, clients, signer, clock = issuer.login.tokens, issuer.login.clients, issuer.login.signer, issuer.clock
    origin = issuer.identity.issuer

    @router.get("/.well-known/openid-configuration")
    def openid_configuration() -> JSONResponse:
        """OpenID Connect Discovery 1.0 §4."""
        return JSONResponse(provider_metadata(origin), headers=_PUBLIC)

    @router.get("/login/jwks")
    def login_keys() -> JSONResponse:
        """The keys that ID tokens are judged by (RFC 7517)."""
        return JSONResponse(signer.jwks(), headers=_PUBLIC)

    @router.post("/login/token")
    def login_token(request: Request, form: Form) -> JSONResponse:
        """The token endpoint (RFC 6749 §3.2, OpenID Connect Core 1.0 §3.1.3)."""
        now = clock()
        header = request.headers.get("authorization")
        try:
            given = _once(form)
            client_id = clients.authenticate(given, header, now)
            if given.get("grant_type") != "authorization_code":
                raise OauthRefusal("unsupported_grant_type", "only authorization_code is offered")
            return JSONResponse(tokens.redeem(client_id, given, now), headers={"Pragma": "no-cache"})
        except OauthRefusal as refusal:
            return _refused(refusal, "Basic" if header is not None else None)
        except EcardError as error:
            return _failed(error)

    @router.get("/login/userinfo")
    def login_userinfo(request: Request) -> JSONResponse:
        """OpenID Connect Core 1.0 §5.3."""
        return _userinfo(request, clock())

    @router.post("/login/userinfo")
    def login_userinfo_by_form(request: Request) -> JSONResponse:
        """The same by POST; the token stands in the header all the same."""
        return _userinfo(request, clock())

    def _userinfo(request: Request, now: datetime) -> JSONResponse:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise OauthRefusal("invalid_token", "want the access token in the Authorization header", 401)
            return JSONResponse(tokens.userinfo(token.strip(), now))
        except OauthRefusal as refusal:
            return _refused(refusal, f'Bearer error="{refusal.error}"')
        except EcardError as error:
            return _failed(error)

    return router


def _once(form: Sequence[tuple[str, str]]) -> dict[str, str]:
    try:
        return parameters(form)
    except UnsafeRequest as error:
        raise OauthRefusal("invalid_request", error.reason) from None


def _refused(refusal: OauthRefusal, challenge: str | None) -> JSONResponse:
    headers = {"WWW-Authenticate": challenge} if refusal.status == 401 and challenge is not None else {}
    said = {"error": refusal.error, "error_description": refusal.description}
    return JSONResponse(said, refusal.status, headers=headers)


def _failed(error: EcardError) -> JSONResponse:
    """What is our own fault, and may be tried again."""
    said = {"error": "temporarily_unavailable", "error_description": error.code}
    return JSONResponse(said, 503, headers={"Retry-After": "1"})


def _either(name: str) -> Language | None:
    return "zh" if name == "zh" else "en" if name == "en" else None


def _language(request: Request) -> Language:
    return messages.language(request.headers.get("accept-language", "")[:1024])
