"""Routes by which the physical card system tells us what happened, and people see what could not be taken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from ecard_card import messages
from ecard_card.errors import EcardError, InvalidInput, NotFound, Unavailable
from ecard_issuer.assembly import Issuer
from ecard_issuer.intake.answers import (
    delivery_error,
    exception_answer,
    gap_answer,
    reconciliation_answer,
    source_answer,
)
from ecard_issuer.intake.set_token import MAX_SET
from ecard_issuer.intake.sources import Source
from ecard_issuer.intake.states import Delivery
from ecard_issuer.web.intake_models import (
    DeliveryError,
    DismissBody,
    ExceptionAnswer,
    ExceptionsAnswer,
    GapsAnswer,
    ReconciliationAnswer,
    ReconciliationsAnswer,
    SourceAnswer,
    SourceBody,
    SourcesAnswer,
)
from ecard_verifier.callers import CALLER_NAME, Caller, Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

SET_MEDIA_TYPE = "application/secevent+jwt"
PAGE = 200
CallerOf = Callable[..., Awaitable[Caller]]
SourceName = Annotated[str, Path(pattern=f"^{CALLER_NAME.pattern}$", description="The caller's name.")]
ExceptionRef = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="The `exception_ref`.")]
_PUSHED: dict[int | str, dict[str, Any]] = {
    202: {"description": "Safe here: applied, known already, or kept for a person to see"},
    400: {"description": "Not taken; do not repeat it as it is", "model": DeliveryError},
}
_DECIDING = (400, 401, 403, 404, 409, 413, 415, 422, 503)


async def _raw(request: Request) -> bytes:
    return await request.body()


def intake_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """`/v1/card-events`, `/v1/card-sources`, `/v1/intake` and `/v1/reconciliations`."""
    source_caller = require_role(authenticate, Role.SOURCE)
    operator = require_role(authenticate, Role.OPERATOR)
    router = APIRouter(prefix="/v1", tags=["intake"])
    _events(router, issuer, source_caller)
    _sources(router, issuer, operator)
    _exceptions(router, issuer, operator)
    _records(router, issuer, operator)
    return router


def _events(router: APIRouter, issuer: Issuer, source_caller: CallerOf) -> None:
    office = issuer.intake

    @router.post(
        "/card-events",
        operation_id="push_card_event",
        summary="Push one signed event (RFC 8935)",
        status_code=202,
        response_class=Response,
        responses={**_PUSHED, **problems(401, 403, 413, 415, 503)},
        openapi_extra=needs(Role.SOURCE)
        | {"requestBody": {"required": True, "content": {SET_MEDIA_TYPE: {"schema": {"type": "string"}}}}},
    )
    def push(
        request: Request,
        body: bytes = Depends(_raw),
        caller: Caller = Depends(source_caller),  # noqa: B008 - how FastAPI is told
    ) -> Response:
        """The body is the token itself. The caller's name is the source's; its own keys and regions count."""
        try:
            media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if media_type != SET_MEDIA_TYPE or not 0 < len(body) <= MAX_SET or not body.isascii():
                raise InvalidInput("bad_card_event", f"the body is one token as {SET_MEDIA_TYPE}")
            office.events.receive(_push_source(issuer, caller), body.decode("ascii").strip(), issuer.clock())
        except Unavailable:
            raise
        except EcardError as error:
            language = messages.language(request.headers.get("accept-language", ""))
            answer = {
                "err": delivery_error(error.code),
                "description": messages.text(error.code, language),
                "code": error.code,
            }
            return JSONResponse(answer, 400, headers={"Content-Language": language})
        return Response(status_code=202)


def _push_source(issuer: Issuer, caller: Caller) -> Source:
    source = issuer.intake.sources.get(caller.name)
    if source.delivery is not Delivery.PUSH:
        raise NotFound("source_unknown", "this source is polled and does not push")
    return source


def _sources(router: APIRouter, issuer: Issuer, operator: CallerOf) -> None:
    office = issuer.intake

    @router.get(
        "/card-sources",
        operation_id="list_card_sources",
        summary="The card systems whose word is taken",
        response_model=SourcesAnswer,
        responses=problems(401, 403, 503),
        openapi_extra=needs(Role.OPERATOR),
        dependencies=[Depends(operator)],
    )
    def list_sources() -> JSONResponse:
        """With keys and regions, without poll tokens."""
        return JSONResponse({"sources": [source_answer(row) for row in office.sources.all()]})

    @router.put(
        "/card-sources/{name}",
        operation_id="put_card_source",
        summary="Register a card system, or change what is known of it",
        response_model=SourceAnswer,
        responses=problems(400, 401, 403, 413, 415, 422, 503, codes={400: "bad_source"}),
        openapi_extra=needs(Role.OPERATOR),
    )
    def put_source(
        name: SourceName,
        body: SourceBody,
        caller: Caller = Depends(operator),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """Takes four eyes: answered 202 with a request until another operator has agreed to exactly this."""
        source = body.to_source(name)
        row = office.sources.put(source, caller.name, issuer.clock(), poll_token=body.poll_token)
        return JSONResponse(source_answer(row))

    @router.delete(
        "/card-sources/{name}",
        operation_id="end_card_source",
        summary="Take no more of a card system's word",
        status_code=204,
        response_class=Response,
        responses=problems(401, 403, 404, 422, 503, codes={404: "source_unknown"}),
        openapi_extra=needs(Role.OPERATOR),
        dependencies=[Depends(operator)],
    )
    def end_source(name: SourceName) -> Response:
        """One operator suffices: this takes trust and gives none."""
        office.sources.end(name, issuer.clock())
        return Response(status_code=204)


def _exceptions(router: APIRouter, issuer: Issuer, operator: CallerOf) -> None:
    office = issuer.intake

    @router.get(
        "/intake/exceptions",
        operation_id="list_intake_exceptions",
        summary="What came in and could not be taken",
        response_model=ExceptionsAnswer,
        responses=problems(400, 401, 403, 422, 503, codes={400: "bad_page"}),
        openapi_extra=needs(Role.OPERATOR),
        dependencies=[Depends(operator)],
    )
    def list_exceptions(
        request: Request,
        after: Annotated[str | None, Query(max_length=80, description="From the page before.")] = None,
    ) -> JSONResponse:
        """Open ones, oldest first, 200 at a time."""
        language = messages.language(request.headers.get("accept-language", ""))
        rows = office.store.open_exceptions(_place(after), PAGE)
        last = f"{rows[-1].first_seen.isoformat()}|{rows[-1].exception_ref}" if len(rows) == PAGE else None
        answers = [exception_answer(row, language) for row in rows]
        return JSONResponse({"exceptions": answers, "after": last, "counts": dict(office.store.counts())})

    @router.get(
        "/intake/exceptions/{exception_ref}",
        operation_id="get_intake_exception",
        summary="One of them",
        response_model=ExceptionAnswer,
        responses=problems(401, 403, 404, 422, 503, codes={404: "exception_unknown"}),
        openapi_extra=needs(Role.OPERATOR),
        dependencies=[Depends(operator)],
    )
    def get_exception(request: Request, exception_ref: ExceptionRef) -> JSONResponse:
        """Settled ones too."""
        language = messages.language(request.headers.get("accept-language", ""))
        return JSONResponse(exception_answer(office.store.get_exception(exception_ref), language))

    @router.post(
        "/intake/exceptions/{exception_ref}/retry",
        operation_id="retry_intake_exception",
        summary="Try one again",
        response_model=ExceptionAnswer,
        responses=problems(
            *_DECIDING,
            codes={
                404: "exception_unknown card_unknown",
                409: "exception_settled card_event_differs card_ambiguous",
                422: "exception_not_repeatable card_change_impossible card_change_superseded card_event_from_future",
            },
        ),
        openapi_extra=needs(Role.OPERATOR),
    )
    def retry_exception(
        exception_ref: ExceptionRef,
        caller: Caller = Depends(operator),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """Refused as before if nothing has changed."""
        return JSONResponse(exception_answer(office.events.retry(exception_ref, caller.name, issuer.clock())))

    @router.post(
        "/intake/exceptions/{exception_ref}/dismiss",
        operation_id="dismiss_intake_exception",
        summary="Decide that nothing follows",
        response_model=ExceptionAnswer,
        responses=problems(*_DECIDING, codes={400: "bad_reason", 404: "exception_unknown", 409: "exception_settled"}),
        openapi_extra=needs(Role.OPERATOR),
    )
    def dismiss_exception(
        exception_ref: ExceptionRef,
        body: DismissBody,
        caller: Caller = Depends(operator),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """With the reason, under the caller's name. The same event again does not open it."""
        row = office.events.dismiss(exception_ref, caller.name, body.reason, issuer.clock())
        return JSONResponse(exception_answer(row))


