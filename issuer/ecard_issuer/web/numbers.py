"""`POST /v1/numbers/find`: a verifier asks which code a number stands for."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from ecard_issuer.assembly import Issuer
from ecard_issuer.web.sessions_models import FindNumberBody, FoundNumberAnswer
from ecard_verifier.callers import Caller, Role
from ecard_verifier.numbers import NUMBER_PATH
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems


def numbers_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The one route."""
    router = APIRouter(tags=["verification"])

    @router.post(
        NUMBER_PATH,
        operation_id="find_number",
        summary="Which code a number stands for",
        response_model=FoundNumberAnswer,
        responses=problems(
            400, 401, 403, 404, 413, 415, 422, codes={403: "number_guesses_used_up", 404: "number_unknown"}
        ),
        openapi_extra=needs(Role.VERIFIER),
    )
    def find_number(
        body: FindNumberBody,
        caller: Caller = Depends(require_role(authenticate, Role.VERIFIER)),  # noqa: B008 - how FastAPI is told
    ) -> FoundNumberAnswer:
        """For the minute that the code lives. A counter that is wrong 20 times in ten minutes is refused, and a
        verifier whose counters are wrong 1000 times."""
        numbers, now = issuer.showing.numbers, issuer.clock()
        return FoundNumberAnswer(code=numbers.code_of(body.number, body.counter, now, caller.name))

    return router
