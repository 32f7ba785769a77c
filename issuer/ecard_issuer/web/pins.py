"""Routes about the card's PIN. What is typed travels in bodies only."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from ecard_card import messages
from ecard_card.card import IdNumber
from ecard_issuer.assembly import Issuer
from ecard_issuer.holder_answers import act_answer, pin_answer
from ecard_issuer.pins.secret import Secret
from ecard_issuer.web.secret_models import (
    ActAnswer,
    CardChoice,
    ChangePin,
    ElsewhereAnswer,
    Nothing,
    PinAnswer,
    ResetPin,
    UnlockPin,
    VerifyPin,
)
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

_ALL = (400, 401, 403, 404, 409, 413, 415, 422, 503)
_FORBIDDEN = "holder_dead mandate_unknown mandate_not_yet mandate_ended mandate_out_of_scope guardian_needed"
_CHOICE = "secret_is_initial secret_in_sequence secret_repeats secret_from_id_number secret_unchanged secrets_equal"
_TYPED = "secret_not_six_digits bad_search bad_identification_code bad_acting"
_RACE = "secret_event_differs secret_changed_meanwhile"
_PIN = "pin_wrong pin_locked card_not_usable"
_TILLS = (Role.DESK, Role.INSTITUTION)


def pins_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The routes under `/v1/pins`."""
    router = APIRouter(prefix="/v1/pins", tags=["pins"])
    pins, references = issuer.holders.pins, issuer.people.references
    at_till, at_desk = require_role(authenticate, *_TILLS), require_role(authenticate, Role.DESK)
    anybody = (Role.DESK, Role.HOTLINE, Role.INSTITUTION, Role.CHANNEL)

    @router.post(
        "/verify",
        operation_id="verify_pin",
        summary="Compare a card's PIN",
        response_model=PinAnswer,
        responses=problems(
            *_ALL,
            codes={
                400: _TYPED,
                403: "secret_guesses_used_up",
                404: "card_unknown",
                409: _RACE,
                422: f"{_PIN} pin_initial",
                503: "secrets_busy",
            },
        ),
        openapi_extra=needs(*_TILLS),
    )
    def verify_pin(body: VerifyPin, caller: Caller = Depends(at_till)) -> JSONResponse:  # noqa: B008 - FastAPI's way
        """The initial PIN is good for queries (business type 01) only. A try is taken before anything is compared."""
        card_ref, typed = body.ref(references), Secret.typed(body.pin)
        return JSONResponse(pin_answer(pins.verify(card_ref, typed, body.business_type, caller, issuer.clock())))

    @router.post(
        "/change",
        operation_id="change_pin",
        summary="Change a card's PIN",
        response_model=ActAnswer,
        responses=problems(
            *_ALL,
            codes={
                400: _TYPED,
                403: "secret_guesses_used_up",
                404: "card_unknown",
                409: _RACE,
                422: f"{_PIN} {_CHOICE} {_FORBIDDEN}",
                503: "secrets_busy",
            },
        ),
        openapi_extra=needs(*_TILLS),
    )
    def change_pin(body: ChangePin, caller: Caller = Depends(at_till)) -> JSONResponse:  # noqa: B008 - FastAPI's way
        """At an outlet, or at a designated hospital or pharmacy, on the strength of the old PIN."""
        done = pins.change(
            body.ref(references),
            Secret.typed(body.old_pin),
            Secret.typed(body.new_pin),
            caller,
            issuer.clock(),
            acting=body.who,
            event_id=body.event_id,
            ecard_password=None if body.ecard_password is None else Secret.typed(body.ecard_password),
        )
        return JSONResponse(act_answer(done))

    @router.post(
        "/reset",
        operation_id="reset_pin",
        summary="Replace a forgotten PIN",
        response_model=ActAnswer,
        responses=problems(
            *_ALL,
            codes={
                400: f"{_TYPED} bad_id_number",
                403: "document_of_other_person secret_guesses_used_up",
                404: "card_unknown",
                409: _RACE,
                422: f"card_not_usable pin_unlocks_used_up {_CHOICE} {_FORBIDDEN}",
                503: "secrets_busy",
            },
        ),
        openapi_extra=needs(Role.DESK),
    )
    def reset_pin(body: ResetPin, caller: Caller = Depends(at_desk)) -> JSONResponse:  # noqa: B008 - FastAPI's way
        """In person, after the clerk has looked at the identity document. A locked PIN is unlocked by it."""
        done = pins.reset(
            body.ref(references),
            IdNumber(body.document_number),
            caller,
            issuer.clock(),
            new=None if body.new_pin is None else Secret.typed(body.new_pin),
            acting=body.who,
            event_id=body.event_id,
        )
        return JSONResponse(act_answer(done))

    @router.post(
        "/unlock",
        operation_id="unlock_pin",
        summary="Give a locked PIN tries again",
        response_model=ActAnswer,
        responses=problems(
            *_ALL,
            codes={
                400: f"{_TYPED} bad_id_number",
                403: "document_of_other_person secret_guesses_used_up",
                404: "card_unknown",
                409: _RACE,
                422: f"pin_not_locked pin_unlocks_used_up card_not_usable {_FORBIDDEN}",
            },
        ),
        openapi_extra=needs(Role.DESK),
    )
    def unlock_pin(body: UnlockPin, caller: Caller = Depends(at_desk)) -> JSONResponse:  # noqa: B008 - FastAPI's way
        """In person, after the clerk has looked at the identity document; the PIN stays as it is."""
        document, now = IdNumber(body.document_number), issuer.clock()
        done = pins.unlock(body.ref(references), document, caller, now, acting=body.who, event_id=body.event_id)
        return JSONResponse(act_answer(done))

    @router.post(
        "/show",
        operation_id="show_pin_state",
        summary="Whether a PIN is initial or locked",
        response_model=PinAnswer,
        responses=problems(
            400,
            401,
            403,
            404,
            413,
            415,
            422,
            503,
            codes={400: "bad_search bad_identification_code", 404: "card_unknown"},
        ),
        openapi_extra=needs(Role.DESK),
        dependencies=[Depends(at_desk)],
    )
    def show_pin_state(body: CardChoice) -> JSONResponse:
        """Nothing of its digits."""
        return JSONResponse(pin_answer(pins.state(body.ref(references), issuer.clock())))

    @router.post(
        "/bank",
        operation_id="bank_pin",
        summary="Where the bank's PIN is changed",
        response_model=ElsewhereAnswer,
        responses=problems(400, 401, 403, 413, 415, 422, 503),
        openapi_extra=needs(*anybody),
        dependencies=[Depends(require_role(authenticate, *anybody))],
    )
    def bank_pin(body: Nothing) -> JSONResponse:
        """The bank account on the card has a PIN of its own, by the rules of the partner bank. It never comes here."""
        code = "bank_pin_at_bank"
        text = {"en": messages.text(code, "en"), "zh": messages.text(code, "zh")}
        return JSONResponse({"code": code, "go_to": "partner_bank", "text": text})

    return router
