"""Routes about who may act for whom, and about people's lives. Personal data travels in bodies only."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse

from ecard_card.errors import NotAllowed, NotFound
from ecard_issuer.assembly import Issuer
from ecard_issuer.documents import MAX_COPY
from ecard_issuer.mandates.answers import mandate_answer, opened_answer
from ecard_issuer.mandates.values import MandateCause, MandateRow
from ecard_issuer.web.mandates_models import MandateAnswer, MandatesAnswer, NewMandateBody, OpenedMandateAnswer
from ecard_issuer.web.people_models import FileBody, FindPersonBody, LifeAnswer, LifeBody
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

MandateId = Annotated[str, Path(pattern="^[0-9a-f]{1,64}$", description="The `mandate_id`.")]
#: Paths whose bodies are larger than others: a file in Base64 and what is around it, a piece of a batch.
LARGER_BODIES: Final = {
    "/v1/(applications|mandates)/[0-9a-f]{1,64}/documents": MAX_COPY * 4 // 3 + 4096,
    "/v1/agency-batches": 256 << 10,
}

_POSTS: Final = (400, 401, 403, 404, 409, 413, 415, 422, 503)
_PERSON: Final = "bad_id_number bad_document_number bad_country id_number_needed id_number_differs bad_name"
_BY_CHANNELS: Final = frozenset({MandateCause.MINOR, MandateCause.FAMILY})


def mandates_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The routes under `/v1/mandates`, and `/v1/people/life`."""
    router = APIRouter(tags=["acting for another"])
    by_desk = Depends(require_role(authenticate, Role.DESK))
    by_recorder = Depends(require_role(authenticate, Role.DESK, Role.CHANNEL))
    by_owner = Depends(require_role(authenticate, Role.DESK, Role.CHANNEL, Role.AGENCY))
    by_teller = Depends(require_role(authenticate, Role.DESK, Role.SOURCE))
    mandates = issuer.acting

    @router.post(
        "/v1/mandates",
        operation_id="add_mandate",
        summary="Record who may act for whom",
        status_code=201,
        response_model=MandateAnswer,
        responses=problems(
            *_POSTS,
            codes={
                400: f"{_PERSON} birth_date_differs born_in_future mandate_bad_scope mandate_bad_term"
                " mandate_proof_missing",
                409: "mandate_differs",
                422: "mandate_to_oneself mandate_out_of_scope agent_not_of_age guardian_needed guardian_not_needed"
                " holder_dead",
            },
        ),
        openapi_extra=needs(Role.DESK, Role.CHANNEL),
    )
    def add_mandate(body: NewMandateBody, caller: Caller = by_recorder) -> JSONResponse:
        """A channel records guardians of minors and family services; everything else is shown at a desk."""
        if caller.role is Role.CHANNEL and body.cause not in _BY_CHANNELS:
            raise NotAllowed("not_allowed", "such a mandate is checked at a desk")
        now = issuer.clock()
        row = mandates.grant(body.request_id, body.to_mandate(), caller.name, now)
        return JSONResponse(mandate_answer(row, now), 201)

    @router.post(
        "/v1/mandates/find",
        operation_id="find_mandates",
        summary="The mandates that somebody gave or has",
        response_model=MandatesAnswer,
        responses=problems(400, 401, 403, 413, 415, 422, 503, codes={400: "bad_id_number"}),
        openapi_extra=needs(Role.DESK),
        dependencies=[by_desk],
    )
    def find_mandates(body: FindPersonBody) -> JSONResponse:
        """Without names: both people are named by their references."""
        now = issuer.clock()
        person = issuer.people.find(body.number())
        rows = () if person is None else mandates.of_person(person.holder_ref)
        return JSONResponse({"mandates": [mandate_answer(row, now) for row in rows]})

    @router.get(
        "/v1/mandates/{mandate_id}",
        operation_id="get_mandate",
        summary="A mandate, without names",
        response_model=MandateAnswer,
        responses=problems(401, 403, 404, 422, 503, codes={404: "mandate_unknown"}),
        openapi_extra=needs(Role.DESK, Role.CHANNEL, Role.AGENCY),
    )
    def get_mandate(mandate_id: MandateId, caller: Caller = by_owner) -> JSONResponse:
        """Channels and agencies see those that they recorded."""
        return JSONResponse(mandate_answer(_theirs(mandates.get(mandate_id), caller), issuer.clock()))

    @router.post(
        "/v1/mandates/{mandate_id}/open",
        operation_id="open_mandate",
        summary="A mandate with both people and its proof",
        response_model=OpenedMandateAnswer,
        responses=problems(401, 403, 404, 422, 503, codes={404: "mandate_unknown"}),
        openapi_extra=needs(Role.DESK),
        dependencies=[by_desk],
    )
    def open_mandate(mandate_id: MandateId) -> JSONResponse:
        """For the clerk who compares it with the paper."""
        return JSONResponse(opened_answer(mandates.open(mandate_id), issuer.clock()))

    @router.post(
        "/v1/mandates/{mandate_id}/documents",
        operation_id="attach_to_mandate",
        summary="Put the scanned paper to a mandate",
        response_model=MandateAnswer,
        responses=problems(
            *_POSTS,
            codes={400: "document_type_refused document_size_refused", 404: "mandate_unknown"},
        ),
        openapi_extra=needs(Role.DESK, Role.CHANNEL),
    )
    def attach(mandate_id: MandateId, body: FileBody, caller: Caller = by_recorder) -> JSONResponse:
        """In place of the one before. JPEG, PNG or PDF, at most 512 KiB; sealed under the holder's data key."""
        _theirs(mandates.get(mandate_id), caller)
        now = issuer.clock()
        row = mandates.attach(mandate_id, body.media_type, body.to_bytes(), now)
        return JSONResponse(mandate_answer(row, now))

    @router.post(
        "/v1/mandates/{mandate_id}/revoke",
        operation_id="revoke_mandate",
        summary="End a mandate, or withdraw a consent",
        response_model=MandateAnswer,
        responses=problems(401, 403, 404, 422, 503, codes={404: "mandate_unknown"}),
        openapi_extra=needs(Role.DESK, Role.CHANNEL, Role.AGENCY),
    )
    def revoke(mandate_id: MandateId, caller: Caller = by_owner) -> JSONResponse:
        """Now and for good: the next step of any business under it is refused."""
        _theirs(mandates.get(mandate_id), caller)
        now = issuer.clock()
        return JSONResponse(mandate_answer(mandates.revoke(mandate_id, caller.name, now), now))

    @router.post(
        "/v1/people/life",
        operation_id="record_life",
        summary="Record a death, an emigration, or that an earlier record was wrong",
        response_model=LifeAnswer,
        responses=problems(
            400, 401, 403, 404, 413, 415, 422, 503, codes={400: "bad_id_number life_bad_date", 404: "person_unknown"}
        ),
        openapi_extra=needs(Role.DESK, Role.SOURCE),
    )
    def record_life(body: LifeBody, caller: Caller = by_teller) -> JSONResponse:
        """No card is made for the dead and those who settled abroad. Ending a card is a business of its own."""
        person = issuer.people.find(body.number())
        if person is None:
            raise NotFound("person_unknown", "the register knows nobody with this number")
        row = issuer.applications.lives.record(person, body.life, body.since, caller.name, issuer.clock())
        same = row.life is body.life and row.since == body.since
        return JSONResponse({"life": row.life.value, "since": row.since.isoformat(), "applied": same})

    return router


def _theirs(row: MandateRow, caller: Caller) -> MandateRow:
    """The mandate, if the caller may know of it. Raises `NotFound` `mandate_unknown`."""
    if caller.role in (Role.CHANNEL, Role.AGENCY) and row.checked_by != caller.name:
        raise NotFound("mandate_unknown", "no such mandate")
    return row
