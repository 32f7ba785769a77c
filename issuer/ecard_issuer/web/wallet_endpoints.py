"""The endpoints that wallets call (OpenID4VCI 1.0): pushed request, token, nonce, credential and what follows it."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import JSONResponse, Response

from ecard_issuer.assembly import Issuer
from ecard_issuer.wallets.credential_endpoint import INTERVAL, Handed
from ecard_issuer.wallets.offers import CONFIGURATION, PRE_AUTHORIZED
from ecard_issuer.wallets.refusals import WalletRefusal
from ecard_issuer.wallets.values import BATCH_SIZE, SessionRow, WalletEvent
from ecard_issuer.web.oauth_answers import ProtocolError
from ecard_issuer.web.request_parts import FORM
from ecard_issuer.web.wallet_edge import (
    NO_STORE,
    OPEN,
    WalletRoute,
    dpop_of,
    form_of,
    json_of,
    token_of,
)
from ecard_issuer.web.wallet_models import (
    DeferredAnswer,
    NonceAnswer,
    PushedAnswer,
    WalletCredentialsAnswer,
    WalletTokenAnswer,
)
from ecard_verifier.web.base import problems

_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 8192}
_NEVER: Final = {**NO_STORE, **OPEN}
Form = Annotated[dict[str, str], Depends(form_of)]
Json = Annotated[dict[str, object], Depends(json_of)]
Dpop = Annotated[str | None, Depends(dpop_of)]


def wallet_endpoints_router(issuer: Issuer) -> APIRouter:
    """The routes under `/wallets`, but for the page. Their errors have OAuth's form."""
    router = APIRouter(prefix="/wallets", tags=["wallets"], route_class=WalletRoute)
    wallets, sender = issuer.wallets, issuer.wallets.sender

    def session_at(endpoint: str, request: Request, proof: str | None) -> SessionRow:
        """The session behind the access token of a request to that endpoint. Called by the routes themselves: as a
        dependency it would take a thread of its own."""
        (token, bound), now = token_of(request), issuer.clock()
        if proof is not None and not bound:
            raise WalletRefusal("invalid_token", "a DPoP proof goes with a token of type DPoP", status=401)
        jkt = sender.key_for_token(proof, endpoint, token, now) if bound else None
        return wallets.sessions.behind(token, jkt, now)

    @router.get(
        "/offers/{reference}",
        operation_id="get_wallet_offer",
        summary="A credential offer by reference",
        responses=problems(404, 422, 503, codes={404: "offer_unknown"}),
    )
    def get_offer(
        reference: Annotated[str, Path(max_length=128, description="As in the offer's link.")],
    ) -> JSONResponse:
        """Again and again until it is taken up or over. The address itself is a secret."""
        return JSONResponse(wallets.offers.show(reference, issuer.clock()), headers=_NEVER)

    @router.post(
        "/par",
        operation_id="push_wallet_request",
        summary="Push an authorization request (RFC 9126)",
        status_code=201,
        response_model=PushedAnswer,
        responses=_refusals("invalid_request invalid_client invalid_scope invalid_authorization_details"),
        openapi_extra=_form(
            {
                "response_type": {"const": "code"},
                "client_id": _TEXT,
                "redirect_uri": _TEXT,
                "code_challenge": _TEXT,
                "code_challenge_method": {"const": "S256"},
            },
            {"state": _TEXT, "scope": {"const": CONFIGURATION}, "authorization_details": _TEXT, "issuer_state": _TEXT},
        ),
    )
    def push(form: Form, proof: Dpop) -> JSONResponse:
        """Of a registered wallet. The person goes to `/wallets/authorize` with the `request_uri`."""
        now = issuer.clock()
        answer = wallets.authorization.push(form, sender.key_of(proof, "par", now), now)
        return JSONResponse(answer, 201, headers=_NEVER)

    @router.post(
        "/token",
        operation_id="get_wallet_token",
        summary="Redeem a code for an access token",
        response_model=WalletTokenAnswer,
        responses=_refusals("invalid_request invalid_grant unsupported_grant_type invalid_dpop_proof"),
        openapi_extra=_form(
            {"grant_type": {"enum": [PRE_AUTHORIZED, "authorization_code"]}},
            {
                name: _TEXT
                for name in ("pre-authorized_code", "tx_code", "code", "code_verifier", "redirect_uri", "client_id")
            },
        ),
    )
    def token(form: Form, proof: Dpop) -> JSONResponse:
        """A pre-authorized code with its `tx_code`, of which five may be wrong; or an authorization code with
        `code_verifier` and a DPoP proof."""
        now = issuer.clock()
        answer = wallets.tokens.redeem(form, sender.key_of(proof, "token", now), now)
        return JSONResponse(answer, headers=_NEVER)

    @router.post(
        "/nonce",
        operation_id="get_wallet_nonce",
        summary="A nonce for proofs of possession",
        response_model=NonceAnswer,
        responses=problems(503),
    )
    async def nonce() -> JSONResponse:
        """Good for one credential request, for five minutes."""
        return JSONResponse({"c_nonce": wallets.nonces.make(issuer.clock())}, headers=_NEVER)

    @router.post(
        "/credential",
        operation_id="get_wallet_credentials",
        summary="Issue to the keys that the proofs show",
        response_model=WalletCredentialsAnswer,
        responses={
            202: {"model": DeferredAnswer, "description": "A person reviews it; ask at `/wallets/deferred`"},
            **_refusals(
                "invalid_credential_request unknown_credential_configuration unknown_credential_identifier"
                " invalid_proof invalid_nonce credential_request_denied invalid_encryption_parameters",
                token=True,
            ),
        },
        openapi_extra=_json(
            {
                "proofs": {
                    "type": "object",
                    "required": ["jwt"],
                    "additionalProperties": False,
                    "properties": {"jwt": {"type": "array", "minItems": 1, "maxItems": BATCH_SIZE, "items": _TEXT}},
                }
            },
            {"credential_configuration_id": {"const": CONFIGURATION}, "credential_identifier": _TEXT},
        ),
    )
    def credential(request: Request, body: Json, proof: Dpop) -> JSONResponse:
        """One SD-JWT VC for each key, in the order of the proofs. Sent again after a lost answer, it gives the same."""
        session = session_at("credential", request, proof)
        return _handed(wallets.credentials.request(session, body, issuer.clock()))

    @router.post(
        "/deferred",
        operation_id="get_deferred_wallet_credentials",
        summary="The outcome of a request that was reviewed",
        response_model=WalletCredentialsAnswer,
        responses={
            202: {"model": DeferredAnswer, "description": "Not decided yet"},
            **_refusals("invalid_transaction_id credential_request_denied invalid_credential_request", token=True),
        },
        openapi_extra=_json({"transaction_id": _TEXT}, {}),
    )
    def deferred(request: Request, body: Json, proof: Dpop) -> JSONResponse:
        """With the access token of the request itself, which is good until the review's end."""
        session = session_at("deferred", request, proof)
        return _handed(wallets.credentials.deferred(session, body, issuer.clock()))

    @router.post(
        "/notification",
        operation_id="notify_of_wallet_credentials",
        summary="What became of the credentials at the wallet",
        status_code=204,
        responses=_refusals("invalid_notification_id invalid_notification_request", token=True),
        openapi_extra=_json(
            {"notification_id": _TEXT, "event": {"enum": [event.value for event in WalletEvent]}},
            {"event_description": {"type": "string", "maxLength": 1024}},
        ),
    )
    def notification(request: Request, body: Json, proof: Dpop) -> Response:
        """As often as it likes. Credentials that a wallet deleted end."""
        session = session_at("notification", request, proof)
        wallets.credentials.notified(session, body, issuer.clock())
        return Response(status_code=204, headers=_NEVER)

    return router