def _records(router: APIRouter, issuer: Issuer, operator: CallerOf) -> None:
    store = issuer.intake.store

    @router.get(
        "/intake/gaps",
        operation_id="list_intake_gaps",
        summary="Numbers of a source's sequence that never came",
        response_model=GapsAnswer,
        responses=problems(401, 403, 422, 503),
        openapi_extra=needs(Role.OPERATOR),
        dependencies=[Depends(operator)],
    )
    def list_gaps(
        source: Annotated[str | None, Query(max_length=64, description="Of one source.")] = None,
    ) -> JSONResponse:
        """At most 200. A late arrival closes its gap."""
        return JSONResponse({"gaps": [gap_answer(row) for row in store.gaps(source)]})

    @router.get(
        "/reconciliations",
        operation_id="list_reconciliations",
        summary="Comparisons of the register with snapshots",
        response_model=ReconciliationsAnswer,
        responses=problems(401, 403, 503),
        openapi_extra=needs(Role.OPERATOR),
        dependencies=[Depends(operator)],
    )
    def list_reconciliations() -> JSONResponse:
        """Newest first, at most 100; made by `ecard reconcile`."""
        return JSONResponse({"reconciliations": [reconciliation_answer(row) for row in store.reconciliations()]})

    @router.get(
        "/reconciliations/{report_digest}",
        operation_id="get_reconciliation",
        summary="One comparison",
        response_model=ReconciliationAnswer,
        responses=problems(401, 403, 404, 422, 503, codes={404: "report_unknown"}),
        openapi_extra=needs(Role.OPERATOR),
        dependencies=[Depends(operator)],
    )
    def get_reconciliation(report_digest: Annotated[str, Path(pattern="^[0-9a-f]{64}$")]) -> JSONResponse:
        """Sums only; the differences stand in the report's file."""
        return JSONResponse(reconciliation_answer(store.get_reconciliation(report_digest)))


def _place(after: str | None) -> tuple[datetime, str] | None:
    if after is None:
        return None
    moment, _, reference = after.partition("|")
    try:
        place = datetime.fromisoformat(moment)
        if place.tzinfo is None:
            raise ValueError
    except ValueError:
        raise InvalidInput("bad_page", "after: as the page before gave it") from None
    return place, reference
