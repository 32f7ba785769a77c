"""Routes of the counter's page: its admission, who is there, what it scans, what it did."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from ecard_card.errors import EcardError, NotAuthenticated
from ecard_verifier.counters.assembly import Counters
from ecard_verifier.counters.desk import Scan
from ecard_verifier.counters.entrance import require_staff
from ecard_verifier.counters.model import Standing, Way
from ecard_verifier.counters.shift import as_csv, shift_of
from ecard_verifier.counters.uploads import Upload, Uploaded, failed
from ecard_verifier.verdict import Outcome
from ecard_verifier.web.addresses import AddressOf
from ecard_verifier.web.base import problems
from ecard_verifier.web.counter_auth import (
    COOKIE,
    admitted,
    changing,
    drop_cookie,
    own_page,
    page_needs,
    set_cookie,
)
from ecard_verifier.web.counter_models import (
    CounterAdmissionBody,
    CounterChallenge,
    CounterChallengeBody,
    CounterResult,
    CounterScanBody,
    CounterShift,
    CounterStaffBody,
    CounterState,
    CounterUploadItem,
    CounterUploadsAnswer,
    CounterUploadsBody,
    result_json,
    shift_row_of,
    state_of,
    uploaded_of,
)

UPLOADS_PATH: Final = "/v1/counter/uploads"
#: Paths whose bodies may be larger: a hundred codes.
COUNTER_LARGER: Final = {UPLOADS_PATH: 512 << 10}
_OUT: Final = {401: "counter_not_admitted counter_revoked", 403: "foreign_origin"}


def counter_page_router(counters: Counters, address_of: AddressOf) -> APIRouter:
    """The routes under `/v1/counter` that this room answers."""
    router = APIRouter(prefix="/v1/counter", tags=["counter page"])
    entrance, clock, ledger = counters.administration.entrance, counters.service.now, counters.administration.ledger
    page, acting = Depends(admitted(counters)), Depends(changing(counters))

    def state(standing: Standing) -> CounterState:
        trust = counters.service.trust.current()
        times = None
        if trust is not None:
            times = (datetime.fromtimestamp(trust.issued_at, UTC), datetime.fromtimestamp(trust.expires_at, UTC))
        purposes = counters.desk.purposes_of(standing.group)
        return state_of(standing, purposes, clock(), counters.service.statuses_as_of, times, counters.origins)

    @router.post(
        "/session",
        operation_id="admit_counter_page",
        summary="Admit this page to a counter",
        response_model=CounterState,
        status_code=201,
        dependencies=[Depends(own_page)],
        responses=problems(
            *(400, 401, 403, 413, 415, 422, 429),
            codes={401: "admission_wrong", 403: "foreign_origin", 429: "admission_guesses"},
        ),
    )
    def admit_counter_page(body: CounterAdmissionBody, request: Request, response: Response) -> CounterState:
        """A code is good once, for ten minutes. The page is admitted for 30 days, or until it rests for 16 hours."""
        counters.housekeeping.turn(clock())
        standing, token = entrance.admit(body.admission_code, address_of(request), clock())
        set_cookie(response, token)
        return state(standing)

    @router.get(
        "/session",
        operation_id="show_counter_page",
        summary="Where this page is",
        response_model=CounterState,
        responses=problems(401, codes=_OUT),
        openapi_extra=page_needs(),
    )
    def show_counter_page(standing: Standing = page) -> CounterState:
        """401 tells the page to wipe what it keeps."""
        return state(standing)

    @router.delete(
        "/session",
        operation_id="leave_counter_page",
        summary="End this page's admission",
        status_code=204,
        responses=problems(401, 403, codes=_OUT),
        openapi_extra=page_needs(),
    )
    def leave_counter_page(response: Response, standing: Standing = acting) -> None:
        """Another admission is needed afterwards."""
        entrance.leave(standing)
        drop_cookie(response)

    @router.post(
        "/staff",
        operation_id="log_in_counter_staff",
        summary="Take over the counter",
        response_model=CounterState,
        responses=problems(
            *(400, 401, 403, 413, 415, 422, 429),
            codes={**_OUT, 400: "staff_pin_wrong", 422: "staff_pin_locked", 429: "staff_pin_guesses"},
        ),
        openapi_extra=page_needs(),
    )
    def log_in_counter_staff(body: CounterStaffBody, request: Request, standing: Standing = acting) -> CounterState:
        """Five wrong PINs lock a person; the group's manager sets a new PIN."""
        entrance.log_in(standing, body.alias, body.pin, clock())
        return state(_anew(request))

    @router.delete(
        "/staff",
        operation_id="log_out_counter_staff",
        summary="Nobody is at the counter",
        response_model=CounterState,
        responses=problems(401, 403, codes=_OUT),
        openapi_extra=page_needs(),
    )
    def log_out_counter_staff(request: Request, standing: Standing = acting) -> CounterState:
        """The page stays admitted."""
        entrance.log_out(standing)
        return state(_anew(request))

    def _anew(request: Request) -> Standing:
        return entrance.standing(request.cookies.get(COOKIE), clock())

    @router.post(
        "/verifications",
        operation_id="create_counter_verification",
        summary="Verify what was scanned",
        response_model=CounterResult,
        responses=problems(
            *(400, 401, 403, 404, 409, 413, 415, 422, 429),
            codes={
                401: _OUT[401],
                403: "foreign_origin staff_needed",
                404: "purpose_unknown challenge_unknown verification_unknown",
                409: "scan_differs scan_in_flight",
                429: "counter_quota_used_up",
            },
        ),
        openapi_extra=page_needs(),
    )
    def create_counter_verification(body: CounterScanBody, standing: Standing = acting) -> JSONResponse:
        """Every text gets a verdict. A code that this counter shows a second time is `check`, at another `invalid`."""
        scan = Scan(body.scan_id, body.code, body.purpose, Way(body.way), body.challenge_id)
        return JSONResponse(result_json(counters.desk.scan(standing, scan)))

    @router.post(
        "/challenges",
        operation_id="show_counter_challenge",
        summary="What the counter shows first",
        status_code=201,
        response_model=CounterChallenge,
        responses=problems(
            *(400, 401, 403, 404, 413, 415, 422),
            codes={401: _OUT[401], 403: "foreign_origin staff_needed", 404: "purpose_unknown"},
        ),
        openapi_extra=page_needs(),
    )
    def show_counter_challenge(body: CounterChallengeBody, standing: Standing = acting) -> CounterChallenge:
        """Show `text` as a QR code; the holder's app answers it with a code of its own, for two minutes. A payment's
        challenge comes from the authority (`POST /v1/relying/{service_id}/transactions`)."""
        purpose = counters.desk.purpose_of(standing.group, body.purpose)
        shown = counters.challenges.make(standing, purpose, clock())
        until = datetime.fromtimestamp(shown.challenge.expires_at, UTC)
        return CounterChallenge(challenge_id=shown.challenge_id, text=shown.challenge.text, expires_at=until)

    @router.post(
        "/uploads",
        operation_id="upload_counter_scans",
        summary="Hand in what was judged without a network",
        response_model=CounterUploadsAnswer,
        responses=problems(*(400, 401, 403, 413, 415, 422), codes={401: _OUT[401], 403: "foreign_origin staff_needed"}),
        openapi_extra=page_needs(),
    )
    def upload_counter_scans(body: CounterUploadsBody, standing: Standing = acting) -> CounterUploadsAnswer:
        """Each is judged again by what is known now, and used up nowhere. One with an empty `verification_id` could
        not be judged now: keep it and hand it in again."""
        require_staff(standing)
        return CounterUploadsAnswer(items=[uploaded_of(take(standing, item)) for item in body.items])

    def take(standing: Standing, item: CounterUploadItem) -> Uploaded:
        outcome, scanned_at = Outcome(item.outcome), _utc(item.scanned_at)
        upload = Upload(item.scan_id, item.code, item.purpose, Way(item.way), outcome, item.reason, scanned_at)
        try:
            return counters.uploads.take(standing, upload)
        except NotAuthenticated:
            raise
        except EcardError as error:
            return failed(item.scan_id, error)

    @router.get(
        "/shift",
        operation_id="show_counter_shift",
        summary="What this counter did",
        response_model=CounterShift,
        responses=problems(401, codes=_OUT),
        openapi_extra=page_needs(),
    )
    def show_counter_shift(standing: Standing = page) -> CounterShift:
        """The last 24 hours, without names."""
        rows = shift_of(ledger, standing.counter.counter_id, clock())
        return CounterShift(rows=[shift_row_of(row) for row in rows])

    @router.get(
        "/shift.csv",
        operation_id="export_counter_shift",
        summary="The same as CSV",
        response_class=Response,
        responses={
            200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "RFC 4180, UTF-8"},
            **problems(401, codes=_OUT),
        },
        openapi_extra=page_needs(),
    )
    def export_counter_shift(standing: Standing = page) -> Response:
        """No cell begins a formula."""
        return csv_answer(as_csv(shift_of(ledger, standing.counter.counter_id, clock())))

    return router


def _utc(moment: datetime) -> datetime:
    """`moment`; one beyond the calendar's ends as that end: a page's clock may say anything."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return (datetime.min if moment.year == 1 else datetime.max).replace(tzinfo=UTC)


def csv_answer(text: str) -> Response:
    """With the mark by which spreadsheets know UTF-8."""
    headers = {"Content-Disposition": 'attachment; filename="shift.csv"'}
    return Response("\ufeff" + text, media_type="text/csv; charset=utf-8", headers=headers)
