"""`POST /v1/verifications` for systems, and the results of their groups by id."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse
from pydantic_core import to_json
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ecard_card.card import ChipAssurance
from ecard_card.errors import InvalidInput, NotAllowed, NotFound, RuleViolation
from ecard_qr.challenge import parse_challenge
from ecard_verifier.callers import Caller, Role
from ecard_verifier.counters.assembly import Counters
from ecard_verifier.counters.desk import RESULT_LIFE, Place
from ecard_verifier.counters.model import COUNTER_PREFIX
from ecard_verifier.counters.office import Who
from ecard_verifier.counters.record import Record
from ecard_verifier.replay import FirstSeen
from ecard_verifier.service import NOTHING_ASKED, Asked, MustWait, Result, VerificationService
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems
from ecard_verifier.web.counter_models import VerificationResult, VerificationUseBody, verification_json
from ecard_verifier.web.models import Verification, VerificationRequest, members

#: What a caller hears of a place that is not its own.
ELSEWHERE: Final = "another counter"
_GROUP_PREFIX: Final = "grp_"
VerificationId = Annotated[str, Path(pattern="^ver_[A-Za-z0-9_-]{22}$", description="Named by the page or the answer.")]


def verifications_router(
    service: VerificationService, authenticate: Authenticate, counters: Counters | None
) -> APIRouter:
    """The verb itself; with `counters` also the routes of what it leaves behind.

    What is judged by what this machine knows is judged on the event loop: half a millisecond of the processor, and
    a thread would cost as much again. What somebody has to be asked for over a network, and what groups keep in their
    stores, waits on a worker thread of its own.
    """
    router = APIRouter(prefix="/v1/verifications", tags=["verification"])
    counter_role = Depends(require_role(authenticate, Role.COUNTER))

    @router.post(
        "",
        operation_id="create_verification",
        summary="Verify a code",
        response_model=Verification,
        responses=problems(
            *(400, 401, 403, 404, 413, 415, 422, 429),
            codes={
                400: "bad_counter bad_audience unreadable_code code_damaged bad_challenge",
                403: "group_needed",
                404: "purpose_unknown counter_unknown",
                422: "challenge_expired",
                429: "counter_quota_used_up",
            },
        ),
        openapi_extra=needs(Role.COUNTER),
    )
    async def create_verification(request: VerificationRequest, caller: Caller = counter_role) -> Response:
        """Every text gets a verdict, also one that is no code at all. A valid code is used up by this. With a
        `purpose`, callers of a group get what it permits them to see; without one, what the holder disclosed."""
        if counters is None or caller.group is None:
            if request.purpose is not None:
                raise NotAllowed("group_needed", "purposes are for the tokens of a group of merchants")
            plain = partial(_plain, service, counters, request, caller)
            try:
                return plain(at_once=True)
            except MustWait:
                return await run_in_threadpool(plain, at_once=False)
        return await run_in_threadpool(_of_group, counters, request, caller, caller.group)

    if counters is not None:
        _add_results(router, counters, counter_role)
    return router


def _plain(
    service: VerificationService,
    counters: Counters | None,
    request: VerificationRequest,
    caller: Caller,
    *,
    at_once: bool,
) -> Response:
    """For a caller of no group, who names places as it likes, but never like a counter of a group."""
    place = request.counter or caller.name
    if place.startswith((COUNTER_PREFIX, _GROUP_PREFIX)):
        raise InvalidInput("bad_counter", "such names belong to the counters of groups")
    if counters is not None and request.audience is not None:
        counters.administration.office.require_free_audience(request.audience)
    result = service.verify(
        request.code,
        counter=place,
        audience=request.audience,
        minimum_assurance=_assurance(request),
        asked=_asked(request, request.audience or service.audience, service.now()),
        at_once=at_once,
    )
    if counters is not None:
        result = counters.desk.put_down(result, place)
        counters.tally.count(result.verdict.outcome.value, result.verdict.reason, None)
    seen = result.first_seen
    if seen is not None and seen.where.startswith((COUNTER_PREFIX, _GROUP_PREFIX)):
        result = _seen_at(result, ELSEWHERE)
    return _told(result)


def _of_group(counters: Counters, request: VerificationRequest, caller: Caller, group_id: str) -> Response:
    """For a system of a group: at one of its counters, or in its own name."""
    organisation, desk = counters.administration.organisation, counters.desk
    group = organisation.group(group_id, group_id)
    counter = None if request.counter is None else organisation.counter(request.counter, group_id)
    name = f"{group_id}/{caller.name}" if counter is None else counter.counter_id
    place = Place(name, group, counter, counter.audience if counter else None)
    if request.audience is not None and request.audience != place.audience:
        raise InvalidInput("bad_audience", "a group's system is called what its counter is called")
    counters.housekeeping.turn(counters.service.now())
    purpose = None if request.purpose is None else desk.purpose_of(group, request.purpose)
    asked = _asked(request, place.audience, counters.service.now(), request.purpose)
    result = desk.judge(place, purpose, request.code, _assurance(request), asked)
    told = result
    if result.first_seen is not None and result.first_seen.where != name:
        mine = result.first_seen.where.startswith(f"{group_id}/") or _is_of(counters, result.first_seen, group_id)
        told = result if mine else _seen_at(result, ELSEWHERE)
    if purpose is None:
        counters.tally.count(result.verdict.outcome.value, result.verdict.reason, None)
        return _told(told)
    return _told(told, desk.system(place, purpose, result))


def _told(result: Result, record: Record | None = None) -> Response:
    return Response(to_json(members(result, record)), media_type="application/json")


def _is_of(counters: Counters, seen: FirstSeen, group_id: str) -> bool:
    try:
        counters.administration.organisation.counter(seen.where, group_id)
    except NotFound:
        return False
    return True


def _seen_at(result: Result, where: str) -> Result:
    seen = result.first_seen
    return result if seen is None else replace(result, first_seen=FirstSeen(seen.at, where))


def _asked(request: VerificationRequest, called: str | None, now: datetime, purpose: str | None = None) -> Asked:
    """What the challenge of the request asks, which must be of the counter that is `called` so, and for the `purpose`
    that is verified for, if any: else somebody could have verified here what a holder answered elsewhere, or for more.

    Raises `InvalidInput` as `parse_challenge`, and `bad_challenge`; `RuleViolation` `challenge_expired`."""
    if request.challenge is None:
        return NOTHING_ASKED
    challenge = parse_challenge(request.challenge)
    if challenge.counter != called:
        raise InvalidInput("bad_challenge", "made for another counter than the one that asks")
    if purpose is not None and challenge.purpose != purpose:
        raise InvalidInput("bad_challenge", "the holder answered for another purpose")
    if challenge.expires_at < now.timestamp():
        raise RuleViolation("challenge_expired", "what the counter showed is over; make a new one")
    return Asked(challenge.answer)


def _assurance(request: VerificationRequest) -> ChipAssurance | None:
    wanted = request.minimum_assurance
    return ChipAssurance.from_label(wanted) if wanted else None


def _add_results(router: APIRouter, counters: Counters, counter_role: Caller) -> None:
    desk = counters.desk

    @router.get(
        "/{verification_id}",
        operation_id="get_verification",
        summary="Fetch a result",
        response_model=VerificationResult,
        responses=problems(401, 403, 404, 422, codes={404: "verification_unknown"}),
        openapi_extra=needs(Role.COUNTER),
    )
    def get_verification(verification_id: VerificationId, caller: Caller = counter_role) -> JSONResponse:
        """For 15 minutes, for the systems of the group alone: what the page says is never proof of anything."""
        record = desk.result(verification_id, Who.of(caller).group_id)
        return JSONResponse(verification_json(record, record.recorded_at + RESULT_LIFE))

    @router.post(
        "/{verification_id}/use",
        operation_id="use_verification",
        summary="Bind a result to one business case",
        response_model=VerificationResult,
        responses=problems(
            *(400, 401, 403, 404, 409, 413, 415, 422),
            codes={404: "verification_unknown", 409: "verification_used", 422: "verification_not_usable"},
        ),
        openapi_extra=needs(Role.COUNTER),
    )
    def use_verification(
        body: VerificationUseBody, verification_id: VerificationId, caller: Caller = counter_role
    ) -> JSONResponse:
        """Once for what was shown, also where it was scanned twice. The same reference again changes nothing."""
        record = desk.use(verification_id, Who.of(caller).group_id, body.reference)
        return JSONResponse(verification_json(record, record.recorded_at + RESULT_LIFE))
