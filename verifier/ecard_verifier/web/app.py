"""The counter service over HTTP: verifications, the counters of merchants, and two questions about health."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse, JSONResponse

from ecard_verifier.counters.assembly import Counters
from ecard_verifier.openid4vp.presentations import Presentations
from ecard_verifier.service import VerificationService
from ecard_verifier.web.addresses import PEER, AddressOf
from ecard_verifier.web.auth import Authenticate
from ecard_verifier.web.base import Lifespan, adopt, new_api
from ecard_verifier.web.counter_auth import WithGroups
from ecard_verifier.web.counter_groups import groups_router
from ecard_verifier.web.counter_offline import counter_offline_router
from ecard_verifier.web.counter_page import COUNTER_LARGER, counter_page_router
from ecard_verifier.web.counter_people import alarms_router, staff_router
from ecard_verifier.web.counter_places import branches_router, counters_router
from ecard_verifier.web.counter_screen import counter_screen_router
from ecard_verifier.web.docs import front_page
from ecard_verifier.web.models import Live, Ready
from ecard_verifier.web.presentations import PRESENTATION_FORMS, presentations_router
from ecard_verifier.web.verifications import verifications_router

_ABOUT = (
    "Validates e-card codes and tokens. The answer is a verdict with one of four outcomes: valid, check (a person"
    " must compare something), invalid, undecided. Codes travel in bodies only."
)
_PAGE = ("counter", "the page on which a counter scans")
_LINKS = (
    ("docs", "the API, route by route"),
    ("openapi.json", "the same for machines"),
    ("health/ready", "whether verdicts can be given now"),
)


def service_routers(
    service: VerificationService,
    authenticate: Authenticate,
    counters: Counters | None,
    address_of: AddressOf,
    presentations: Presentations | None,
) -> Sequence[APIRouter]:
    """What a verifier answers, for an application of its own or for its issuer's. The tokens of groups are known
    besides those that `authenticate` knows."""
    if counters is None:
        return [verifications_router(service, authenticate, None), presentations_router(presentations, authenticate)]
    known = WithGroups(counters, authenticate)
    return [
        verifications_router(service, known, counters),
        presentations_router(presentations, known, counters),
        counter_screen_router(frame_origins=lambda: counters.origins),
        counter_page_router(counters, address_of),
        *([] if counters.bundles is None else [counter_offline_router(counters, counters.bundles)]),
        groups_router(counters, known),
        branches_router(counters, known),
        counters_router(counters, known),
        staff_router(counters, known),
        alarms_router(counters, known),
    ]


def create_app(
    service: VerificationService,
    authenticate: Authenticate,
    *,
    counters: Counters | None = None,
    address_of: AddressOf = PEER,
    readiness: Callable[[], Ready] | None = None,
    lifespan: Lifespan | None = None,
    presentations: Presentations | None = None,
) -> FastAPI:
    """The application. `authenticate` turns a bearer token into a caller or None; callers need the role `counter`.

    With `counters` it serves merchants at their counters too; `address_of` says whose guesses are counted together.
    Without `presentations` nothing is asked of wallets. `readiness` answers `/health/ready`; without it the service is
    always ready (an offline bundle).
    """
    app = new_api("e-card verifier", _ABOUT, larger=COUNTER_LARGER, forms=PRESENTATION_FORMS, lifespan=lifespan)
    for router in service_routers(service, authenticate, counters, address_of, presentations):
        adopt(app, router)

    @app.get("/health/live", operation_id="health_live", summary="Is it running", response_model=Live, tags=["health"])
    async def health_live() -> Live:
        """Says nothing about the world outside, and waits for no worker thread."""
        return Live()

    @app.get(
        "/health/ready",
        operation_id="health_ready",
        summary="Can it give verdicts",
        response_model=Ready,
        responses={503: {"model": Ready, "description": "Not now"}},
        tags=["health"],
    )
    def health_ready() -> JSONResponse:
        """Ready when the trust list is current and the statuses are recent."""
        state = readiness() if readiness else Ready(ready=True, trust=True, statuses=True)
        return JSONResponse(state.model_dump(), 200 if state.ready else 503)

    @app.get("/", include_in_schema=False)
    def front() -> HTMLResponse:
        return front_page(app.title, "This is an e-card verifier.", _LINKS if counters is None else (_PAGE, *_LINKS))

    return app
