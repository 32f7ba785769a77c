"""Routes of agencies: employers, communities and schools apply for their people, in pieces of a batch."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import JSONResponse

from ecard_card.errors import EcardError, Unavailable
from ecard_issuer.applying.answers import outcome_answer
from ecard_issuer.applying.batches import MOST_ROWS, AgencyRow, RowOutcome
from ecard_issuer.assembly import Issuer
from ecard_issuer.web.applying_models import BatchAnswer, BatchBody, BatchPageAnswer
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

BatchId = Annotated[str, Path(pattern="^[A-Za-z0-9._:-]{1,64}$", description="The agency's own `batch_id`.")]


def agencies_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The routes under `/v1/agency-batches`. A batch is seen by the agency that sent it."""
    by_agency = Depends(require_role(authenticate, Role.AGENCY))
    router = APIRouter(prefix="/v1/agency-batches", tags=["acting for another"])
    batches = issuer.applications.batches

    @router.post(
        "",
        operation_id="send_agency_batch",
        summary="Apply for people who consented",
        response_model=BatchAnswer,
        responses=problems(400, 401, 403, 413, 415, 422, 503, codes={400: "bad_batch"}),
        openapi_extra=needs(Role.AGENCY),
    )
    def send_batch(body: BatchBody, caller: Caller = by_agency) -> JSONResponse:
        """At most 200 rows at a time, each with a consent; one outcome for each. Rows sent again answer as before."""
        rows: list[AgencyRow] = []
        unreadable: dict[int, RowOutcome] = {}
        for sent in body.rows:
            try:
                rows.append(sent.to_row())
            except Unavailable:
                raise
            except EcardError as error:  # nothing is kept of it: it may be sent again, put right
                unreadable[sent.row] = RowOutcome(sent.row, error.code)
        told = batches.submit(body.batch_id, rows, caller.name, issuer.clock()) if rows else ()
        outcomes = unreadable | {outcome.row: outcome for outcome in told}
        answers = [outcome_answer(outcomes[sent.row]) for sent in body.rows]
        return JSONResponse({"batch_id": body.batch_id, "rows": answers})

    @router.get(
        "/{batch_id}",
        operation_id="get_agency_batch",
        summary="The outcomes of a batch",
        response_model=BatchPageAnswer,
        responses=problems(401, 403, 422, 503),
        openapi_extra=needs(Role.AGENCY),
    )
    def get_batch(
        batch_id: BatchId,
        caller: Caller = by_agency,
        after: Annotated[int, Query(ge=0, description="`next` of the page before.")] = 0,
    ) -> JSONResponse:
        """By row number, 200 at a time. A batch of which nothing arrived has no rows."""
        page = batches.outcomes(batch_id, caller.name, after, MOST_ROWS)
        return JSONResponse(
            {
                "batch_id": batch_id,
                "rows": [outcome_answer(outcome) for outcome in page],
                "counts": batches.counts(batch_id, caller.name),
                "next": page[-1].row if len(page) == MOST_ROWS else None,
            }
        )

    return router
