"""Routes of payments at counters: a merchant asks, an app shows and agrees, the payer redeems."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse

from ecard_card.acting import IN_PERSON
from ecard_issuer.assembly import Issuer
from ecard_issuer.channels.scopes import Scope
from ecard_issuer.channels.tokens import ChannelCaller
from ecard_issuer.pins.secret import Secret
from ecard_issuer.settlements.answers import payment_answer, shown_payment_answer
from ecard_issuer.web.channel_auth import channel_problems, needs_scope, require_channel
from ecard_issuer.web.conventions.idempotency import idempotent, with_once
from ecard_issuer.web.links import LinkId
from ecard_issuer.web.relying import CHECKING, ServiceId
from ecard_issuer.web.settlements_models import (
    AgreeToPayment,
    NewPayment,
    PaymentAnswer,
    PaymentConsent,
    Redemption,
    ScannedPayment,
    ShownPaymentAnswer,
)
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

TransactionId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="The `transaction_id`.")]
_CHANGE: Final = (400, 401, 403, 404, 409, 413, 415, 422, 503)
_UNKNOWN: Final = "relying_service_unknown transaction_unknown"
_OPEN: Final = "challenge_expired payment_voided payment_authorized"
_PAYER: Final = "payer_unknown"
_SCANNED: Final = "unreadable_code code_damaged bad_challenge"


def settlements_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """Routes under `/v1/relying/{service_id}` for merchants and payers, under `/v1/links/{link_id}` for apps."""
    router = APIRouter(prefix="/v1", tags=["settlements"])
    router.include_router(_merchant(issuer, authenticate))
    router.include_router(_payer(issuer, authenticate))
    router.include_router(_app(issuer))
    return router


def _merchant(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    relying = require_role(authenticate, Role.RELYING)
    router, desk = APIRouter(), issuer.settling.desk

    @router.post(
        "/relying/{service_id}/transactions",
        operation_id="ask_payment",
        summary="Ask for a payment, and get what the counter shows",
        status_code=201,
        response_model=PaymentAnswer,
        responses=problems(
            *_CHANGE,
            codes={
                400: "bad_challenge",
                404: "relying_service_unknown",
                409: "relying_request_differs",
                422: "relying_service_not_yet relying_service_ended line_not_served business_type_not_permitted"
                " payer_unknown",
            },
        ),
        openapi_extra=needs(Role.RELYING),
    )
    def ask_payment(
        service_id: ServiceId,
        body: NewPayment,
        caller: Caller = Depends(relying),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """The holder has five minutes. The same request again gives the same payment."""
        return JSONResponse(payment_answer(desk.ask(service_id, caller, body.to_ask(), issuer.clock())), 201)

    @router.get(
        "/relying/{service_id}/transactions/{transaction_id}",
        operation_id="get_payment",
        summary="What became of a payment",
        response_model=PaymentAnswer,
        responses=problems(401, 403, 404, 422, 503, codes={404: _UNKNOWN}),
        openapi_extra=needs(Role.RELYING),
    )
    def get_payment(
        service_id: ServiceId,
        transaction_id: TransactionId,
        caller: Caller = Depends(relying),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """For the merchant that asked; with the authorization once the holder agreed."""
        return JSONResponse(payment_answer(desk.of_merchant(service_id, caller, transaction_id)))

    @router.post(
        "/relying/{service_id}/transactions/{transaction_id}/answer",
        operation_id="answer_payment",
        summary="Hand in the code by which the holder's device agreed",
        response_model=PaymentAnswer,
        responses=problems(
            *_CHANGE,
            codes=CHECKING | {404: _UNKNOWN, 422: f"{CHECKING[422]} {_OPEN} {_PAYER} challenge_unanswered wrong_nonce"},
        ),
        openapi_extra=needs(Role.RELYING),
    )
    def answer_payment(
        service_id: ServiceId,
        transaction_id: TransactionId,
        body: PaymentConsent,
        caller: Caller = Depends(relying),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """The code has to answer this payment's challenge; any other one is refused, and so is this one elsewhere."""
        acting = IN_PERSON if body.acting is None else body.acting.to_acting()
        done = desk.answer(
            service_id, caller, transaction_id, body.code, issuer.clock(), acting=acting, pin=body.card_pin
        )
        return JSONResponse(payment_answer(done))

    return router


