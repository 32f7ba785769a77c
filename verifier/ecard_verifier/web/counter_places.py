"""Routes of branches and counters: for operators, and within a group for its own manager."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from ecard_verifier.callers import Caller, Role
from ecard_verifier.counters.assembly import Counters
from ecard_verifier.counters.office import Who
from ecard_verifier.counters.shift import as_csv, shift_of
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems
from ecard_verifier.web.counter_management_models import (
    BranchAnswer,
    BranchBody,
    BranchesAnswer,
    CounterAdmissionAnswer,
    CounterAnswer,
    CounterBody,
    CounterDevicesAnswer,
    CountersAnswer,
    branch_answer,
    counter_answer,
    device_answer,
)
from ecard_verifier.web.counter_management_parts import READ, WRITE, After
from ecard_verifier.web.counter_page import csv_answer

BranchId = Annotated[str, Path(pattern="^[a-z0-9_]{1,40}$", description="Which branch.")]
CounterId = Annotated[str, Path(pattern="^[a-z0-9_]{1,40}$", description="Which counter.")]
DeviceId = Annotated[str, Path(pattern="^[a-z0-9_]{1,40}$", description="Which admitted page.")]
#: Where the page takes an admission code: behind the `#`, which no server ever sees.
ADMIT_LINK = "/counter#admit="


def branches_router(counters: Counters, authenticate: Authenticate) -> APIRouter:
    office, clock = counters.administration.office, counters.service.now
    router = APIRouter(prefix="/v1/branches", tags=["merchants"])
    manager = Depends(require_role(authenticate, Role.MERCHANT))

    @router.post(
        "",
        operation_id="create_branch",
        summary="Make a branch",
        response_model=BranchAnswer,
        status_code=201,
        responses=problems(*WRITE, codes={400: "bad_counter_name", 404: "group_unknown", 422: "group_revoked"}),
        openapi_extra=needs(Role.MERCHANT),
    )
    def create_branch(body: BranchBody, caller: Caller = manager) -> BranchAnswer:
        """A shop, a hospital, an outlet."""
        return branch_answer(office.add_branch(Who.of(caller), body.group_id, body.name, clock()))

    @router.get(
        "",
        operation_id="list_branches",
        summary="The branches",
        response_model=BranchesAnswer,
        responses=problems(401, 403, 422),
        openapi_extra=needs(Role.MERCHANT),
    )
    def list_branches(after: After = "", caller: Caller = manager) -> BranchesAnswer:
        """A manager sees those of their own group."""
        return BranchesAnswer(branches=[branch_answer(one) for one in office.branches(Who.of(caller), after)])

    @router.post(
        "/{branch_id}/revoke",
        operation_id="revoke_branch",
        summary="End a branch",
        response_model=BranchAnswer,
        responses=problems(*READ, codes={404: "branch_unknown"}),
        openapi_extra=needs(Role.MERCHANT),
    )
    def revoke_branch(branch_id: BranchId, caller: Caller = manager) -> BranchAnswer:
        """Its counters are out at their next request. There is no way back."""
        return branch_answer(office.revoke_branch(Who.of(caller), branch_id, clock()))

    return router


def counters_router(counters: Counters, authenticate: Authenticate) -> APIRouter:
    office, entrance, clock = counters.administration.office, counters.administration.entrance, counters.service.now
    doors, ledger = counters.administration.doors, counters.administration.ledger
    router = APIRouter(prefix="/v1/counters", tags=["merchants"])
    manager = Depends(require_role(authenticate, Role.MERCHANT))
    unknown = {404: "counter_unknown"}

    @router.post(
        "",
        operation_id="create_counter",
        summary="Make a counter",
        response_model=CounterAnswer,
        status_code=201,
        responses=problems(
            *WRITE,
            codes={
                400: "bad_counter_name bad_audience bad_daily_limit bad_device_count",
                404: "branch_unknown",
                409: "audience_taken",
                422: "branch_revoked group_revoked",
            },
        ),
        openapi_extra=needs(Role.MERCHANT),
    )
    def create_counter(body: CounterBody, caller: Caller = manager) -> CounterAnswer:
        """A place where codes are shown. A page becomes it by an admission code."""
        counter = office.add_counter(
            Who.of(caller),
            body.branch_id,
            body.name,
            clock(),
            audience=body.audience,
            staff_needed=body.staff_needed,
            devices=body.devices,
            daily_limit=body.daily_limit,
        )
        return counter_answer(counter)

    @router.get(
        "",
        operation_id="list_counters",
        summary="The counters",
        response_model=CountersAnswer,
        responses=problems(401, 403, 422),
        openapi_extra=needs(Role.MERCHANT),
    )
    def list_counters(after: After = "", caller: Caller = manager) -> CountersAnswer:
        """A manager sees those of their own group."""
        return CountersAnswer(counters=[counter_answer(one) for one in office.counters(Who.of(caller), after)])

    @router.get(
        "/{counter_id}",
        operation_id="show_counter",
        summary="One counter",
        response_model=CounterAnswer,
        responses=problems(*READ, codes=unknown),
        openapi_extra=needs(Role.MERCHANT),
    )
    def show_counter(counter_id: CounterId, caller: Caller = manager) -> CounterAnswer:
        """A manager sees those of their own group."""
        return counter_answer(office.counter(Who.of(caller), counter_id))

    @router.post(
        "/{counter_id}/revoke",
        operation_id="revoke_counter",
        summary="End a counter",
        response_model=CounterAnswer,
        responses=problems(*READ, codes=unknown),
        openapi_extra=needs(Role.MERCHANT),
    )
    def revoke_counter(counter_id: CounterId, caller: Caller = manager) -> CounterAnswer:
        """Its pages are out at their next request. There is no way back."""
        return counter_answer(office.revoke_counter(Who.of(caller), counter_id, clock()))

    @router.post(
        "/{counter_id}/admissions",
        operation_id="create_counter_admission",
        summary="An admission code",
        response_model=CounterAdmissionAnswer,
        status_code=201,
        responses=problems(*READ, codes={**unknown, 422: "counter_revoked"}),
        openapi_extra=needs(Role.MERCHANT),
    )
    def create_counter_admission(counter_id: CounterId, caller: Caller = manager) -> CounterAdmissionAnswer:
        """For one page, within ten minutes. Show the link as a QR code, or read the eight characters out."""
        offered = entrance.offer(counter_id, Who.of(caller).group_id, clock())
        link = ADMIT_LINK + offered.code
        return CounterAdmissionAnswer(admission_code=offered.code, expires_at=offered.expires_at, link=link)

    @router.get(
        "/{counter_id}/devices",
        operation_id="list_counter_devices",
        summary="The pages that are admitted",
        response_model=CounterDevicesAnswer,
        responses=problems(*READ, codes=unknown),
        openapi_extra=needs(Role.MERCHANT),
    )
    def list_counter_devices(counter_id: CounterId, caller: Caller = manager) -> CounterDevicesAnswer:
        """Those that were asked for something lately."""
        counter = office.counter(Who.of(caller), counter_id)
        return CounterDevicesAnswer(devices=[device_answer(one) for one in doors.devices(counter.counter_id, clock())])

    @router.delete(
        "/{counter_id}/devices/{device_id}",
        operation_id="end_counter_device",
        summary="End one page's admission",
        status_code=204,
        responses=problems(*READ, codes={404: "counter_unknown device_unknown"}),
        openapi_extra=needs(Role.MERCHANT),
    )
    def end_counter_device(counter_id: CounterId, device_id: DeviceId, caller: Caller = manager) -> None:
        """It is out at its next request."""
        doors.end(device_id, office.counter(Who.of(caller), counter_id).counter_id)

    @router.get(
        "/{counter_id}/shift.csv",
        operation_id="export_shift_of_counter",
        summary="What a counter did, as CSV",
        response_class=Response,
        responses={
            200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "RFC 4180, UTF-8"},
            **problems(*READ, codes=unknown),
        },
        openapi_extra=needs(Role.MERCHANT),
    )
    def export_shift_of_counter(counter_id: CounterId, caller: Caller = manager) -> Response:
        """The last 24 hours, without names."""
        counter = office.counter(Who.of(caller), counter_id)
        return csv_answer(as_csv(shift_of(ledger, counter.counter_id, clock())))

    return router
