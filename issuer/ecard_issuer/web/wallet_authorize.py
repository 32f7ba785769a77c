"""`/wallets/authorize`: where a wallet sends a person. Without a script; the answer is a redirect to the wallet."""

from __future__ import annotations

import re
import secrets
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from ecard_card import messages
from ecard_card.messages import Language
from ecard_issuer.assembly import Issuer
from ecard_issuer.wallets.authorization import Typed
from ecard_issuer.wallets.refusals import WalletRefusal
from ecard_issuer.web.request_parts import FORM
from ecard_issuer.web.wallet_edge import read_form
from ecard_issuer.web.wallet_page import over_page, proof_page
from ecard_verifier.web.base import problems

_BROWSER: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_PAGE: Final = {"content": {"text/html": {}}, "description": "The page"}
_OVER: Final = {"content": {"text/html": {}}, "description": "The page, which says what was wrong or that it is over"}
_TEXT: Final = {"type": "string", "maxLength": 512}


async def _posted(request: Request) -> dict[str, str]:
    try:
        return read_form(await request.body(), request.headers.get("content-type", ""))
    except WalletRefusal:
        return {}


def wallet_authorize_router(issuer: Issuer) -> APIRouter:
    """The page and its form."""
    router = APIRouter(prefix="/wallets", tags=["wallets"])
    authorization = issuer.wallets.authorization
    secure = issuer.identity.issuer.startswith("https://")
    cookie = "__Host-ecard-wallet" if secure else "ecard-wallet"

    def browser_of(request: Request) -> str:
        given = request.cookies.get(cookie, "")
        return given if _BROWSER.fullmatch(given) else ""

    @router.get(
        "/authorize",
        operation_id="show_wallet_authorization",
        summary="The page on which a person proves themself",
        response_class=Response,
        responses={200: _PAGE, 400: _OVER, **problems(422, 503)},
    )
    def show(
        request: Request,
        client_id: Annotated[str, Query(max_length=256, description="As it was pushed.")] = "",
        request_uri: Annotated[str, Query(max_length=256, description="As `POST /wallets/par` gave it.")] = "",
        lang: Annotated[str, Query(max_length=8, description="`zh` or `en`.")] = "",
    ) -> Response:
        """For a request that was pushed before, in the browser that opens it first."""
        browser = browser_of(request) or secrets.token_urlsafe(32)
        language = _language(request, lang)
        try:
            asked = authorization.show(client_id, request_uri, browser, issuer.clock())
        except WalletRefusal:
            return over_page(language)
        response = proof_page(asked, request_uri, language, wrong=False)
        response.set_cookie(cookie, browser, max_age=3600, path="/", secure=secure, httponly=True, samesite="lax")
        return response

    @router.post(
        "/authorize",
        operation_id="answer_wallet_authorization",
        summary="What the person typed there",
        status_code=303,
        response_class=Response,
        responses={
            303: {"description": "Back to the wallet, with `code` or `error`, `state` and `iss`"},
            400: _OVER,
            **problems(413, 415, 422, 503),
        },
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    FORM: {
                        "schema": {
                            "type": "object",
                            "required": ["request_uri", "form_token", "answer"],
                            "properties": {
                                "request_uri": _TEXT,
                                "form_token": _TEXT,
                                "answer": {"enum": ["yes", "no"]},
                                "digits": _TEXT,
                                "number": _TEXT,
                                "pin": _TEXT,
                            },
                        }
                    }
                },
            }
        },
    )
    def answer(request: Request, form: Annotated[dict[str, str], Depends(_posted)]) -> Response:
        """Only from the page itself, in the browser that was shown it."""
        now, browser, language = issuer.clock(), browser_of(request), _language(request, form.get("lang", ""))
        request_uri, token = form.get("request_uri", ""), form.get("form_token", "")
        try:
            if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
                raise WalletRefusal("invalid_request", "a form of another site")
            if form.get("answer") == "no":
                return _onwards(authorization.refuse(request_uri, browser, token, now))
            typed = Typed(form.get("digits", ""), form.get("number", ""), form.get("pin", ""))
            return _onwards(authorization.prove(request_uri, browser, token, typed, now))
        except WalletRefusal as refusal:
            if refusal.code != "access_denied":
                return over_page(language)
        try:
            return proof_page(authorization.again(request_uri, browser, now), request_uri, language, wrong=True)
        except WalletRefusal:
            return over_page(language)

    return router


def _onwards(target: str) -> Response:
    return Response(status_code=303, headers={"Location": target, "Cache-Control": "no-store"})


def _language(request: Request, chosen: str) -> Language:
    if chosen == "zh":
        return "zh"
    return "en" if chosen == "en" else messages.language(request.headers.get("accept-language", ""))
