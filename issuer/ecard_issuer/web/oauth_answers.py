"""OAuth endpoints answer errors in their own form: RFC 6749 §5.2, with our stable `code` beside."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from ecard_card.errors import EcardError, InvalidInput, NotAuthenticated, Unavailable
from ecard_issuer.oauth.refusals import ClientRefused, NonceNeeded, ProofRefused, TokenRefused
from ecard_verifier.web.problems import request_id

NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_NOT_SAID: Final = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")
#: The OAuth error of a code, where its class does not say it.
_OF_CODE: Final[Mapping[str, str]] = {
    "scope_not_granted": "invalid_scope",
    "app_suspended": "unauthorized_client",
    "app_not_admitted": "unauthorized_client",
    "app_of_other_mode": "unauthorized_client",
    "grant_not_supported": "unsupported_grant_type",
}


class OAuthError(BaseModel):
    """RFC 6749 §5.2."""

    error: str = Field(examples=["invalid_client"])
    error_description: str = Field(description="One English sentence for a developer.")
    code: str = Field(description="What happened, more exactly. Codes are added, never renamed.")
    request_id: str = Field(description="Also in the header `X-Request-Id`.")


class ProtocolError(BaseModel):
    """An error in OAuth's own form (RFC 6749 §5.2), as wallets and the servers of sites read it."""

    error: str = Field(description="Of RFC 6749, RFC 6750, RFC 9449, OpenID Connect or OpenID4VCI 1.0.")
    error_description: str = Field("", description="For a developer. Repeats nothing that was sent.")


def error_body(error: str, description: str) -> dict[str, str]:
    """The body of a `ProtocolError`."""
    return {"error": error, "error_description": description}


def oauth_error(request: Request, error: EcardError, of_code: Mapping[str, str] = _OF_CODE) -> JSONResponse:
    """The answer to an error of ours; `of_code` says the OAuth error of codes whose class does not."""
    name = of_code.get(error.code) or _name(error)
    status = 401 if name in ("invalid_client", "invalid_token") else 503 if isinstance(error, Unavailable) else 400
    headers = dict(NO_STORE)
    if isinstance(error, NonceNeeded):
        headers["DPoP-Nonce"] = error.nonce
    if status == 503:
        headers["Retry-After"] = "1"
    body = OAuthError(
        error=name,
        error_description=_NOT_SAID.sub(" ", error.detail),
        code=error.code,
        request_id=request_id(request.scope),
    )
    return JSONResponse(body.model_dump(), status, headers=headers)


def _name(error: EcardError) -> str:
    if isinstance(error, NonceNeeded):
        return "use_dpop_nonce"
    if isinstance(error, ProofRefused):
        return "invalid_dpop_proof"
    if isinstance(error, TokenRefused):
        return "invalid_token"
    if isinstance(error, ClientRefused | NotAuthenticated):
        return "invalid_client"
    return "temporarily_unavailable" if isinstance(error, Unavailable) else "invalid_request"


class OAuthRoute(APIRoute):
    """A route whose errors have OAuth's form, those of validation too."""

    #: The OAuth error of codes whose class does not say it.
    of_code: Mapping[str, str] = _OF_CODE

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, with our errors caught around it."""
        handler = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                return await handler(request)
            except EcardError as error:
                return oauth_error(request, error, self.of_code)
            except RequestValidationError:
                return oauth_error(request, InvalidInput("invalid_request", "a member is missing or wrong"))

        return guarded


def oauth_problems(*statuses: int, codes: str = "") -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: these statuses carry an OAuth error, with one of `codes`, separated by spaces."""
    named = ", ".join(f"`{code}`" for code in codes.split())
    return {status: {"model": OAuthError, "description": f"RFC 6749 §5.2. {named}"} for status in statuses}
