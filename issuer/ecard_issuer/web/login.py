"""The pages of scanning to log in: the OpenID provider's authorization endpoint, and where its browser waits.

Every address in an answer is built from the configured origin. The client's address is that of the connection, or
what a trusted proxy says of it. Each page is for one browser, which its cookie tells.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from ecard_card import messages
from ecard_card.errors import InvalidInput, NotFound, RuleViolation
from ecard_card.messages import Language
from ecard_issuer.assembly import Issuer
from ecard_issuer.login.authorize import MAX_PARAMETERS, parameters, read_request, site_of
from ecard_issuer.login.desktop import desktop_of
from ecard_issuer.login.refusal import OauthRefusal, UnsafeRequest
from ecard_issuer.login.sites import answer_to
from ecard_issuer.web.login_models import LoginVersion
from ecard_issuer.web.login_pages import SCRIPT, STYLE, asset, asset_name, login_page, plain_page
from ecard_issuer.web.request_parts import form_body, parse_form
from ecard_verifier.web.addresses import address_of
from ecard_verifier.web.base import problems

_SECRET: Final = re.compile(r"[0-9a-f]{64}")
TransactionId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="In the page's own address.")]
Chosen = Annotated[str, Query(max_length=8, alias="lang", description="`zh` or `en`, else as the site asked.")]
_HTML: Final[dict[str, Any]] = {"text/html": {}}
_ASKED: Final = {
    "client_id": "The site, as it was registered.",
    "redirect_uri": "One of its addresses, character by character.",
    "response_type": "`code`.",
    "scope": "`openid`, and what the site was registered for.",
    "state": "Given back to the site.",
    "nonce": "Stands in the ID token; a public client sends one.",
    "code_challenge": "RFC 7636.",
    "code_challenge_method": "`S256`.",
    "response_mode": "`query`, if it is there.",
    "acr_values": "How surely the holder has to be proven.",
    "prompt": "Any; `none` is refused, as nobody is logged in here without scanning.",
    "max_age": "Any: nobody logs in by an older login.",
    "ui_locales": "The page's language.",
}
_TEXT: Final = {"type": "string"}
_NEEDED: Final = ("client_id", "redirect_uri")
_BACK: Final = {"description": "To the page where the browser waits, or back to the site with an error"}
_UNSAFE: Final = {"content": _HTML, "description": "The page that says why the browser is sent nowhere"}


def _unknown() -> dict[int | str, dict[str, Any]]:
    """404, as a page where the id could be one, and as a problem document where it could not."""
    (told,) = problems(404).values()
    return {404: {"content": {**_HTML, **told["content"]}, "description": "Not a login of this browser"}}


def login_router(issuer: Issuer) -> APIRouter:
    """`/login/authorize`, `/login/wait/…` and `/l/{token}`."""
    router = APIRouter(tags=["login"])
    desk, sites, clock = issuer.login.desk, issuer.login.sites, issuer.clock
    origin = issuer.identity.issuer
    secure = origin.startswith("https:")
    cookie = "__Host-ecard-login" if secure else "ecard-login-without-tls"

    proxies = tuple(ipaddress.ip_network(network) for network in issuer.settings.trusted_proxies)

    def browser_of(request: Request) -> str | None:
        secret = request.cookies.get(cookie, "")
        return secret if _SECRET.fullmatch(secret) else None

    def authorize(request: Request, pairs: Iterable[tuple[str, str]]) -> Response:
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

    @router.get(
        "/login/authorize",
        operation_id="authorize_login",
        summary="Where a site sends a browser to log in",
        status_code=303,
        response_class=Response,
        responses={303: _BACK, 400: _UNSAFE, **problems(422, 503)},
        openapi_extra={
            "parameters": [
                {"name": name, "in": "query", "required": name in _NEEDED, "description": about, "schema": _TEXT}
                for name, about in _ASKED.items()
            ]
        },
    )
    def authorize_login(request: Request) -> Response:
        """OpenID Connect Core 1.0 §3.1.2."""
        return authorize(request, request.query_params.multi_items())

    @router.post(
        "/login/authorize",
        operation_id="authorize_login_by_form",
        summary="The same by a form",
        status_code=303,
        response_class=Response,
        responses={303: _BACK, 400: _UNSAFE, **problems(413, 415, 422, 503)},
        openapi_extra=form_body(
            {name: {**_TEXT, "description": about} for name, about in _ASKED.items()}, required=_NEEDED
        ),
    )
    async def authorize_login_by_form(request: Request) -> Response:
        """OpenID Connect Core 1.0 §3.1.2.1."""
        body, kind = await request.body(), request.headers.get("content-type", "")
        try:
            pairs = parse_form(body, kind, MAX_PARAMETERS).items()
        except InvalidInput as refused:
            return plain_page("unsafe", _language(request), 400, refused.detail)
        return await run_in_threadpool(authorize, request, pairs)

    @router.get(
        "/login/wait/{transaction_id}",
        operation_id="show_login",
        summary="The page of a login, in its own browser",
        response_class=HTMLResponse,
        responses={
            200: {"content": _HTML, "description": "The QR code, the number, or how it ended"},
            303: {"description": "Back to the site, with `code`, `state` and `iss`; once"},
            **_unknown(),
            **problems(422, 503),
        },
    )
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

    @router.get(
        "/login/wait/{transaction_id}/state",
        operation_id="get_login_state",
        summary="Whether that page has something new to show",
        response_model=LoginVersion,
        responses={
            404: {"model": LoginVersion, "description": "Not a login of this browser: `unknown`"},
            **problems(422, 503),
        },
    )
    def login_wait_state(request: Request, transaction_id: TransactionId) -> JSONResponse:
        """What the page's script asks."""
        try:
            seen = desk.see(transaction_id, browser_of(request) or "", clock())
        except (NotFound, RuleViolation):
            return JSONResponse({"version": "unknown"}, 404)
        return JSONResponse({"version": seen.version})

    @router.post(
        "/login/wait/{transaction_id}/cancel",
        operation_id="cancel_login",
        summary="End a login at its own browser",
        status_code=303,
        response_class=Response,
        responses={
            303: {"description": "Back to the site, with `access_denied`"},
            **_unknown(),
            **problems(413, 415, 422, 503),
        },
    )
    def login_cancel(request: Request, transaction_id: TransactionId) -> Response:
        """The button of the page. Cancelled twice is cancelled."""
        try:
            return RedirectResponse(desk.cancel(transaction_id, browser_of(request) or "", clock()), 303)
        except (NotFound, RuleViolation):
            return plain_page("unknown", _language(request), 404)

    @router.get(
        "/l/{token}",
        operation_id="show_login_link",
        summary="What the QR code of a login shows to a phone's own camera",
        response_class=HTMLResponse,
        responses=problems(404, 422),
    )
    def login_link(
        request: Request, token: Annotated[str, Path(max_length=64, description="Not looked at.")]
    ) -> HTMLResponse:
        """A QR code that was opened by a phone's own camera: tells what it is, and logs nobody in."""
        return plain_page("link", _language(request))

    @router.get(f"/login/{asset_name(STYLE)}", include_in_schema=False)
    def login_style() -> Response:
        return asset(STYLE)

    @router.get(f"/login/{asset_name(SCRIPT)}", include_in_schema=False)
    def login_script() -> Response:
        return asset(SCRIPT)

    return router


def _either(name: str) -> Language | None:
    return "zh" if name == "zh" else "en" if name == "en" else None


def _language(request: Request) -> Language:
    return messages.language(request.headers.get("accept-language", "")[:1024])