def _handed(handed: Handed) -> JSONResponse:
    if handed.credentials is None:
        return JSONResponse({"transaction_id": handed.batch_id, "interval": INTERVAL}, 202, headers=_NEVER)
    credentials = [{"credential": credential} for credential in handed.credentials]
    return JSONResponse({"credentials": credentials, "notification_id": handed.batch_id}, headers=_NEVER)


def _refusals(errors: str, *, token: bool = False) -> dict[int | str, dict[str, Any]]:
    named = ", ".join(f"`{error}`" for error in errors.split())
    unknown = "`invalid_token`, `invalid_dpop_proof`" if token else "`invalid_client`"
    return {
        400: {"model": ProtocolError, "description": f"Refused: {named}"},
        401: {"model": ProtocolError, "description": f"Not known: {unknown}"},
        503: {"model": ProtocolError, "description": "Our fault, try again: `temporarily_unavailable`"},
        **problems(413, 415, 422),
    }


def _form(required: dict[str, Any], optional: dict[str, Any]) -> dict[str, Any]:
    return _body(FORM, required, {**optional, "dpop_jkt": _TEXT} if "response_type" in required else optional)


def _json(required: dict[str, Any], optional: dict[str, Any]) -> dict[str, Any]:
    return _body("application/json", required, optional)


def _body(media_type: str, required: dict[str, Any], optional: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "required": list(required), "properties": {**required, **optional}}
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}
