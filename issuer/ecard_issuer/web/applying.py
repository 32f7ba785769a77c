"""Routes of applications. Personal data travels in bodies only; lists and looks without `open` show nobody."""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import JSONResponse

from ecard_card.acting import Channel
from ecard_card.errors import NotAllowed, NotFound
from ecard_issuer.applying.answers import application_answer, cursor, opened_answer, place
from ecard_issuer.applying.desk import MOST_WORK
from ecard_issuer.applying.values import ApplicationRow, ApplicationState
from ecard_issuer.assembly import Issuer
from ecard_issuer.web.applying_models import (
    ApplicationAnswer,
    ApplicationsAnswer,
    CopyBody,
    CopyKindBody,
    FileAnswer,
    NewApplicationBody,
    OpenedApplicationAnswer,
    WorkAnswer,
)
from ecard_issuer.web.people_models import FindPersonBody
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

ApplicationId = Annotated[str, Path(pattern="^[0-9a-f]{1,64}$", description="The `application_id`.")]
_PERSON = "bad_id_number bad_document_number bad_country id_number_needed id_number_differs bad_name"
_PHOTO = "photo_not_jpeg photo_bytes_refused photo_pixels_refused photo_not_colour photo_blank photo_background_refused"
MANDATE_CODES = "mandate_unknown mandate_not_yet mandate_ended mandate_out_of_scope guardian_needed"


