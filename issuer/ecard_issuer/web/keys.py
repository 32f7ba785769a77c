"""Routes about the issuer's signing keys: every change can be asked for as a dry run first."""

from __future__ import annotations

from threading import Lock
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query
from fastapi.responses import JSONResponse, Response

from ecard_card import messages
from ecard_card.errors import InvalidInput
from ecard_issuer.assembly import Issuer
from ecard_issuer.consequences import Consequences
from ecard_issuer.key_answers import advice_answer, consequences_answer, key_answer, schedule_answer
from ecard_issuer.web.approval_models import NEEDS_APPROVAL
from ecard_issuer.web.key_models import (
    CompromiseBody,
    ConsequencesAnswer,
    KeyAnswer,
    KeyBody,
    KeysAnswer,
    PromoteBody,
    Purpose,
    RetireBody,
    ScheduleAnswer,
    ScheduleBody,
)
from ecard_keys.key import KeyPurpose
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

Kid = Annotated[str, Path(pattern="^[0-9a-f]{8}$", description="The `kid` of a key.")]
OfPurpose = Annotated[Purpose, Path(description="What the keys sign.")]


def _language(
    accepted: Annotated[str, Header(alias="Accept-Language", max_length=256, description="Of the texts.")] = "",
) -> messages.Language:
    return messages.language(accepted)


Language = Annotated[messages.Language, Depends(_language)]


