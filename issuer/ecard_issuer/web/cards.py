"""Routes about cards: register, look up, change, replace. All of them want an operator; what happened to a card may
also be reported by the physical card system."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse

from ecard_card.card import CardNumber, IdentificationCode, IdNumber
from ecard_card.errors import InvalidInput, NotFound
from ecard_card.status import CardStatus
from ecard_issuer.answers import card_answer, change_answer, registered_answer
from ecard_issuer.assembly import Issuer
from ecard_issuer.change_order import OWN, own_event_id
from ecard_issuer.rows import CardRow
from ecard_issuer.web.models import (
    CardAnswer,
    CardsAnswer,
    ChangeAnswer,
    ChangeBody,
    FindCards,
    NewCard,
    RegisteredCard,
    ReplacementBody,
)
from ecard_issuer.web.source_region import require_region
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

CardRef = Annotated[str, Path(pattern="^[0-9a-f]{1,64}$", description="The card's `card_ref`.")]
_CHANGE = (400, 401, 403, 404, 409, 413, 415, 422, 503)  # how a change of something that is named may be refused


def cards_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The routes under `/v1/cards`."""
    operator = [Depends(require_role(authenticate, Role.OPERATOR))]
    reporter = require_role(authenticate, Role.SOURCE)
    router = APIRouter(prefix="/v1/cards", tags=["cards"])
    register = issuer.register

    @router.post(
        "",
        operation_id="register_card",
        summary="Register a physical card",
        status_code=201,
        response_model=RegisteredCard,
        responses=problems(
            400,
            401,
            403,
            409,
            413,
            415,
            422,
            503,
            codes={
                400: "bad_identification_code bad_card_number bad_id_number bad_name bad_card_validity",
                409: "card_exists holder_differs chip_key_taken",
            },
        ),
        dependencies=operator,
        openapi_extra=needs(Role.OPERATOR),
    )
    def register_card(body: NewCard) -> JSONResponse:
        """The ID number, name and card number are sealed at rest and never shown again."""
        card = body.to_card()
        card_ref = issuer.cards.register(card, CardStatus(body.status), issuer.clock())
        return JSONResponse(registered_answer(register, card_ref, card, issuer.clock()), 201)

    @router.post(
        "/find",
        operation_id="find_cards",
        summary="Find cards by code, number or person",
        response_model=CardsAnswer,
        responses=problems(
            400,
            401,
            403,
            413,
            415,
            422,
            503,
            codes={400: "bad_search bad_identification_code bad_card_number bad_id_number"},
        ),
        dependencies=operator,
        openapi_extra=needs(Role.OPERATOR),
    )
    def find_cards(body: FindCards) -> JSONResponse:
        """What is looked for travels in the body, so that it stands in no log and no history."""
        return JSONResponse(
            {"cards": [card_answer(register, card, issuer.clock()) for card in found_cards(issuer, body)]}
        )

    @router.get(
        "/{card_ref}",
        operation_id="get_card",
        summary="A card by its reference",
        response_model=CardAnswer,
        responses=problems(401, 403, 404, 422, 503, codes={404: "card_unknown"}),
        dependencies=operator,
        openapi_extra=needs(Role.OPERATOR),
    )
    def get_card(card_ref: CardRef) -> JSONResponse:
        """Nothing about the holder is in the answer."""
        return JSONResponse(card_answer(register, register.get_card(card_ref), issuer.clock()))

    @router.post(
        "/{card_ref}/changes",
        operation_id="change_card",
        summary="Report what happened to a card",
        response_model=ChangeAnswer,
        responses=problems(
            *_CHANGE,
            codes={
                400: "bad_card_event",
                403: "region_not_of_source",
                404: "card_unknown",
                409: "card_event_differs",
                422: "card_change_impossible card_change_superseded card_event_from_future",
            },
        ),
        openapi_extra=needs(Role.SOURCE),
    )
    def change_card(
        card_ref: CardRef,
        body: ChangeBody,
        caller: Caller = Depends(reporter),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """Repeating an event changes nothing; an older one never undoes a newer one."""
        require_region(issuer, caller, register.get_card(card_ref).region)
        source, said, event_id = _origin(caller, body)
        result = issuer.lifecycle.change(
            card_ref,
            body.change,
            issuer.clock(),
            source=source,
            sequence=body.sequence,
            event_id=event_id,
            occurred_at=body.occurred_at,
            reason=body.reason,
        )
        return JSONResponse(change_answer(register, result, issuer.clock(), said))

    @router.post(
        "/{card_ref}/replacement",
        operation_id="replace_card",
        summary="Replace a card by a new one",
        response_model=ChangeAnswer,
        responses=problems(
            *_CHANGE,
            codes={
                400: "bad_card_event",
                403: "region_not_of_source",
                404: "card_unknown enrolment_unknown",
                409: "card_event_differs chip_already_bound",
                422: "card_change_impossible card_change_superseded card_event_from_future replacement_of_other_holder"
                " replacement_by_cancelled_card replacement_needs_new_card",
            },
        ),
        openapi_extra=needs(Role.SOURCE),
    )
    def replace_card(
        card_ref: CardRef,
        body: ReplacementBody,
        caller: Caller = Depends(reporter),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """Ends the old card's credentials; the same e-card moves to the new card."""
        for ref in (card_ref, body.new_card_ref):
            require_region(issuer, caller, register.get_card(ref).region)
        source, said, event_id = _origin(caller, body)
        result = issuer.lifecycle.replace(
            card_ref,
            body.new_card_ref,
            issuer.clock(),
            source=source,
            sequence=body.sequence,
            event_id=event_id,
            occurred_at=body.occurred_at,
            reason=body.reason,
            enrolment_id=body.enrolment_id,
        )
        return JSONResponse(change_answer(register, result, issuer.clock(), said))

    return router


def _origin(caller: Caller, body: ChangeBody | ReplacementBody) -> tuple[str, str, str]:
    """Whose numbers and ids count, the event's id as the caller says it, and as it is recorded.

    An operator that gives no number speaks for our own desks, which share one origin and no ids.
    """
    said = body.event_id or secrets.token_hex(16)
    if caller.role is Role.OPERATOR and body.sequence is None:
        return OWN, said, own_event_id(caller.name, said)
    return caller.name, said, said


def found_cards(issuer: Issuer, body: FindCards) -> list[CardRow]:
    """The cards that `body` names. Raises `InvalidInput` `bad_search` and those of its one member."""
    match (body.identification_code, body.id_number, body.card_number):
        case (str(code), None, None):
            try:
                return [issuer.cards.card_of(IdentificationCode(code))]
            except NotFound:
                return []
        case (None, str(id_number), None):
            return list(issuer.cards.cards_of(IdNumber(id_number)))
        case (None, None, str(number)):
            return list(issuer.cards.cards_numbered(CardNumber(number)))
    raise InvalidInput("bad_search", "give exactly one of identification_code, id_number and card_number")
