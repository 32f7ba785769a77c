"""The counter service over HTTP: one verb, and two questions about health."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Depends, FastAPI
from fastapi.responses import HTMLResponse, JSONResponse

from ecard_card.card import ChipAssurance
from ecard_verifier.callers import Caller, Role
from ecard_verifier.service import VerificationService
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import Lifespan, needs, new_api, problems
from ecard_verifier.web.docs import front_page
from ecard_verifier.web.models import Live, Ready, Verification, VerificationRequest, to_json

_ABOUT = (
    "Validates e-card codes and tokens. The answer is a verdict with one of four outcomes: valid, check (a person"
    " must compare something), invalid, undecided. Codes travel in bodies only."
)
_LINKS = (
    ("docs", "the API, route by route"),
    ("openapi.json", "the same for machines"),
    ("health/ready", "whether verdicts can be given now"),
)


def create_app(
    service: VerificationService,
    authenticate: Authenticate,
    *,
    readiness: Callable[[], Ready] | None = None,
    lifespan: Lifespan | None = None,
) -> FastAPI:
    """The application. `authenticate` turns a bearer token into a caller or None; callers need the role `counter`.

    `readiness` answers `/health/ready`; without it the service is always ready (an offline bundle).
    """
    app = new_api("e-card verifier", _ABOUT, lifespan=lifespan)
    counter_role = require_role(authenticate, Role.COUNTER)

    @app.post(
        "/v1/verifications",
        operation_id="create_verification",
        summary="Verify a code",
        response_model=Verification,
        responses=problems(400, 401, 403, 413, 415, 422),
        tags=["verification"],
        openapi_extra=needs(Role.COUNTER),
    )
    def create_verification(
        request: VerificationRequest,
        caller: Caller = Depends(counter_role),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """Every text gets a verdict, also one that is no code at all. A valid code is used up by this."""
        wanted = request.minimum_assurance
        result = service.verify(
            request.code,
            counter=request.counter or caller.name,
            audience=request.audience,
            minimum_assurance=ChipAssurance.from_label(wanted) if wanted else None,
        )
        return JSONResponse(to_json(result))

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
        return front_page(app.title, "This is an e-card verifier.", _LINKS)

    return app
