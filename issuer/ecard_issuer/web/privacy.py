"""Routes about people's data: all of it for the person, and its erasure. Who is meant stands in the body only."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from ecard_issuer.assembly import Issuer
from ecard_issuer.privacy.answers import erasure_answer
from ecard_issuer.web.approval_models import NEEDS_APPROVAL
from ecard_issuer.web.privacy_models import ErasureAnswer, ErasureBody, ExportAnswer, ExportBody
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

_NO_STORE = {"Cache-Control": "no-store"}


def privacy_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The routes under `/v1/privacy`."""
    operator = require_role(authenticate, Role.OPERATOR)
    desk = require_role(authenticate, Role.DESK)
    router = APIRouter(prefix="/v1/privacy", tags=["privacy"])
    privacy = issuer.privacy

    @router.post(
        "/exports",
        operation_id="export_person",
        summary="Everything that is kept about a person, for that person",
        response_model=ExportAnswer,
        responses=problems(
            400,
            401,
            403,
            404,
            413,
            415,
            422,
            503,
            codes={
                400: "bad_id_number bad_acting",
                404: "person_unknown",
                422: "holder_dead mandate_unknown mandate_not_yet mandate_ended mandate_out_of_scope guardian_needed",
            },
        ),
        openapi_extra=needs(Role.OPERATOR, Role.DESK),
    )
    def export_person(
        body: ExportBody,
        caller: Caller = Depends(desk),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """That it was asked for, and by whom, is on record from then on, and part of the next one."""
        document = privacy.exporting.export(
            body.export_id, body.to_id_number(), body.to_acting(), caller.name, issuer.clock()
        )
        return JSONResponse(document, headers=_NO_STORE)

    @router.post(
        "/erasures",
        operation_id="erase_person",
        summary="Erase a person for good",
        status_code=201,
        response_model=ErasureAnswer,
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
                400: "bad_id_number bad_proof_reference",
                404: "person_unknown",
                409: "erasure_id_taken holder_changed",
                422: "erasure_card_live erasure_business_open approval_too_many_open approval_not_usable",
            },
        )
        | NEEDS_APPROVAL,
        openapi_extra=needs(Role.OPERATOR),
    )
    def erase_person(
        body: ErasureBody,
        caller: Caller = Depends(operator),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """Two people must want it, and every card must be cancelled before. The data key is destroyed; what was proven
        about the cards stays, under a name that leads to nobody."""
        result = privacy.erasing.erase(
            body.erasure_id, body.to_id_number(), body.to_ground(), body.proof, caller.name, issuer.clock()
        )
        return JSONResponse(erasure_answer(result), 201)

    return router
