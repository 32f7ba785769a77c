"""Who is calling, for channels: an access token, the proof that it is theirs, and where a call changes something the
request's own signature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fastapi import Depends, FastAPI, Request, Security
from fastapi.openapi.models import OAuthFlowClientCredentials, OAuthFlows
from fastapi.responses import JSONResponse
from fastapi.security import OAuth2

from ecard_card.errors import NotAuthenticated
from ecard_issuer.assembly import Issuer
from ecard_issuer.channels.scopes import Scope
from ecard_issuer.channels.tokens import ChannelCaller, ResourceRequest
from ecard_issuer.oauth.access_token import MAX_TOKEN
from ecard_issuer.oauth.dpop import MAX_PROOF
from ecard_issuer.oauth.dpop import Request as Asked
from ecard_issuer.oauth.refusals import NonceNeeded, ProofRefused, ScopeMissing
from ecard_issuer.web.conventions.rates import count_channel
from ecard_issuer.web.request_parts import public_target, public_url, single_header
from ecard_keys.client_keys import EVERY_ALGORITHM
from ecard_keys.http_signature import SignedRequest
from ecard_verifier.web.base import problems
from ecard_verifier.web.problems import problem

TOKEN_PATH: Final = "/oauth/token"  # noqa: S105 - where tokens are asked for
_ABOUT: Final = {
    Scope.CLAIM: "Identify a person, claim their e-card, open level 2, release",
    Scope.SHOW: "Codes and tickets",
    Scope.READ: "The state of its own links, and events",
    Scope.LOSS: "Report and release a temporary loss",
    Scope.FAMILY: "Show relatives' e-cards",
    Scope.OFFER: "Offers to wallets",
    Scope.LOGIN: "Confirm scan-to-login for its links",
}
_SCHEME: Final = OAuth2(
    flows=OAuthFlows(
        clientCredentials=OAuthFlowClientCredentials(
            tokenUrl=TOKEN_PATH, scopes={scope.value: text for scope, text in _ABOUT.items()}
        )
    ),
    scheme_name="channel",
    description="A token of 5 minutes, bound to a DPoP key or a client certificate.",
    auto_error=False,
)
_TOKEN_CODES: Final = "access_token_wrong dpop_proof_wrong dpop_proof_used dpop_nonce_needed clock_differs"  # noqa: S105
_SIGNED_CODES: Final = "http_signature_missing http_signature_wrong http_signature_used content_digest_wrong"


class ChannelRefused(NotAuthenticated):
    """A `NotAuthenticated` of a channel's call, answered with a challenge of its own."""

    def __init__(self, error: NotAuthenticated) -> None:
        super().__init__(error.code, error.detail)
        self.error = error


def require_channel(issuer: Issuer, *scopes: Scope, signed: bool = False) -> Callable[..., ChannelCaller]:
    """A FastAPI dependency: the channel that calls, if its token has all of `scopes`. `signed` calls also carry an
    HTTP Message Signature (RFC 9421) by a key that the channel registered.

    Raises `ChannelRefused` `not_authenticated` and with the codes of `ChannelTokens.judge`, `ScopeMissing`
    `scope_missing`, `NotAllowed` `app_suspended`, `InvalidInput` `header_twice`, `header_too_long`, `RateLimited`
    `rate_limited` beyond the channel's quota.
    """
    scheme = Security(_SCHEME, scopes=[scope.value for scope in scopes])

    def channel(
        request: Request, body: bytes = Depends(_body if signed else _no_body), _: Any = scheme
    ) -> ChannelCaller:
        try:
            message = _signed(issuer, request, body) if signed else None
            caller = issuer.channels.tokens.judge(_asked(issuer, request), scopes, issuer.clock(), signed=message)
        except NotAuthenticated as error:
            raise ChannelRefused(error) from None
        count_channel(issuer, request, caller.app_id, caller.quotas.calls_per_minute)
        return caller

    return channel


def needs_scope(*scopes: Scope, signed: bool = False) -> dict[str, Any]:
    """For a route's `openapi_extra`: what `require_channel` asks for, as `x-ecard-scope` and `x-ecard-signed`."""
    return {"x-ecard-scope": sorted(scope.value for scope in scopes), **({"x-ecard-signed": True} if signed else {})}


def channel_problems(
    *statuses: int, signed: bool = False, codes: dict[int, str] | None = None
) -> dict[int | str, dict[str, Any]]:
    """`problems` for a route of channels: with the codes of their authentication besides `codes`."""
    own = {
        400: "header_twice header_too_long",
        401: _TOKEN_CODES + (f" {_SIGNED_CODES}" if signed else ""),
        403: "scope_missing app_suspended",
        503: "key_set_unreachable" if signed else "",
    }
    named = {status: f"{own.get(status, '')} {(codes or {}).get(status, '')}" for status in statuses}
    return problems(*statuses, codes=named)


def challenge_channels(app: FastAPI) -> None:
    """Answer a channel's refusals with the challenge that RFC 9449 §7.1 wants."""
    app.add_exception_handler(ChannelRefused, _refused)
    app.add_exception_handler(ScopeMissing, _scope_missing)


def certificate_of(issuer: Issuer, request: Request) -> str | None:
    """The thumbprint of the client's certificate, where a trusted proxy passed one on."""
    rule = issuer.channels.certificates
    if rule.header is None:
        return None
    peer = request.client.host if request.client is not None else None
    return rule.thumbprint(peer, request.headers.getlist(rule.header), issuer.clock())


def _asked(issuer: Issuer, request: Request) -> ResourceRequest:
    scheme, _, token = (single_header(request, "authorization", MAX_TOKEN + 16) or "").partition(" ")
    if not token:
        raise NotAuthenticated("not_authenticated", "an access token is needed: Authorization: DPoP")
    proof = single_header(request, "dpop", MAX_PROOF)
    asked = Asked(request.method, public_url(issuer, request))
    return ResourceRequest(asked, scheme.lower(), token.strip(" "), proof, certificate_of(issuer, request))


def _signed(issuer: Issuer, request: Request, body: bytes) -> SignedRequest:
    lines = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.scope["headers"])
    return SignedRequest(request.method, public_target(issuer, request), lines, body)


async def _body(request: Request) -> bytes:
    return await request.body()


async def _no_body() -> bytes:
    return b""


def _refused(request: Request, refused: Exception) -> JSONResponse:
    if not isinstance(refused, ChannelRefused):
        raise refused
    error = refused.error
    name = "invalid_token"
    headers = {}
    if isinstance(error, NonceNeeded):
        name, headers["DPoP-Nonce"] = "use_dpop_nonce", error.nonce
    elif isinstance(error, ProofRefused):
        name = "invalid_dpop_proof"
    bare = error.code == "not_authenticated"
    headers["WWW-Authenticate"] = _challenge("" if bare else f'error="{name}", ')
    return problem(request.scope, 401, error.code, error.detail, headers)


def _scope_missing(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, ScopeMissing):
        raise error
    headers = {"WWW-Authenticate": _challenge(f'error="insufficient_scope", scope="{error.scopes}", ')}
    return problem(request.scope, 403, error.code, error.detail, headers)


def _challenge(said: str) -> str:
    return f'DPoP {said}algs="{" ".join(EVERY_ALGORITHM)}"'
