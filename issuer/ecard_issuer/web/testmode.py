"""Routes that a test issuer has and no other: magic people, their chips, what happens on cue."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse

from ecard_card import jose
from ecard_issuer.channel_events.values import ChannelEventType
from ecard_issuer.channels.scopes import Scope
from ecard_issuer.channels.tokens import ChannelCaller
from ecard_issuer.issuer import Issuer
from ecard_issuer.testmode.cards import magic_person
from ecard_issuer.testmode.desk import TestDesk
from ecard_issuer.testmode.people import MAGIC_PEOPLE, SLOW_NUMBERS, SLOW_SECONDS, TEST_PIN, MagicPerson, Outcome
from ecard_issuer.web.channel_auth import channel_problems, needs_scope, require_channel
from ecard_issuer.web.conventions.idempotency import CODES, idempotent
from ecard_issuer.web.enrolments import EVIDENCE
from ecard_issuer.web.testmode_models import (
    ChipChallenge,
    ClaimNonce,
    IdentityStatementAnswer,
    MagicPeopleAnswer,
    ResetAnswer,
    TriggerAnswer,
    TriggerBody,
)

Number = Annotated[int, Path(ge=1, le=99, description="Whose chip: a number of the table.")]
_NO_PIN = (Outcome.PIN_LOCKED, Outcome.CHILD)


def testmode_router(issuer: Issuer, desk: TestDesk) -> APIRouter:
    """The routes under `/v1/test`, for an issuer whose mode is test."""
    router = APIRouter(prefix="/v1/test", tags=["test mode"])
    channel = require_channel(issuer, Scope.READ)
    caller: ChannelCaller = Depends(channel)
    once = [Depends(idempotent(issuer, channel))]
    extra = needs_scope(Scope.READ)

    def refusals(*statuses: int, codes: dict[int, str] | None = None) -> dict[int | str, dict[str, Any]]:
        return channel_problems(400, 401, 403, *statuses, 503, codes=codes)

    @router.get(
        "/people",
        operation_id="list_magic_people",
        summary="Who can be claimed, and what becomes of it",
        response_model=MagicPeopleAnswer,
        responses=refusals(422),
        openapi_extra=extra,
    )
    def list_magic_people(_: ChannelCaller = caller) -> JSONResponse:
        """The same people in every test issuer."""
        return JSONResponse({"data": [_person(person) for person in MAGIC_PEOPLE.values()]})

    @router.post(
        "/chips/{number}/answer",
        operation_id="answer_by_test_chip",
        summary="Let a simulated chip answer a challenge",
        responses={
            200: {
                "description": "The evidence that a desk would send",
                "content": {"application/json": {"schema": EVIDENCE}},
            },
            **refusals(404, 413, 415, 422, codes={404: "test_person_unknown"}),
        },
        openapi_extra=extra,
    )
    def answer_by_test_chip(number: Number, body: ChipChallenge, _: ChannelCaller = caller) -> JSONResponse:
        """As if the magic person's card lay on a reader. Send what comes back as the claim's evidence."""
        evidence = desk.cards.answer(number, bytes.fromhex(body.challenge))
        return JSONResponse(jose.parse_json(evidence.to_json().encode()))

    @router.post(
        "/people/{number}/identity",
        operation_id="prove_test_identity",
        summary="A statement that it is them",
        response_model=IdentityStatementAnswer,
        responses=refusals(404, 413, 415, 422, codes={404: "test_person_unknown"}),
        openapi_extra=extra,
    )
    def prove_test_identity(number: Number, body: ClaimNonce, _: ChannelCaller = caller) -> JSONResponse:
        """As if the magic person had looked into a camera. Send it as the claim's evidence."""
        statement = desk.identity.statement(magic_person(number), body.nonce, issuer.clock())
        return JSONResponse({"identity": statement})

    @router.post(
        "/triggers",
        operation_id="trigger_test_event",
        summary="Have something happen to a link's card",
        response_model=TriggerAnswer,
        dependencies=once,
        responses=refusals(
            404,
            409,
            413,
            415,
            422,
            codes=CODES | {404: "link_unknown test_person_unknown", 422: f"card_change_impossible {CODES[422]}"},
        ),
        openapi_extra=extra,
    )
    def trigger_test_event(body: TriggerBody, known: ChannelCaller = caller) -> JSONResponse:
        """The card really changes: codes are refused, credentials are suspended or end, and everybody who has a link
        with it is told."""
        link = desk.trigger(known.app_id, ChannelEventType(body.event), body.link_id, issuer.clock())
        return JSONResponse({"link_id": link.link_id, "event": body.event})

    @router.post(
        "/reset",
        operation_id="reset_test_data",
        summary="Begin anew",
        response_model=ResetAnswer,
        dependencies=once,
        responses=refusals(409, 422, codes=CODES),
        openapi_extra=extra,
    )
    def reset_test_data(known: ChannelCaller = caller) -> JSONResponse:
        """Releases the channel's links, and brings the people behind them back to what the table says."""
        done = desk.reset(known.app_id, issuer.clock())
        return JSONResponse({"released": done.released, "restored": done.restored})

    return router


def _person(person: MagicPerson) -> dict[str, object]:
    return {
        "number": person.number,
        "name": person.name,
        "id_number": person.id_number,
        "pin": None if person.outcome in _NO_PIN else TEST_PIN,
        "outcome": person.outcome.value,
        "slow_seconds": SLOW_SECONDS if person.id_number in SLOW_NUMBERS else 0.0,
    }
