"""Routes of enrolment and issuing: challenge, evidence, credential."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path
from fastapi.responses import JSONResponse

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_issuer.answers import credential_answer, enrolment_answer, proven_answer
from ecard_issuer.assembly import Issuer
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.web.models import CredentialAnswer, CredentialBody, EnrolmentAnswer, EnrolmentBody, ProvenAnswer
from ecard_verifier.web.auth import OPERATOR, Authenticate, require_role
from ecard_verifier.web.base import problems

EnrolmentId = Annotated[str, Path(pattern="^[0-9a-f]{1,64}$")]


def enrolments_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The routes under `/v1/enrolments`."""
    operator = [Depends(require_role(authenticate, OPERATOR))]
    router = APIRouter(prefix="/v1/enrolments", tags=["enrolment"], dependencies=operator)

    @router.post(
        "",
        operation_id="begin_enrolment",
        summary="Ask for a challenge",
        status_code=201,
        response_model=EnrolmentAnswer,
        responses=problems(400, 401, 403, 413, 415, 422, 503),
    )
    def begin_enrolment(body: EnrolmentBody) -> JSONResponse:
        """The desk hands the challenge to the chip; it is good once and for a few minutes."""
        return JSONResponse(enrolment_answer(issuer.enrolment.begin(body.terminal_id, issuer.clock())), 201)

    @router.post(
        "/{enrolment_id}/evidence",
        operation_id="send_evidence",
        summary="Hand in what the chip answered",
        response_model=ProvenAnswer,
        responses=problems(400, 401, 403, 404, 409, 413, 415, 422, 503),
    )
    def send_evidence(
        enrolment_id: EnrolmentId,
        body: Annotated[dict[str, Any], Body(description="A document of format ecard-chip-evidence/1.")],
    ) -> JSONResponse:
        """The service judges; the desk decides nothing. A wrong answer proves nothing and consumes nothing."""
        evidence = Evidence.from_json(_document(body))
        return JSONResponse(proven_answer(issuer.enrolment.complete(enrolment_id, evidence, issuer.clock())))

    @router.post(
        "/{enrolment_id}/credentials",
        operation_id="issue_credential",
        summary="Issue the e-card to a device",
        status_code=201,
        response_model=CredentialAnswer,
        responses=problems(400, 401, 403, 404, 409, 413, 415, 422, 503),
    )
    def issue_credential(enrolment_id: EnrolmentId, body: CredentialBody) -> JSONResponse:
        """Repeating a request whose answer was lost gives the same credential to the same device key."""
        point = jose.parse_public_jwk(body.device_key.model_dump(exclude_none=True))
        issued = issuer.issuing.issue(enrolment_id, point, body.proof, issuer.clock(), ecard_id=body.ecard_id)
        issuer.wake.ring()
        return JSONResponse(credential_answer(issued), 201)

    return router


def _document(body: dict[str, Any]) -> bytes:
    try:
        return jose.dump_json(body)
    except (ValueError, RecursionError):
        raise InvalidInput("bad_chip_evidence", "not evidence of format ecard-chip-evidence/1") from None
