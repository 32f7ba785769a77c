"""The OpenID provider's endpoints for the servers of sites: tokens, user information, keys, and its own description.

Refusals have OAuth's own form.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from ecard_card.errors import EcardError, InvalidInput
from ecard_issuer.assembly import Issuer
from ecard_issuer.login.authorize import MAX_PARAMETERS, parameters
from ecard_issuer.login.metadata import provider_metadata
from ecard_issuer.login.refusal import OauthRefusal, UnsafeRequest
from ecard_issuer.web.login_models import LoginKeys, LoginTokens, ProviderMetadata, UserInfo
from ecard_issuer.web.oauth_answers import ProtocolError, error_body
from ecard_issuer.web.request_parts import form_body, parse_form
from ecard_verifier.web.base import problems

_PUBLIC: Final = {"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}
_TEXT: Final = {"type": "string", "maxLength": 2048}


async def _form_of(request: Request) -> dict[str, str] | None:
    """The form; None where the body is none."""
    try:
        return parse_form(await request.body(), request.headers.get("content-type", ""), MAX_PARAMETERS)
    except InvalidInput:
        return None


Form = Annotated[dict[str, str] | None, Depends(_form_of)]


def _refusals(status: int, errors: str) -> dict[int | str, dict[str, Any]]:
    named = ", ".join(f"`{error}`" for error in errors.split())
    return {status: {"model": ProtocolError, "description": f"Refused: {named}"}}


_FAULT: Final = _refusals(503, "temporarily_unavailable")


def login_endpoints_router(issuer: Issuer) -> APIRouter:
    """`/login/token`, `/login/userinfo`, `/login/jwks` and the discovery document."""
    router = APIRouter(tags=["login"])
    tokens, clients, signer, clock = issuer.login.tokens, issuer.login.clients, issuer.login.signer, issuer.clock
    origin = issuer.identity.issuer

    @router.get(
        "/.well-known/openid-configuration",
        operation_id="get_openid_configuration",
        summary="What the provider of logins says of itself",
        response_model=ProviderMetadata,
    )
    def openid_configuration() -> JSONResponse:
        """OpenID Connect Discovery 1.0 §4."""
        return JSONResponse(provider_metadata(origin), headers=_PUBLIC)

    @router.get("/login/jwks", operation_id="get_login_keys", summary="The keys of ID tokens", response_model=LoginKeys)
    def login_keys() -> JSONResponse:
        """RFC 7517. A key that is to sign soon stands here already."""
        return JSONResponse(signer.jwks(), headers=_PUBLIC)

    @router.post(
        "/login/token",
        operation_id="get_login_token",
        summary="A code for an ID token and an access token",
        response_model=LoginTokens,
        responses={
            **_refusals(400, "invalid_request invalid_grant unsupported_grant_type"),
            **_refusals(401, "invalid_client"),
            **_FAULT,
            **problems(413, 415, 422),
        },
        openapi_extra=form_body(
            {
                "grant_type": {"const": "authorization_code"},
                **dict.fromkeys(("code", "redirect_uri", "code_verifier", "client_id"), _TEXT),
                **dict.fromkeys(("client_assertion", "client_assertion_type"), _TEXT),
            },
            required=("grant_type", "code", "redirect_uri", "code_verifier"),
        ),
    )
    def login_token(request: Request, form: Form) -> JSONResponse:
        """The token endpoint (RFC 6749 §3.2, OpenID Connect Core 1.0 §3.1.3)."""
        now = clock()
        header = request.headers.get("authorization")
        try:
            given = _parameters(form)
            client_id = clients.authenticate(given, header, now)
            if given.get("grant_type") != "authorization_code":
                raise OauthRefusal("unsupported_grant_type", "only authorization_code is offered")
            return JSONResponse(tokens.redeem(client_id, given, now), headers={"Pragma": "no-cache"})
        except OauthRefusal as refusal:
            return _refused(refusal, "Basic" if header is not None else None)
        except EcardError as error:
            return _failed(error)

    told = {**_refusals(401, "invalid_token"), **_FAULT}

    @router.get(
        "/login/userinfo",
        operation_id="get_login_userinfo",
        summary="What the site may know of who logged in",
        response_model=UserInfo,
        responses=told,
    )
    def login_userinfo(request: Request) -> JSONResponse:
        """OpenID Connect Core 1.0 §5.3, with the access token as `Authorization: Bearer …`. Of a card that was lost
        meanwhile nothing is told."""
        return _userinfo(request, clock())

    @router.post(
        "/login/userinfo",
        operation_id="get_login_userinfo_by_post",
        summary="The same by POST",
        response_model=UserInfo,
        responses={**told, **problems(413, 415)},
    )
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


def _parameters(form: dict[str, str] | None) -> dict[str, str]:
    if form is None:
        raise OauthRefusal("invalid_request", "want a form, each parameter once")
    try:
        return parameters(form.items())
    except UnsafeRequest as error:
        raise OauthRefusal("invalid_request", error.reason) from None


def _refused(refusal: OauthRefusal, challenge: str | None) -> JSONResponse:
    headers = {"WWW-Authenticate": challenge} if refusal.status == 401 and challenge is not None else {}
    return JSONResponse(error_body(refusal.error, refusal.description), refusal.status, headers=headers)


def _failed(error: EcardError) -> JSONResponse:
    """What is our own fault, and may be tried again."""
    return JSONResponse(error_body("temporarily_unavailable", error.code), 503, headers={"Retry-After": "1"})