def _payer(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    relying = require_role(authenticate, Role.RELYING)
    router, desk = APIRouter(), issuer.settling.desk

    @router.post(
        "/relying/{service_id}/redemptions",
        operation_id="redeem_settlement",
        summary="Take an authorization, once",
        response_model=PaymentAnswer,
        responses=problems(
            *_CHANGE,
            codes={
                400: "bad_settlement",
                404: _UNKNOWN,
                409: "settlement_redeemed settlement_voided",
                422: "settlement_expired",
            },
        ),
        openapi_extra=needs(Role.RELYING),
    )
    def redeem_settlement(
        service_id: ServiceId,
        body: Redemption,
        caller: Caller = Depends(relying),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """For the payer that it names. Verify it first (docs/formats/settlement.md); pay once this says `redeemed`."""
        done = desk.redeem(service_id, caller, body.authorization, body.request_id, issuer.clock())
        return JSONResponse(payment_answer(done))

    @router.post(
        "/relying/{service_id}/transactions/{transaction_id}/void",
        operation_id="void_payment",
        summary="Take a payment back",
        response_model=PaymentAnswer,
        responses=problems(*(401, 403, 404, 409, 422, 503), codes={404: _UNKNOWN, 409: "settlement_redeemed"}),
        openapi_extra=needs(Role.RELYING),
    )
    def void_payment(
        service_id: ServiceId,
        transaction_id: TransactionId,
        caller: Caller = Depends(relying),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """Its merchant until it is redeemed, its payer at any time. Again changes nothing."""
        return JSONResponse(payment_answer(desk.void(service_id, caller, transaction_id, issuer.clock())))

    return router


def _app(issuer: Issuer) -> APIRouter:
    reader = require_channel(issuer, Scope.SHOW)
    signed = require_channel(issuer, Scope.SHOW, signed=True)
    router, desk, links = APIRouter(), issuer.settling.desk, issuer.links
    used = "link_released ecard_ended ecard_not_usable"

    @router.post(
        "/links/{link_id}/payments/show",
        operation_id="show_payment",
        summary="What a counter's code asks the holder to pay",
        response_model=ShownPaymentAnswer,
        responses=channel_problems(
            *_CHANGE,
            codes={400: _SCANNED, 404: "link_unknown transaction_unknown", 422: f"{used} {_OPEN}"},
        ),
        openapi_extra=needs_scope(Scope.SHOW),
    )
    def show_payment(
        link_id: LinkId,
        body: ScannedPayment,
        caller: ChannelCaller = Depends(reader),  # noqa: B008
    ) -> JSONResponse:
        """Show it to the holder as it stands here, and ask. A device key may then answer the challenge by itself."""
        link = links.get(caller.app_id, link_id)
        return JSONResponse(shown_payment_answer(desk.shown(link, body.challenge, issuer.clock())))

    @router.post(
        "/links/{link_id}/payments",
        operation_id="agree_to_payment",
        summary="The holder agrees by the e-card password",
        response_model=ShownPaymentAnswer,
        responses=channel_problems(
            *_CHANGE,
            signed=True,
            codes=with_once(
                {
                    400: f"{_SCANNED} secret_not_six_digits",
                    403: "secret_guesses_used_up",
                    404: "link_unknown transaction_unknown",
                    422: f"{used} {_OPEN} {_PAYER} level_too_low service_region_differs assurance_too_low pin_needed"
                    " holder_dead ecard_password_wrong ecard_password_locked ecard_password_not_set"
                    " mandate_out_of_scope",
                    503: "secrets_busy",
                }
            ),
        ),
        openapi_extra=needs_scope(Scope.SHOW, signed=True),
        dependencies=[Depends(idempotent(issuer, signed))],
    )
    def agree_to_payment(
        link_id: LinkId,
        body: AgreeToPayment,
        caller: ChannelCaller = Depends(signed),  # noqa: B008
    ) -> JSONResponse:
        """For apps without a device key, and for holders who prefer it. The merchant sees it at once."""
        link = links.get(caller.app_id, link_id)
        done = desk.agree(link, body.challenge, Secret.typed(body.password), issuer.clock())
        return JSONResponse(shown_payment_answer(done))

    return router
