"""Routes about the policies of regions. What holds is public; who set it is for operators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse

from ecard_issuer.assembly import Issuer
from ecard_issuer.policies.answers import policy_answer, preview_answer, row_answer
from ecard_issuer.web.approval_models import NEEDS_APPROVAL
from ecard_issuer.web.policies_models import PolicyAnswer, PolicyBody, PolicyHistory, PolicyRecord, PreviewAnswer
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

Region = Annotated[str, Path(pattern="^[0-9]{6}$", description="Six digits (GB/T 2260).")]


def policies_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The routes under `/v1/regions` and `/v1/policies`."""
    operator = require_role(authenticate, Role.OPERATOR)
    router = APIRouter(prefix="/v1", tags=["policies"])
    policies = issuer.policies

    @router.get(
        "/regions/{region}/policy",
        operation_id="get_region_policy",
        summary="The rules that hold for the cards of a region",
        response_model=PolicyAnswer,
        responses=problems(422, 503),
    )
    def get_policy(region: Region) -> JSONResponse:
        """What a status permits, the terms of a loss, tries of a PIN, how long records are kept: for everybody to
        read."""
        answer = policy_answer(region, policies.book.in_force(region, issuer.clock()))
        return JSONResponse(answer, headers={"Cache-Control": "public, max-age=60"})

    @router.get(
        "/regions/{region}/policies",
        operation_id="list_region_policies",
        summary="Every policy that was set for a region",
        response_model=PolicyHistory,
        responses=problems(401, 403, 422, 503),
        dependencies=[Depends(operator)],
        openapi_extra=needs(Role.OPERATOR),
    )
    def history(region: Region) -> JSONResponse:
        """For exactly this region, those to come among them, in the order in which they were set."""
        return JSONResponse({"policies": [row_answer(row) for row in policies.book.history(region)]})

    @router.post(
        "/policies",
        operation_id="set_region_policy",
        summary="Set a region's policy, or see what it would change",
        status_code=201,
        response_model=PolicyRecord,
        responses=problems(
            400,
            401,
            403,
            413,
            415,
            422,
            503,
            codes={
                400: "bad_region_policy bad_policy_moment",
                422: "policy_too_soon approval_too_many_open approval_not_usable",
            },
        )
        | {200: {"model": PreviewAnswer}}
        | NEEDS_APPROVAL,
        openapi_extra=needs(Role.OPERATOR),
    )
    def set_policy(
        body: PolicyBody,
        caller: Caller = Depends(operator),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """Two people must want it. Sending the same again changes nothing; another document for the same moment takes
        its place until that moment is near."""
        now = issuer.clock()
        if body.dry_run:
            return JSONResponse(preview_answer(policies.office.preview(body.document, body.effective_from, now)))
        row = policies.office.set(body.document, body.effective_from, caller.name, now)
        return JSONResponse(row_answer(row), 201)

    return router
