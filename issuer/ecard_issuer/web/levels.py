"""Routes about levels of issuance, and about a person's cards in several places."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from ecard_card.card import IdNumber
from ecard_issuer.assembly import Issuer
from ecard_issuer.holder_answers import held_cards_answer, level_answer
from ecard_issuer.pins.secret import Secret
from ecard_issuer.web.holder_models import (
    CloseLevel,
    FindHolderCards,
    HolderCardsAnswer,
    LevelAnswer,
    OpenLevel,
)
from ecard_issuer.web.secret_models import ShowEcard
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

_ALL = (400, 401, 403, 404, 409, 413, 415, 422, 503)
_FORBIDDEN = "holder_dead mandate_unknown mandate_not_yet mandate_ended mandate_out_of_scope guardian_needed"


def levels_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The routes under `/v1/levels`."""
    router = APIRouter(prefix="/v1/levels", tags=["levels"])
    levels = issuer.holders.levels
    near = (Role.DESK, Role.CHANNEL)
    at_hand = require_role(authenticate, *near)

    @router.post(
        "/open",
        operation_id="open_payment",
        summary="Open payment and settlement (二级签发)",
        response_model=LevelAnswer,
        responses=problems(
            *_ALL,
            codes={
                400: "secret_not_six_digits bad_acting bad_consent",
                403: "secret_guesses_used_up",
                404: "ecard_unknown",
                409: "secret_changed_meanwhile",
                422: "ecard_ended ecard_not_usable ecard_password_not_set ecard_password_wrong ecard_password_locked "
                + _FORBIDDEN,
                503: "secrets_busy",
            },
        ),
        openapi_extra=needs(*near),
    )
    def open_payment(body: OpenLevel, caller: Caller = Depends(at_hand)) -> JSONResponse:  # noqa: B008 - FastAPI's way
        """With a consent of its own and the e-card password. Opened before, it stays as it is."""
        now = issuer.clock()
        opened = levels.open(body.ecard_id, Secret.typed(body.password), body.consent, caller, now, acting=body.who)
        issuer.links.level_changed(opened, now)
        issuer.wake.ring()
        return JSONResponse(level_answer(levels.state(body.ecard_id, now)))

    @router.post(
        "/close",
        operation_id="close_payment",
        summary="Close payment and settlement",
        response_model=LevelAnswer,
        responses=problems(
            400,
            401,
            403,
            404,
            413,
            415,
            422,
            503,
            codes={400: "bad_acting", 404: "ecard_unknown", 422: f"ecard_ended {_FORBIDDEN}"},
        ),
        openapi_extra=needs(*near),
    )
    def close_payment(body: CloseLevel, caller: Caller = Depends(at_hand)) -> JSONResponse:  # noqa: B008
        """Identity use goes on. Closed before, it stays so."""
        now = issuer.clock()
        state = levels.close(body.ecard_id, caller, now, closing=body.closing, acting=body.who)
        if state.opening is not None:
            issuer.links.level_changed(state.opening, now)
            issuer.wake.ring()
        return JSONResponse(level_answer(state))

    @router.post(
        "/show",
        operation_id="show_level",
        summary="How far an e-card is issued",
        response_model=LevelAnswer,
        responses=problems(400, 401, 403, 404, 413, 415, 422, 503, codes={404: "ecard_unknown", 422: "ecard_ended"}),
        openapi_extra=needs(*near, Role.INSTITUTION),
        dependencies=[Depends(require_role(authenticate, *near, Role.INSTITUTION))],
    )
    def show_level(body: ShowEcard) -> JSONResponse:
        """And which business types it is good for."""
        return JSONResponse(level_answer(levels.state(body.ecard_id, issuer.clock())))

    return router


def holder_cards_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The route `/v1/holders/cards`."""
    clerks = (Role.DESK, Role.HOTLINE)
    router = APIRouter(prefix="/v1/holders", tags=["holders"])

    @router.post(
        "/cards",
        operation_id="list_holder_cards",
        summary="A person's cards by region, and the one that a counter would meet",
        response_model=HolderCardsAnswer,
        responses=problems(400, 401, 403, 413, 415, 422, 503, codes={400: "bad_id_number bad_region"}),
        openapi_extra=needs(*clerks),
        dependencies=[Depends(require_role(authenticate, *clerks))],
    )
    def list_holder_cards(body: FindHolderCards) -> JSONResponse:
        """Cards that can be used come first, then those of the nearest place of issue, then the newest."""
        held = issuer.holders.cards.of(IdNumber(body.id_number), issuer.clock())
        return JSONResponse(held_cards_answer(held, body.region))

    return router
