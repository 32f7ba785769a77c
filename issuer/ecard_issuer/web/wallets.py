"""Routes about wallets for operators and desks: offers, the registry, reviews."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import JSONResponse

from ecard_issuer.assembly import Issuer
from ecard_issuer.channels.scopes import Scope
from ecard_issuer.channels.tokens import ChannelCaller
from ecard_issuer.wallets.answers import (
    offer_answer,
    review_answer,
    reviews_answer,
    wallet_answer,
    wallets_answer,
)
from ecard_issuer.wallets.values import BatchRow, Right
from ecard_issuer.web.channel_auth import channel_problems, needs_scope, require_channel
from ecard_issuer.web.conventions.idempotency import CODES as IDEMPOTENCY
from ecard_issuer.web.conventions.idempotency import idempotent
from ecard_issuer.web.enrolments import EnrolmentId
from ecard_issuer.web.wallet_models import (
    OfferAnswer,
    OfferBody,
    RefuseReview,
    ReviewAnswer,
    ReviewsAnswer,
    WalletAnswer,
    WalletBody,
    WalletsAnswer,
)
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

_PAGE: Final = 100
_CHANGE: Final = (400, 401, 403, 404, 409, 413, 415, 422, 503)
_NO_STORE: Final = {"Cache-Control": "no-store"}
ClientId = Annotated[str, Path(max_length=64, description="The wallet's `client_id`.")]
ReviewId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="As the queue names it.")]
After = Annotated[str, Query(max_length=64, description="The `next_after` of the page before.")]


def wallets_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """Offers under `/v1/enrolments` and `/v1/links`; `/v1/wallets`, `/v1/wallet-reviews`."""
    router = APIRouter(prefix="/v1", tags=["wallets"])
    wallets = issuer.wallets
    operator = Depends(require_role(authenticate, Role.OPERATOR))
    desk = Depends(require_role(authenticate, Role.DESK))

    @router.post(
        "/enrolments/{enrolment_id}/offers",
        operation_id="make_wallet_offer",
        summary="Offer the e-card of a proven chip to the holder's own wallet",
        status_code=201,
        response_model=OfferAnswer,
        responses=problems(
            *_CHANGE,
            codes={
                400: "bad_event_id",
                404: "enrolment_unknown",
                409: "enrolment_already_used offer_over",
                422: "enrolment_not_proven enrolment_expired card_not_issuable",
            },
        ),
        openapi_extra=needs(Role.DESK),
    )
    def make_offer(enrolment_id: EnrolmentId, body: OfferBody, caller: Caller = desk) -> JSONResponse:
        """Show one of the links, as a QR code or on the phone; tell the code by word of mouth. Good for five minutes
        and one wallet, for several keys of it."""
        made = wallets.offers.make(
            Right(enrolment_id), caller, issuer.clock(), review=body.review, request_id=body.request_id
        )
        return JSONResponse(offer_answer(made), 201, headers=_NO_STORE)

    channel = require_channel(issuer, Scope.OFFER)

    @router.post(
        "/links/{link_id}/offers",
        operation_id="make_wallet_offer_for_link",
        summary="Offer a link's e-card to the holder's own wallet",
        status_code=201,
        response_model=OfferAnswer,
        responses=channel_problems(
            *_CHANGE,
            codes={
                400: f"bad_event_id {IDEMPOTENCY[400]}",
                404: "link_unknown",
                409: f"offer_over {IDEMPOTENCY[409]}",
                422: f"link_released ecard_ended ecard_not_usable {IDEMPOTENCY[422]}",
            },
        ),
        openapi_extra=needs_scope(Scope.OFFER),
        dependencies=[Depends(idempotent(issuer, channel))],
    )
    def make_link_offer(
        link_id: Annotated[str, Path(max_length=64, description="One of the channel's own links.")],
        body: OfferBody,
        caller: ChannelCaller = Depends(channel),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """As at a desk. The app opens the link; the code is told on another way, in a message for instance. Good for
        at most four keys, which count among the link's five devices."""
        right = Right(None, caller.app_id, link_id)
        made = wallets.offers.make(right, caller.caller, issuer.clock(), review=body.review, request_id=body.request_id)
        return JSONResponse(offer_answer(made), 201, headers=_NO_STORE)

    @router.get(
        "/wallets",
        operation_id="list_wallets",
        summary="The wallets that may send people to our page",
        response_model=WalletsAnswer,
        responses=problems(401, 403, 422, 503),
        openapi_extra=needs(Role.OPERATOR),
        dependencies=[operator],
    )
    def list_wallets(after: After = "") -> JSONResponse:
        """Ended ones too."""
        return JSONResponse(wallets_answer(wallets.clients.list(after, _PAGE), _PAGE))

    @router.put(
        "/wallets/{client_id}",
        operation_id="put_wallet",
        summary="Register a wallet, or change what is known of it",
        response_model=WalletAnswer,
        responses=problems(400, 401, 403, 413, 415, 422, 503, codes={400: "bad_wallet_client"}),
        openapi_extra=needs(Role.OPERATOR),
    )
    def put_wallet(client_id: ClientId, body: WalletBody, caller: Caller = operator) -> JSONResponse:
        """The whole of it each time; the same again changes nothing."""
        client = wallets.clients.add(client_id, body.name, body.redirect_uris, caller.name, issuer.clock())
        return JSONResponse(wallet_answer(client))

    @router.post(
        "/wallets/{client_id}/end",
        operation_id="end_wallet",
        summary="Take no request of a wallet any more",
        response_model=WalletAnswer,
        responses=problems(401, 403, 404, 413, 415, 422, 503, codes={404: "wallet_client_unknown"}),
        openapi_extra=needs(Role.OPERATOR),
    )
    def end_wallet(client_id: ClientId, caller: Caller = operator) -> JSONResponse:
        """What it was issued stays. `PUT` lets it in again."""
        return JSONResponse(wallet_answer(wallets.clients.end(client_id, caller.name, issuer.clock())))

    @router.get(
        "/wallet-reviews",
        operation_id="list_wallet_reviews",
        summary="Requests of wallets that wait for a person",
        response_model=ReviewsAnswer,
        responses=problems(401, 403, 422, 503),
        openapi_extra=needs(Role.DESK),
        dependencies=[desk],
    )
    def list_reviews(after: After = "") -> JSONResponse:
        """In order of their ids."""
        found = wallets.reviews.waiting(issuer.clock(), after, _PAGE)
        return JSONResponse(reviews_answer([(batch, wallets.reviews.card_of(batch)) for batch in found], _PAGE))

    @router.post(
        "/wallet-reviews/{review_id}/approve",
        operation_id="approve_wallet_review",
        summary="Let it be issued",
        response_model=ReviewAnswer,
        responses=problems(
            401,
            403,
            404,
            409,
            413,
            415,
            422,
            503,
            codes={404: "wallet_review_unknown", 409: "wallet_review_decided", 422: "approval_own_request"},
        ),
        openapi_extra=needs(Role.DESK),
    )
    def approve(review_id: ReviewId, caller: Caller = desk) -> JSONResponse:
        """The wallet fetches it within the week; the card must still be good then. Not by whoever made the offer."""
        return answered(wallets.reviews.approve(review_id, caller.name, issuer.clock()))

    @router.post(
        "/wallet-reviews/{review_id}/refuse",
        operation_id="refuse_wallet_review",
        summary="Issue nothing",
        response_model=ReviewAnswer,
        responses=problems(*_CHANGE, codes={404: "wallet_review_unknown", 409: "wallet_review_decided"}),
        openapi_extra=needs(Role.DESK),
    )
    def refuse(review_id: ReviewId, body: RefuseReview, caller: Caller = desk) -> JSONResponse:
        """The wallet is told that it was denied, and no reason."""
        return answered(wallets.reviews.refuse(review_id, caller.name, body.reason, issuer.clock()))

    def answered(batch: BatchRow) -> JSONResponse:
        return JSONResponse(review_answer(batch, wallets.reviews.card_of(batch)))

    return router
