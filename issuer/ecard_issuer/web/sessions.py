"""Routes of pages that show an e-card: a session opened by a ticket, and what it may do.

No role and no channel's token opens these: the ticket does, and then the session's own token, from the page that the
ticket was made for.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.responses import Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from ecard_card.errors import EcardError, NotAuthenticated
from ecard_issuer.assembly import Issuer
from ecard_issuer.tickets.values import ShowSession
from ecard_issuer.web.conventions.idempotency import idempotent, with_once
from ecard_issuer.web.conventions.rates import COUNTED, address_counter, count_session
from ecard_issuer.web.link_models import CodesAnswer
from ecard_issuer.web.sessions_models import (
    CodesBody,
    DeviceAnswer,
    DeviceBody,
    NumberAnswer,
    NumberBody,
    SessionAnswer,
    SessionBody,
    StandingAnswer,
)
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.base import problems

LONGEST_WAIT: Final = 25.0  # seconds that a request for news waits
_PAUSE: Final = 1.0  # seconds between two looks for a page whose credential is not known here
_MOST_WAITING: Final = 4096  # requests that wait at once; one more is answered at once
_TOKEN: Final = HTTPBearer(
    scheme_name="PageSession", auto_error=False, description="The token of one session, in its page alone."
)
_COUNTED: Final = {COUNTED: "session"}
_ALL: Final = (400, 401, 403, 404, 413, 415, 422, 503)
_SESSION_CODES: Final = {
    401: "session_unknown session_over",
    403: "session_wrong_page app_suspended",
    404: "link_unknown",
}
_LINK_CODES: Final = "link_released ecard_ended ecard_not_usable"

Origin = Annotated[
    str | None, Header(max_length=1024, description="Written by the browser: the page that the ticket was made for.")
]
SessionId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="Which session.")]


def sessions_router(issuer: Issuer) -> APIRouter:
    """The routes under `/v1/sessions`."""
    tickets, watch, clock = issuer.showing.tickets, issuer.showing.watch, issuer.clock
    router = APIRouter(prefix="/v1/sessions", tags=["component"])

    count_address = address_counter(issuer)

    def held(session_id: str, given: HTTPAuthorizationCredentials | None, origin: str | None) -> ShowSession:
        if given is None or not 0 < len(given.credentials) <= 128:
            raise NotAuthenticated("session_unknown", "a session's token is needed")
        return tickets.session(session_id, given.credentials, origin, clock())

    def of_page(
        request: Request,
        session_id: SessionId,
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(_TOKEN)],
        origin: Origin = None,
    ) -> ShowSession:
        """Many pages share one address. Who shows a session is counted by it, and only who shows none by address."""
        try:
            session = held(session_id, given, origin)
        except EcardError:
            count_address(request)
            raise
        count_session(issuer, request, session.session_id)
        return session

    page = Depends(of_page)

    def as_caller(session: ShowSession = page) -> Caller:
        return Caller(f"session {session.session_id}", Role.CHANNEL)

    once = [Depends(idempotent(issuer, as_caller, required=False))]

    @router.post(
        "",
        operation_id="open_session",
        summary="Open a session with a ticket",
        response_model=SessionAnswer,
        status_code=201,
        responses=problems(
            *_ALL,
            codes={
                401: "ticket_unknown ticket_expired ticket_used",
                403: "ticket_wrong_page app_suspended",
                404: "link_unknown",
                422: "link_released",
            },
        ),
        openapi_extra=_COUNTED,
    )
    def open_session(request: Request, body: SessionBody, origin: Origin = None) -> SessionAnswer:
        """A ticket is good once. It is not sent again: one whose answer was lost has opened its session, and coming a
        second time it ends it."""
        now = clock()
        try:
            opened = tickets.redeem(body.ticket, origin, now)
        except EcardError:
            count_address(request)
            raise
        standing = tickets.standing(opened.session, now)
        test = opened.session.app_id.startswith("ek_test_")
        return SessionAnswer.opened(opened, standing, tickets.issuer, test=test)

    @router.post(
        "/{session_id}/device",
        operation_id="register_session_device",
        summary="A credential for the browser's own key",
        response_model=DeviceAnswer,
        responses=problems(
            *_ALL,
            409,
            codes=with_once(
                {**_SESSION_CODES, 400: "bad_device_proof bad_jwk bad_jws wrong_type", 422: _LINK_CODES}, required=False
            ),
        ),
        dependencies=once,
        openapi_extra=_COUNTED,
    )
    def register_session_device(body: DeviceBody, session: ShowSession = page) -> DeviceAnswer:
        """The private half never leaves the browser. The same key again gets the same credential."""
        issued = tickets.device(session, body.point(), body.proof, clock())
        issuer.wake.ring()
        return DeviceAnswer.of(issued)

    @router.post(
        "/{session_id}/codes",
        operation_id="fetch_session_codes",
        summary="Codes made by the authority",
        response_model=CodesAnswer,
        responses=problems(
            *_ALL,
            409,
            codes=with_once({**_SESSION_CODES, 422: f"{_LINK_CODES} codes_ahead_not_permitted"}, required=False),
        ),
        dependencies=once,
        openapi_extra=_COUNTED,
    )
    def fetch_session_codes(body: CodesBody, session: ShowSession = page) -> CodesAnswer:
        """For a page that can keep no key. Each call makes new ones."""
        codes = tickets.codes(session, body.count, clock())
        issuer.wake.ring()
        return CodesAnswer.of(codes)

    @router.post(
        "/{session_id}/numbers",
        operation_id="give_session_number",
        summary="A number for a code",
        response_model=NumberAnswer,
        responses=problems(
            *_ALL,
            409,
            codes=with_once(
                {
                    **_SESSION_CODES,
                    400: "code_not_of_this_card unreadable_code code_damaged bad_code",
                    503: "numbers_unavailable",
                },
                required=False,
            ),
        ),
        dependencies=once,
        openapi_extra=_COUNTED,
    )
    def give_session_number(body: NumberBody, session: ShowSession = page) -> NumberAnswer:
        """For counters with a keyboard or a laser scanner. It lives as long as the code, and is used up with it."""
        return NumberAnswer(number=tickets.number(session, body.code, clock()))

    @router.get(
        "/{session_id}/state",
        operation_id="wait_for_session_state",
        summary="Whether the e-card may be shown, as soon as that changes",
        response_model=StandingAnswer,
        responses=problems(401, 403, 404, 422, 503, codes=_SESSION_CODES),
        openapi_extra=_COUNTED,
    )
    async def wait_for_session_state(
        request: Request,
        session_id: SessionId,
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(_TOKEN)],
        after: Annotated[
            str, Query(pattern="^[a-z]{0,20}$", description="The version that is known; without it, no waiting.")
        ] = "",
        origin: Origin = None,
    ) -> Response:
        """Answers at once where something else holds than `after`, else when it changes, else after 25 s."""

        def look() -> StandingAnswer:
            return StandingAnswer.of(tickets.standing(held(session_id, given, origin), clock()))

        session = await run_in_threadpool(of_page, request, session_id, given, origin)
        entry = None
        if session.status_uri is not None and session.status_index is not None:
            entry = session.status_uri, session.status_index
        loop = asyncio.get_running_loop()
        end = loop.time() + LONGEST_WAIT
        with watch.bell(session_id, entry) as bell:
            while True:
                bell.clear()
                found = await run_in_threadpool(look)
                left = end - loop.time()
                if found.version != after or left <= 0 or watch.closed or watch.waiting > _MOST_WAITING:
                    return Response(found.model_dump_json(), media_type="application/json")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(bell.wait(), left)
                if entry is None:
                    await asyncio.sleep(min(_PAUSE, max(0.0, end - loop.time())))

    return router
