"""Routes by which operators agree to each other's dangerous changes, and the answer of a route that waits for it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request
from fastapi.responses import JSONResponse

from ecard_card.errors import ApprovalNeeded
from ecard_issuer.approval_answers import approval_answer
from ecard_issuer.assembly import Issuer
from ecard_issuer.web.approval_models import ApprovalAnswer, ApprovalsAnswer, VoteBody
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

RequestId = Annotated[str, Path(pattern="^[0-9a-f]{16}$", description="The `id` of a request.")]
_DECIDING = problems(
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
        400: "bad_reason",
        404: "approval_unknown",
        409: "approval_closed approval_already_voted",
        422: "approval_own_request approval_expired",
    },
)


def answer_waiting(app: FastAPI, issuer: Issuer) -> None:
    """Make `ApprovalNeeded` of any route an answer 202 with the request: `{"approval": {…}}`."""

    def waiting(_: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, ApprovalNeeded):
            raise error
        row = issuer.approvals.get(error.request_id)
        return JSONResponse({"approval": approval_answer(issuer.approvals, row, issuer.clock())}, 202)

    app.add_exception_handler(ApprovalNeeded, waiting)


def approvals_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The routes under `/v1/approvals`. Who decides is whoever the token belongs to."""
    operator = require_role(authenticate, Role.OPERATOR)
    router = APIRouter(prefix="/v1/approvals", tags=["approvals"], dependencies=[Depends(operator)])
    approvals = issuer.approvals

    @router.get(
        "",
        operation_id="list_approvals",
        summary="Requests that wait for people",
        response_model=ApprovalsAnswer,
        responses=problems(401, 403, 422, 503),
        openapi_extra=needs(Role.OPERATOR),
    )
    def list_approvals(
        every: Annotated[bool, Query(alias="all", description="Those that are over too.")] = False,
    ) -> JSONResponse:
        """Newest first, at most 200."""
        now = issuer.clock()
        rows = [approval_answer(approvals, row, now) for row in approvals.list(now, every=every)]
        return JSONResponse({"approvals": rows})

    @router.get(
        "/{request_id}",
        operation_id="get_approval",
        summary="One request, and who agreed",
        response_model=ApprovalAnswer,
        responses=problems(401, 403, 404, 422, 503, codes={404: "approval_unknown"}),
        openapi_extra=needs(Role.OPERATOR),
    )
    def get_approval(request_id: RequestId) -> JSONResponse:
        """Everything an approver must see."""
        return JSONResponse(approval_answer(approvals, approvals.get(request_id), issuer.clock()))

    def decide(request_id: str, caller: Caller, body: VoteBody, *, approve: bool) -> JSONResponse:
        now = issuer.clock()
        row = approvals.decide(request_id, caller.name, approve=approve, now=now, reason=body.reason)
        return JSONResponse(approval_answer(approvals, row, now))

    @router.post(
        "/{request_id}/approve",
        operation_id="approve",
        summary="Agree to this one change",
        response_model=ApprovalAnswer,
        responses=_DECIDING,
        openapi_extra=needs(Role.OPERATOR),
    )
    def approve_request(
        request_id: RequestId,
        body: VoteBody,
        caller: Caller = Depends(operator),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """Never one's own, under whichever spelling of one's name. The last agreement that is needed approves it."""
        return decide(request_id, caller, body, approve=True)

    @router.post(
        "/{request_id}/refuse",
        operation_id="refuse",
        summary="End a request",
        response_model=ApprovalAnswer,
        responses=_DECIDING,
        openapi_extra=needs(Role.OPERATOR),
    )
    def refuse_request(
        request_id: RequestId,
        body: VoteBody,
        caller: Caller = Depends(operator),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """One refusal is enough, also of a request that was approved and not used yet."""
        return decide(request_id, caller, body, approve=False)

    return router