def applying_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The routes under `/v1/applications` that submit and show."""
    router = APIRouter(prefix="/v1/applications", tags=["applying"])
    by_desk = Depends(require_role(authenticate, Role.DESK))
    by_applicant = Depends(require_role(authenticate, Role.DESK, Role.CHANNEL))
    by_owner = Depends(require_role(authenticate, Role.DESK, Role.CHANNEL, Role.AGENCY))
    applying = issuer.applications.desk

    @router.post(
        "",
        operation_id="apply_for_card",
        summary="Apply for a card",
        status_code=201,
        response_model=ApplicationAnswer,
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
                400: f"{_PERSON} birth_date_differs birth_date_needed born_in_future bad_acting bad_application"
                " region_not_served",
                409: "application_open application_differs",
                422: f"not_eligible entitlement_needed original_needed household_register_for_minors holder_dead"
                f" holder_emigrated card_held_already card_not_replaceable {MANDATE_CODES}",
            },
        ),
        openapi_extra=needs(Role.DESK, Role.CHANNEL),
    )
    def apply(body: NewApplicationBody, caller: Caller = by_applicant) -> JSONResponse:
        """At a desk, which saw the original document, or online; then photo and copies follow as `documents`."""
        if caller.role is not Role.OPERATOR and (caller.role is Role.DESK) is not (body.channel is Channel.DESK):
            raise NotAllowed("not_allowed", "desks apply at the desk, channels elsewhere")
        row = applying.submit(body.request_id, body.to_application(), caller.name, issuer.clock())
        return JSONResponse(application_answer(row, applying.steps_of(row)), 201)

    @router.get(
        "",
        operation_id="list_applications",
        summary="The work list",
        response_model=WorkAnswer,
        responses=problems(400, 401, 403, 422, 503, codes={400: "bad_cursor"}),
        openapi_extra=needs(Role.DESK),
        dependencies=[by_desk],
    )
    def list_applications(
        state: Annotated[ApplicationState, Query()] = ApplicationState.SUBMITTED,
        region: Annotated[str, Query(pattern="^[0-9]{6}$", description="With all below it.")] = "000000",
        after: Annotated[str | None, Query(max_length=200, description="`next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_WORK)] = 50,
    ) -> JSONResponse:
        """By region, oldest first, without anything about people."""
        rows = applying.work(state, region, place(after), limit)
        return JSONResponse({"applications": [application_answer(row) for row in rows], "next": cursor(rows, limit)})

    @router.post(
        "/find",
        operation_id="find_applications",
        summary="A person's applications",
        response_model=ApplicationsAnswer,
        responses=problems(400, 401, 403, 413, 415, 422, 503, codes={400: "bad_id_number"}),
        openapi_extra=needs(Role.DESK),
        dependencies=[by_desk],
    )
    def find_applications(body: FindPersonBody) -> JSONResponse:
        """Whose it is travels in the body, and is not in the answer."""
        rows = applying.of_person(body.number())
        return JSONResponse({"applications": [application_answer(row, applying.steps_of(row)) for row in rows]})

    @router.get(
        "/{application_id}",
        operation_id="get_application",
        summary="How far an application is",
        response_model=ApplicationAnswer,
        responses=problems(401, 403, 404, 422, 503, codes={404: "application_unknown"}),
        openapi_extra=needs(Role.DESK, Role.CHANNEL, Role.AGENCY),
    )
    def get_application(application_id: ApplicationId, caller: Caller = by_owner) -> JSONResponse:
        """Channels and agencies see their own. A refusal has its reason in both languages."""
        row = theirs(applying.get(application_id), caller)
        return JSONResponse(application_answer(row, applying.steps_of(row)))

    @router.post(
        "/{application_id}/open",
        operation_id="open_application",
        summary="An application with its person",
        response_model=OpenedApplicationAnswer,
        responses=problems(401, 403, 404, 422, 503, codes={404: "application_unknown"}),
        openapi_extra=needs(Role.DESK),
    )
    def open_application(application_id: ApplicationId, caller: Caller = by_desk) -> JSONResponse:
        """For the clerk who judges it. Who opened it and when is kept with it, for the person to see."""
        return JSONResponse(opened_answer(applying.open(application_id, caller.name, issuer.clock())))

    @router.post(
        "/{application_id}/documents",
        operation_id="add_application_document",
        summary="Put a photo or a copy to an application",
        response_model=ApplicationAnswer,
        responses=problems(
            400,
            401,
            403,
            404,
            409,
            413,
            415,
            422,
            503,
            codes={
                400: f"document_type_refused document_size_refused {_PHOTO}",
                404: "application_unknown",
                409: "application_moved",
                503: "photo_check_missing",
            },
        ),
        openapi_extra=needs(Role.DESK, Role.CHANNEL, Role.AGENCY),
    )
    def add_document(application_id: ApplicationId, body: CopyBody, caller: Caller = by_owner) -> JSONResponse:
        """In place of one of its kind, until it is approved. At most 512 KiB; a photo: JPEG, 358 × 441 pixels, 8 to
        60 KiB, in colour, before white."""
        theirs(applying.get(application_id), caller)
        content, now = body.to_bytes(), issuer.clock()
        row = applying.add_copy(application_id, body.kind, body.media_type, content, caller.name, now)
        return JSONResponse(application_answer(row))

    @router.post(
        "/{application_id}/documents/open",
        operation_id="open_application_document",
        summary="A file of an application",
        response_model=FileAnswer,
        responses=problems(400, 401, 403, 404, 413, 415, 422, 503, codes={404: "application_unknown document_unknown"}),
        openapi_extra=needs(Role.DESK),
    )
    def open_document(application_id: ApplicationId, body: CopyKindBody, caller: Caller = by_desk) -> JSONResponse:
        """Kept with the application, like every look at its person."""
        media_type, content = applying.copy(application_id, body.kind, caller.name, issuer.clock())
        return JSONResponse({"kind": body.kind.value, "media_type": media_type, "content": b64encode(content).decode()})

    return router


def theirs(row: ApplicationRow, caller: Caller) -> ApplicationRow:
    """The application, if the caller may know of it. Raises `NotFound` `application_unknown`."""
    if caller.role in (Role.CHANNEL, Role.AGENCY) and row.submitted_by != caller.name:
        raise NotFound("application_unknown", "no such application")
    return row
