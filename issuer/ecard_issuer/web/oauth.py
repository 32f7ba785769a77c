"""The token endpoint for channels, and the metadata of this authorization server (RFC 8414)."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from ecard_card.errors import InvalidInput
from ecard_issuer.assembly import Issuer
from ecard_issuer.channels.scopes import Scope
from ecard_issuer.channels.tokens import TokenRequest
from ecard_issuer.oauth.client_assertion import ASSERTION_TYPE
from ecard_issuer.oauth.dpop import MAX_PROOF
from ecard_issuer.oauth.dpop import Request as Asked
from ecard_issuer.oauth.refusals import ClientRefused
from ecard_issuer.web.channel_auth import TOKEN_PATH, certificate_of
from ecard_issuer.web.oauth_answers import NO_STORE, OAuthRoute, oauth_problems
from ecard_issuer.web.oauth_models import ServerMetadata, TokenAnswer
from ecard_issuer.web.request_parts import FORM, form_of, public_url, single_header
from ecard_keys.client_keys import EVERY_ALGORITHM

GRANT: Final = "client_credentials"
_MAX_ASSERTION: Final = 8192
_CODES: Final = (
    "bad_form header_twice header_too_long grant_not_supported scope_not_granted app_suspended app_not_admitted"
    " app_of_other_mode"
    " dpop_proof_wrong dpop_proof_used dpop_nonce_needed token_unbound clock_differs"
)
_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            FORM: {
                "schema": {
                    "type": "object",
                    "required": ["grant_type"],
                    "properties": {
                        "grant_type": {"type": "string", "enum": [GRANT]},
                        "client_assertion_type": {"type": "string", "enum": [ASSERTION_TYPE]},
                        "client_assertion": {
                            "type": "string",
                            "maxLength": _MAX_ASSERTION,
                            "description": "A JWT of at most 300 s whose `aud` is this server's `issuer`, as one text.",
                        },
                        "client_id": {"type": "string", "maxLength": 64, "description": "Needed with mutual TLS."},
                        "scope": {"type": "string", "maxLength": 1024, "description": "Default: all that is granted."},
                    },
                }
            }
        },
    },
    "parameters": [
        {
            "name": "DPoP",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "maxLength": MAX_PROOF},
            "description": "A proof (RFC 9449) by the key that the token is to be bound to.",
        }
    ],
}


def oauth_router(issuer: Issuer) -> APIRouter:
    """`/oauth/token` and `/.well-known/oauth-authorization-server`."""
    router = APIRouter(tags=["channels: tokens"])
    router.include_router(_token(issuer))
    origin = issuer.identity.issuer

    @router.get(
        "/.well-known/oauth-authorization-server",
        operation_id="get_authorization_server",
        summary="Where and how channels get tokens",
        response_model=ServerMetadata,
    )
    def get_authorization_server() -> JSONResponse:
        """RFC 8414. `issuer` is what a client assertion names as its audience."""
        methods = ["private_key_jwt"]
        with_certificates = issuer.channels.certificates.header is not None
        if with_certificates:
            methods.append("tls_client_auth")
        metadata = ServerMetadata(
            issuer=origin,
            token_endpoint=origin + TOKEN_PATH,
            token_endpoint_auth_methods_supported=methods,
            token_endpoint_auth_signing_alg_values_supported=list(EVERY_ALGORITHM),
            grant_types_supported=[GRANT],
            response_types_supported=[],
            scopes_supported=[scope.value for scope in Scope],
            dpop_signing_alg_values_supported=list(EVERY_ALGORITHM),
            tls_client_certificate_bound_access_tokens=with_certificates,
        )
        return JSONResponse(metadata.model_dump(), headers={"Cache-Control": "public, max-age=3600"})

    return router


def _token(issuer: Issuer) -> APIRouter:
    router = APIRouter(route_class=OAuthRoute)

    @router.post(
        TOKEN_PATH,
        operation_id="get_channel_token",
        summary="A token for a channel",
        response_model=TokenAnswer,
        responses={
            **oauth_problems(400, codes=_CODES),
            **oauth_problems(
                401,
                codes="client_assertion_wrong client_assertion_used client_unknown client_certificate_wrong"
                " clock_differs",
            ),
            **oauth_problems(503, codes="key_set_unreachable register_unavailable"),
        },
        openapi_extra=_FORM,
    )
    def get_channel_token(
        request: Request,
        form: dict[str, str] = Depends(form_of),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """Client credentials (RFC 6749 §4.4). The channel proves itself by `private_key_jwt` (RFC 7523) or mutual TLS
        (RFC 8705); the token is bound to a DPoP key or to the client certificate, and lives 5 minutes."""
        if form.get("grant_type") != GRANT:
            raise InvalidInput("grant_not_supported", f"grant_type is {GRANT}")
        granted = issuer.channels.tokens.grant(
            TokenRequest(
                Asked(request.method, public_url(issuer, request)),
                _assertion(form),
                form.get("client_id"),
                form.get("scope"),
                single_header(request, "dpop", MAX_PROOF),
                certificate_of(issuer, request),
            ),
            issuer.clock(),
        )
        answer = TokenAnswer(
            access_token=granted.access_token,
            token_type=granted.token_type,
            expires_in=granted.expires_in,
            scope=" ".join(granted.scopes),
        )
        return JSONResponse(answer.model_dump(), headers=NO_STORE)

    return router


def _assertion(form: dict[str, str]) -> str | None:
    if "client_secret" in form:
        raise ClientRefused("client_unknown", "there are no client secrets here: sign an assertion")
    assertion = form.get("client_assertion")
    if assertion is not None and form.get("client_assertion_type") != ASSERTION_TYPE:
        raise InvalidInput("bad_form", f"client_assertion_type is {ASSERTION_TYPE}")
    return assertion
