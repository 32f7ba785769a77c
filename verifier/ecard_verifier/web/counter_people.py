"""Routes of staff and alarms: for operators, and within a group for its own manager."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from ecard_verifier.callers import Caller, Role
from ecard_verifier.counters.assembly import Counters
from ecard_verifier.counters.entrance import MOST_TRIES
from ecard_verifier.counters.office import Who
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems
from ecard_verifier.web.counter_management_models import (
    AlarmAnswer,
    AlarmsAnswer,
    StaffAnswer,
    StaffBody,
    StaffListAnswer,
    StaffPinBody,
    alarm_answer,
    staff_answer,
)
from ecard_verifier.web.counter_management_parts import READ, WRITE, After

StaffId = Annotated[str, Path(pattern="^[a-z0-9_]{1,40}$", description="Who.")]
AlarmId = Annotated[str, Path(pattern="^[a-z0-9_]{1,40}$", description="Which alarm.")]


def staff_router(counters: Counters, authenticate: Authenticate) -> APIRouter:
    office, clock = counters.administration.office, counters.service.now
    router = APIRouter(prefix="/v1/staff", tags=["merchants"])
    manager = Depends(require_role(authenticate, Role.MERCHANT))

    @router.post(
        "",
        operation_id="create_staff",
        summary="Somebody at a branch",
        response_model=StaffAnswer,
        status_code=201,
        responses=problems(
            *WRITE,
            codes={
                400: "bad_counter_name staff_pin_bad",
                404: "branch_unknown",
                409: "staff_exists",
                422: "branch_revoked group_revoked",
            },
        ),
        openapi_extra=needs(Role.MERCHANT),
    )
    def create_staff(body: StaffBody, caller: Caller = manager) -> StaffAnswer:
        """An alias and a PIN; the shift list shows the alias."""
        person = office.add_staff(Who.of(caller), body.branch_id, body.alias, body.pin, clock())
        return staff_answer(person, MOST_TRIES)

    @router.get(
        "",
        operation_id="list_staff",
        summary="The staff",
        response_model=StaffListAnswer,
        responses=problems(401, 403, 422),
        openapi_extra=needs(Role.MERCHANT),
    )
    def list_staff(after: After = "", caller: Caller = manager) -> StaffListAnswer:
        """A manager sees those of their own group."""
        people = office.staff_of(Who.of(caller), after)
        return StaffListAnswer(staff=[staff_answer(person, MOST_TRIES) for person in people])

    @router.post(
        "/{staff_id}/pin",
        operation_id="set_staff_pin",
        summary="A new PIN",
        response_model=StaffAnswer,
        responses=problems(*WRITE, codes={400: "staff_pin_bad", 404: "staff_unknown", 422: "staff_revoked"}),
        openapi_extra=needs(Role.MERCHANT),
    )
    def set_staff_pin(body: StaffPinBody, staff_id: StaffId, caller: Caller = manager) -> StaffAnswer:
        """The way out for whoever typed five wrong ones."""
        return staff_answer(office.set_pin(Who.of(caller), staff_id, body.pin), MOST_TRIES)

    @router.post(
        "/{staff_id}/revoke",
        operation_id="revoke_staff",
        summary="Somebody left",
        response_model=StaffAnswer,
        responses=problems(*READ, codes={404: "staff_unknown"}),
        openapi_extra=needs(Role.MERCHANT),
    )
    def revoke_staff(staff_id: StaffId, caller: Caller = manager) -> StaffAnswer:
        """Logged out everywhere at the next request; the alias is free again."""
        return staff_answer(office.revoke_staff(Who.of(caller), staff_id, clock()), MOST_TRIES)

    return router


def alarms_router(counters: Counters, authenticate: Authenticate) -> APIRouter:
    alarms, clock = counters.administration.alarms, counters.service.now
    router = APIRouter(prefix="/v1/alarms", tags=["merchants"])
    manager = Depends(require_role(authenticate, Role.MERCHANT))

    @router.get(
        "",
        operation_id="list_alarms",
        summary="What somebody should look at",
        response_model=AlarmsAnswer,
        responses=problems(401, 403, 422),
        openapi_extra=needs(Role.MERCHANT),
    )
    def list_alarms(acknowledged: bool = False, caller: Caller = manager) -> AlarmsAnswer:
        """Those nobody has acknowledged, or all that are kept. A manager sees those of their own group."""
        found = alarms.list(Who.of(caller).group_id, open_only=not acknowledged)
        return AlarmsAnswer(alarms=[alarm_answer(alarm) for alarm in found])

    @router.post(
        "/{alarm_id}/acknowledge",
        operation_id="acknowledge_alarm",
        summary="Somebody has looked",
        response_model=AlarmAnswer,
        responses=problems(*READ, codes={404: "alarm_unknown"}),
        openapi_extra=needs(Role.MERCHANT),
    )
    def acknowledge_alarm(alarm_id: AlarmId, caller: Caller = manager) -> AlarmAnswer:
        """The first one stays on record."""
        who = Who.of(caller)
        return alarm_answer(alarms.acknowledge(alarm_id, who.group_id, who.name, clock()))

    return router
