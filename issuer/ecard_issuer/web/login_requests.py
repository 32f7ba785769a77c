"""Routes by which a channel's app takes part in a login: it scans, its holder chooses the number and confirms."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse

from ecard_issuer.assembly import Issuer
from ecard_issuer.channels.scopes import Scope
from ecard_issuer.channels.tokens import ChannelCaller
from ecard_issuer.pins.secret import Secret
from ecard_issuer.web.channel_auth import channel_problems, needs_scope, require_channel
from ecard_issuer.web.conventions.idempotency import idempotent
from ecard_issuer.web.login_requests_models import ConfirmBody, LoginStateAnswer, ScanBody, ScannedAnswer
from ecard_verifier.verdict import rfc3339

RequestId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="The `request_id`.")]
_STATUSES: Final = (400, 401, 403, 404, 409, 413, 415, 422, 429, 503)
_IDEMPOTENT: Final = "idempotency_key_missing bad_idempotency_key"
_CARD: Final = (
    "login_site_unknown ecard_ended ecard_not_usable service_region_differs level_too_low holder_dead guardian_needed"
    " link_released mandate_out_of_scope idempotency_key_reused"
)


def login_requests_router(issuer: Issuer) -> APIRouter:
    """The routes under `/v1/login-requests`."""
    router = APIRouter(prefix="/v1/login-requests", tags=["login"])
    desk, clock = issuer.login.desk, issuer.clock
    channel = require_channel(issuer, Scope.LOGIN)
    signed = require_channel(issuer, Scope.LOGIN, signed=True)

    @router.post(
        "/scan",
        operation_id="scan_login",
        summary="A person scanned the QR code of a login page",
        status_code=201,
        response_model=ScannedAnswer,
        responses=channel_problems(
            *_STATUSES,
            codes={
                400: _IDEMPOTENT,
                404: "link_unknown login_qr_unknown",
                409: "login_qr_used idempotency_in_flight",
                422: f"login_qr_expired {_CARD}",
                503: "signer_unavailable signing_quota_spent",
            },
        ),
        openapi_extra=needs_scope(Scope.LOGIN),
        dependencies=[Depends(idempotent(issuer, channel))],
    )
    def scan_login(
        body: ScanBody,
        caller: ChannelCaller = Depends(channel),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """A code is good for one scan of one phone: whoever scans it after that ends the login for both."""
        scanned = desk.scan(caller.app_id, body.link_id, body.scanned, clock())
        answer = {
            "request_id": scanned.request_id,
            "signed": scanned.signed,
            "expires_at": rfc3339(scanned.until),
        }
        return JSONResponse(answer, 201)

    @router.post(
        "/{request_id}/confirm",
        operation_id="confirm_login",
        summary="The holder agreed, and chose a number",
        response_model=LoginStateAnswer,
        responses=channel_problems(
            *_STATUSES,
            signed=True,
            codes={
                400: f"{_IDEMPOTENT} bad_login_proof bad_jws wrong_type algorithm_not_allowed secret_not_six_digits",
                403: "secret_guesses_used_up",
                404: "login_request_unknown link_unknown",
                409: "login_request_ended idempotency_in_flight",
                422: "login_request_expired login_number_wrong login_proof_missing login_proof_wrong"
                " login_proof_too_weak suspended ended expired ecard_password_not_set ecard_password_wrong"
                f" ecard_password_locked {_CARD}",
                503: "secrets_busy",
            },
        ),
        openapi_extra=needs_scope(Scope.LOGIN, signed=True),
        dependencies=[Depends(idempotent(issuer, signed))],
    )
    def confirm_login(
        request_id: RequestId,
        body: ConfirmBody,
        caller: ChannelCaller = Depends(signed),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """One wrong number ends the login. With a proof that does not hold it goes on, as long as its time lasts."""
        password = None if body.password is None else Secret.typed(body.password)
        state = desk.confirm(caller.caller, request_id, body.number, clock(), proof=body.proof, password=password)
        return JSONResponse({"request_id": request_id, "state": state.value})

    @router.post(
        "/{request_id}/deny",
        operation_id="deny_login",
        summary="The holder did not agree",
        response_model=LoginStateAnswer,
        responses=channel_problems(
            *_STATUSES,
            codes={
                400: _IDEMPOTENT,
                404: "login_request_unknown",
                409: "login_request_ended idempotency_in_flight",
                422: "idempotency_key_reused",
            },
        ),
        openapi_extra=needs_scope(Scope.LOGIN),
        dependencies=[Depends(idempotent(issuer, channel))],
    )
    def deny_login(
        request_id: RequestId,
        caller: ChannelCaller = Depends(channel),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """Ends the login at the desktop too. Again changes nothing."""
        return JSONResponse({"request_id": request_id, "state": desk.deny(caller.caller, request_id, clock()).value})

    return router
