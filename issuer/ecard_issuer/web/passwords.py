"""Routes about the e-card password. What is typed travels in bodies only."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from ecard_card.card import IdNumber
from ecard_issuer.assembly import Issuer
from ecard_issuer.holder_answers import act_answer, password_answer
from ecard_issuer.pins.secret import Secret, SecretEvent
from ecard_issuer.web.secret_models import (
    ActAnswer,
    ChangePassword,
    PasswordAnswer,
    ResetPassword,
    SetPassword,
    ShowEcard,
    VerifyPassword,
)
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

_ALL = (400, 401, 403, 404, 409, 413, 415, 422, 503)
_FORBIDDEN = "holder_dead mandate_unknown mandate_not_yet mandate_ended mandate_out_of_scope guardian_needed"
_CHOICE = "secret_is_initial secret_in_sequence secret_repeats secret_from_id_number secret_unchanged secrets_equal"
_RACE = "secret_event_differs secret_changed_meanwhile"
_PASSWORD = "ecard_password_wrong ecard_password_locked ecard_password_not_set ecard_ended"  # noqa: S105


def passwords_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The routes under `/v1/ecard-passwords`."""
    router = APIRouter(prefix="/v1/ecard-passwords", tags=["e-card passwords"])
    passwords = issuer.holders.passwords
    near = (Role.DESK, Role.CHANNEL)
    payers = (Role.CHANNEL, Role.INSTITUTION)
    at_hand, paying = require_role(authenticate, *near), require_role(authenticate, *payers)

    @router.post(
        "/set",
        operation_id="set_ecard_password",
        summary="Choose the e-card password",
        status_code=201,
        response_model=ActAnswer,
        responses=problems(
            *_ALL,
            codes={
                400: "secret_not_six_digits bad_acting",
                403: "secret_guesses_used_up",
                404: "ecard_unknown",
                409: f"ecard_password_exists {_RACE}",
                422: f"ecard_ended {_CHOICE} {_FORBIDDEN}",
                503: "secrets_busy",
            },
        ),
        openapi_extra=needs(*near),
    )
    def set_password(body: SetPassword, caller: Caller = Depends(at_hand)) -> JSONResponse:  # noqa: B008
        """The first one of an e-card; it holds in every channel."""
        done = passwords.set(
            body.ecard_id,
            Secret.typed(body.password),
            caller,
            issuer.clock(),
            acting=body.who,
            event_id=body.event_id,
            card_pin=None if body.card_pin is None else Secret.typed(body.card_pin),
        )
        _tell(issuer, done)
        return JSONResponse(act_answer(done), 201)

    @router.post(
        "/change",
        operation_id="change_ecard_password",
        summary="Change the e-card password",
        response_model=ActAnswer,
        responses=problems(
            *_ALL,
            codes={
                400: "secret_not_six_digits bad_acting",
                403: "secret_guesses_used_up",
                404: "ecard_unknown",
                409: _RACE,
                422: f"{_PASSWORD} {_CHOICE} {_FORBIDDEN}",
                503: "secrets_busy",
            },
        ),
        openapi_extra=needs(*near),
    )
    def change_password(body: ChangePassword, caller: Caller = Depends(at_hand)) -> JSONResponse:  # noqa: B008
        """On the strength of the old one; takes effect in every channel at once."""
        done = passwords.change(
            body.ecard_id,
            Secret.typed(body.old_password),
            Secret.typed(body.new_password),
            caller,
            issuer.clock(),
            acting=body.who,
            event_id=body.event_id,
            card_pin=None if body.card_pin is None else Secret.typed(body.card_pin),
        )
        _tell(issuer, done)
        return JSONResponse(act_answer(done))

    @router.post(
        "/reset",
        operation_id="reset_ecard_password",
        summary="Replace a forgotten or locked e-card password",
        response_model=ActAnswer,
        responses=problems(
            *_ALL,
            codes={
                400: "secret_not_six_digits bad_acting bad_id_number",
                403: "document_of_other_person secret_guesses_used_up",
                404: "ecard_unknown",
                409: _RACE,
                422: f"ecard_ended ecard_password_not_set {_CHOICE} {_FORBIDDEN}",
                503: "secrets_busy",
            },
        ),
        openapi_extra=needs(*near),
    )
    def reset_password(body: ResetPassword, caller: Caller = Depends(at_hand)) -> JSONResponse:  # noqa: B008
        """After a clerk has looked at the document or the channel has checked the face. Takes effect everywhere."""
        done = passwords.reset(
            body.ecard_id,
            IdNumber(body.document_number),
            Secret.typed(body.new_password),
            caller,
            issuer.clock(),
            acting=body.who,
            event_id=body.event_id,
        )
        _tell(issuer, done)
        return JSONResponse(act_answer(done))

    @router.post(
        "/verify",
        operation_id="verify_ecard_password",
        summary="Compare the e-card password, for a payment",
        response_model=PasswordAnswer,
        responses=problems(
            *_ALL,
            codes={
                400: "secret_not_six_digits",
                403: "secret_guesses_used_up",
                404: "ecard_unknown",
                409: _RACE,
                422: f"{_PASSWORD} ecard_not_usable",
                503: "secrets_busy",
            },
        ),
        openapi_extra=needs(*payers),
    )
    def verify_password(body: VerifyPassword, caller: Caller = Depends(paying)) -> JSONResponse:  # noqa: B008
        """A wrong one costs a try before it is compared."""
        typed = Secret.typed(body.password)
        return JSONResponse(password_answer(passwords.verify(body.ecard_id, typed, caller, issuer.clock())))

    @router.post(
        "/show",
        operation_id="show_ecard_password_state",
        summary="Whether an e-card password is set or locked",
        response_model=PasswordAnswer,
        responses=problems(400, 401, 403, 404, 413, 415, 422, 503, codes={404: "ecard_unknown", 422: "ecard_ended"}),
        openapi_extra=needs(*near),
        dependencies=[Depends(at_hand)],
    )
    def show_password_state(body: ShowEcard) -> JSONResponse:
        """Nothing of its digits."""
        return JSONResponse(password_answer(passwords.state(body.ecard_id, issuer.clock())))

    return router


def _tell(issuer: Issuer, done: SecretEvent) -> None:
    issuer.links.password_changed(done, issuer.clock())
    issuer.wake.ring()
