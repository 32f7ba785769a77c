"""The edge of the wallet endpoints: OAuth's own error bodies, forms read once, bearer and DPoP headers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute

from ecard_card import jose
from ecard_card.errors import Conflict, EcardError, InvalidInput, NotFound, RateLimited, Unavailable
from ecard_issuer.wallets.refusals import WalletRefusal
from ecard_issuer.web.oauth_answers import error_body
from ecard_issuer.web.request_parts import parse_form

#: Paths that take forms, and nothing else.
WALLET_FORMS: Final = ("/wallets/(par|token|authorize)",)
_MOST_FIELDS: Final = 32
NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
#: What browsers may read from any page: nothing here rests on a cookie.
OPEN: Final = {"Access-Control-Allow-Origin": "*"}


class WalletRoute(APIRoute):
    """A route whose refusals are `ProtocolError`s, whatever raised them."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See `APIRoute.get_route_handler`."""
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handle(request)
            except WalletRefusal as refusal:
                return _error_answer(request, refusal.status, refusal.code, refusal.detail)
            except (RateLimited, NotFound):
                raise
            except (Unavailable, Conflict) as fault:
                if isinstance(fault, Conflict) and fault.code != "issuance_in_progress":
                    raise
                return _error_answer(request, 503, "temporarily_unavailable", fault.code, {"Retry-After": "1"})
            except EcardError as refusal:
                return _error_answer(request, 400, "invalid_request", refusal.code)

        return answered


def _error_answer(
    request: Request, status: int, error: str, detail: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    extra = {**NO_STORE, **OPEN, **(headers or {})}
    if status == 401 and error in ("invalid_token", "invalid_dpop_proof"):
        scheme = "DPoP" if "dpop" in request.headers else "Bearer"
        extra["WWW-Authenticate"] = f'{scheme} error="{error}"' + (', algs="ES256"' if scheme == "DPoP" else "")
    return JSONResponse(error_body(error, detail), status, headers=extra)


async def form_of(request: Request) -> dict[str, str]:
    """The parameters of a form, each at most once (RFC 6749 §3.2). Raises `WalletRefusal` `invalid_request`."""
    return read_form(await request.body(), request.headers.get("content-type", ""))


def read_form(body: bytes, content_type: str) -> dict[str, str]:
    """As `form_of`."""
    try:
        return parse_form(body, content_type, _MOST_FIELDS)
    except InvalidInput as refused:
        raise WalletRefusal("invalid_request", refused.detail) from None


async def json_of(request: Request) -> dict[str, object]:
    """The members of a JSON object. Raises `WalletRefusal` `invalid_credential_request`."""
    body = await request.body()
    try:
        value = jose.parse_json(body, max_depth=4)
    except InvalidInput:
        value = None
    if not isinstance(value, dict):
        raise WalletRefusal("invalid_credential_request", "the body is no JSON object")
    return value


async def dpop_of(request: Request) -> str | None:
    """The one DPoP header, if there is one. Raises `WalletRefusal` `invalid_dpop_proof` for several."""
    given = request.headers.getlist("dpop")
    if len(given) > 1:
        raise WalletRefusal("invalid_dpop_proof", "more than one DPoP header (RFC 9449 §4.3)")
    return given[0] if given else None


def token_of(request: Request) -> tuple[str, bool]:
    """The access token, and whether it came as one bound to a DPoP key. Raises `WalletRefusal` `invalid_token`."""
    given = request.headers.getlist("authorization")
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    if scheme.lower() not in ("bearer", "dpop") or not token:
        raise WalletRefusal("invalid_token", "an access token is needed", status=401)
    return token, scheme.lower() == "dpop"