def keys_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The routes under `/v1/keys`."""
    known = require_role(authenticate, Role.OPERATOR)
    router = APIRouter(prefix="/v1/keys", tags=["keys"], dependencies=[Depends(known)])
    office, clock = issuer.key_office, issuer.clock
    making = Lock()

    def key(kid: str, status: int = 200) -> JSONResponse:
        return JSONResponse(key_answer(issuer.keys.row(kid), office.lives, clock()), status)

    def foreseen(consequences: Consequences, language: messages.Language) -> JSONResponse:
        return JSONResponse(consequences_answer(consequences, language), headers={"Content-Language": language})

    @router.get(
        "",
        operation_id="list_keys",
        summary="Every signing key, and what is due, late or unsafe",
        response_model=KeysAnswer,
        responses=problems(401, 403, 422, 503),
        openapi_extra=needs(Role.OPERATOR),
    )
    def list_keys(language: Language) -> JSONResponse:
        """Public halves only."""
        now = clock()
        answer = {
            "keys": [key_answer(row, office.lives, now) for row in issuer.keys.rows()],
            "advice": [advice_answer(advice, language) for advice in office.lives.advice(now)],
            "schedules": [schedule_answer(row) for row in issuer.register.schedules()],
        }
        return JSONResponse(answer, headers={"Content-Language": language})

    @router.post(
        "",
        operation_id="create_key",
        summary="Make and publish the next key of a purpose",
        status_code=201,
        response_model=KeyAnswer,
        responses={
            200: {"model": ConsequencesAnswer, "description": "Of a dry run"},
            **problems(400, 401, 403, 409, 413, 415, 422, 503, codes={409: "next_key_exists"}),
        },
        openapi_extra=needs(Role.OPERATOR),
    )
    def create_key(body: KeyBody, language: Language) -> JSONResponse:
        """It may not sign yet, so that verifiers learn it before it does. A purpose has one such key at a time."""
        purpose = KeyPurpose(body.purpose)
        if body.dry_run:
            return foreseen(office.foresight.create(purpose, clock()), language)
        with making:  # the key ring looks first and then makes: of simultaneous requests one shall make
            record = office.create(purpose, clock())
        return key(record.kid, 201)

    @router.post(
        "/{kid}/promote",
        operation_id="promote_key",
        summary="Let the next key sign",
        response_model=KeyAnswer | ConsequencesAnswer,
        responses=_changing("key_change_impossible key_lead_not_over key_not_held key_unpublished approval_not_usable"),
        openapi_extra=needs(Role.OPERATOR),
    )
    def promote_key(
        kid: Kid,
        language: Language,
        body: PromoteBody | None = None,
        caller: Caller = Depends(known),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """Its predecessor then only verifies. Refused until every verifier has had to fetch a list that names it."""
        asked = body or PromoteBody()
        if asked.dry_run:
            return foreseen(office.foresight.promote(kid, clock(), despite_lead=asked.despite_lead), language)
        office.promote(kid, caller.name, clock(), despite_lead=asked.despite_lead)
        return key(kid)

    @router.post(
        "/{kid}/retire",
        operation_id="retire_key",
        summary="Take a key that nothing needs any more out of the trust list",
        response_model=KeyAnswer | ConsequencesAnswer,
        responses=_changing("key_change_impossible key_still_named key_retirement_too_early approval_not_usable"),
        openapi_extra=needs(Role.OPERATOR),
    )
    def retire_key(
        kid: Kid,
        language: Language,
        body: RetireBody | None = None,
        caller: Caller = Depends(known),  # noqa: B008
    ) -> JSONResponse:
        """Refused while a live credential names it, by the database itself."""
        if body is not None and body.dry_run:
            return foreseen(office.foresight.retire(kid, clock()), language)
        office.retire(kid, caller.name, clock())
        return key(kid)

    @router.post(
        "/{kid}/compromise",
        operation_id="compromise_key",
        summary="Declare a key stolen or lost",
        response_model=KeyAnswer | ConsequencesAnswer,
        responses=_changing("key_change_impossible approval_not_usable"),
        openapi_extra=needs(Role.OPERATOR),
    )
    def compromise_key(
        kid: Kid,
        body: CompromiseBody,
        language: Language,
        caller: Caller = Depends(known),  # noqa: B008
    ) -> JSONResponse:
        """The waiting key, or one made for it, signs in its place at once; verifiers that are online refuse at once."""
        if body.cut_off is not None and body.cut_off.tzinfo is None:
            raise InvalidInput("bad_cut_off", "want a time with its zone")
        if body.dry_run:
            return foreseen(office.foresight.compromise(kid, body.cut_off, clock()), language)
        office.compromise(kid, body.cut_off, caller.name, clock())
        return key(kid)

    @router.put(
        "/schedules/{purpose}",
        operation_id="set_key_schedule",
        summary="Rotate the keys of a purpose by schedule",
        response_model=ScheduleAnswer | ConsequencesAnswer,
        responses=_changing("schedule_shorter_than_lead approval_not_usable"),
        openapi_extra=needs(Role.OPERATOR),
    )
    def set_schedule(
        purpose: OfPurpose,
        body: ScheduleBody,
        language: Language,
        caller: Caller = Depends(known),  # noqa: B008
    ) -> JSONResponse:
        """Approved once, done again and again: the next key is made and, when its lead is over, promoted."""
        wanted = office.wanted_schedule(KeyPurpose(purpose), body.every_seconds)
        if body.dry_run:
            return foreseen(office.foresight.schedule(wanted, clock()), language)
        return JSONResponse(schedule_answer(office.set_schedule(wanted, caller.name, clock())))

    @router.delete(
        "/schedules/{purpose}",
        operation_id="clear_key_schedule",
        summary="Rotate the keys of a purpose by hand again",
        status_code=204,
        response_class=Response,
        responses={
            200: {"model": ConsequencesAnswer, "description": "Of a dry run"},
            **_changing("approval_not_usable", missing="key_schedule_unknown"),
        },
        openapi_extra=needs(Role.OPERATOR),
    )
    def clear_schedule(
        purpose: OfPurpose,
        language: Language,
        dry_run: Annotated[bool, Query(description="Change nothing, and say what would come of it.")] = False,
        caller: Caller = Depends(known),  # noqa: B008
    ) -> Response:
        """A key that waits already stays waiting."""
        if dry_run:
            return foreseen(office.foresight.clear_schedule(KeyPurpose(purpose)), language)
        office.clear_schedule(KeyPurpose(purpose), caller.name, clock())
        return Response(status_code=204)

    return router


def _changing(refusals: str, missing: str = "key_unknown") -> dict[int | str, dict[str, Any]]:
    return {**NEEDS_APPROVAL, **problems(400, 401, 403, 404, 413, 415, 422, 503, codes={404: missing, 422: refusals})}
