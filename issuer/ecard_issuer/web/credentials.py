"""The route by which a device fetches what replaced its credential."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse

from ecard_issuer.answers import credential_answer
from ecard_issuer.assembly import Issuer
from ecard_issuer.web.models import CredentialAnswer, SuccessorBody
from ecard_verifier.callers import Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

CredentialId = Annotated[
    str, Path(pattern="^[0-9a-f]{32}$", description="The `credential_id` of the credential that the device holds.")
]


def credentials_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The routes under `/v1/credentials`."""
    operator = [Depends(require_role(authenticate, Role.OPERATOR))]
    router = APIRouter(prefix="/v1/credentials", tags=["enrolment"], dependencies=operator)

    @router.post(
        "/{credential_id}/successor",
        operation_id="collect_successor",
        summary="Fetch what replaced a credential",
        response_model=CredentialAnswer,
        responses=problems(
            *(400, 401, 403, 404, 409, 413, 415, 422, 503),
            codes={
                400: "bad_device_proof bad_jws wrong_type algorithm_not_allowed",
                404: "credential_unknown",
                409: "credential_not_replaced credential_already_replaced issuance_in_progress",
                422: "card_not_issuable enrolment_not_proven",
            },
        ),
        openapi_extra=needs(Role.OPERATOR),
    )
    def collect_successor(credential_id: CredentialId, body: SuccessorBody) -> JSONResponse:
        """After a key was replaced every credential under it is made anew; after a card was replaced the e-card goes on
        with the new one, once its chip was proven. With this the old one ends; a repetition gives the same again."""
        issued = issuer.collecting.collect(bytes.fromhex(credential_id), body.proof, issuer.clock())
        issuer.wake.ring()
        return JSONResponse(credential_answer(issued))

    return router
