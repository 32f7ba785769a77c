"""Routes by which an application moves on: reviewed, decided, made, collected. Each may be asked for again."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from ecard_card.acting import Acting
from ecard_issuer.applying.answers import application_answer
from ecard_issuer.applying.values import ApplicationRow
from ecard_issuer.assembly import Issuer
from ecard_issuer.web.applying import MANDATE_CODES, ApplicationId, theirs
from ecard_issuer.web.applying_models import (
    ActingStepBody,
    ApplicationAnswer,
    MadeBody,
    ReadyBody,
    RefuseBody,
    StepBody,
    WithdrawBody,
)
from ecard_issuer.web.source_region import require_region
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

_ALIVE = "holder_dead holder_emigrated"


def steps_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The routes under `/v1/applications/{application_id}` that move it."""
    router = APIRouter(prefix="/v1/applications/{application_id}", tags=["applying"])
    by_clerk = Depends(require_role(authenticate, Role.DESK))
    by_maker = Depends(require_role(authenticate, Role.DESK, Role.SOURCE))
    by_owner = Depends(require_role(authenticate, Role.DESK, Role.CHANNEL, Role.AGENCY))
    applying = issuer.applications.desk

    def described(name: str, summary: str, *roles: Role, refused: str = "", bad: str = "", late: str = "") -> Any:
        denied = "region_not_of_source" if Role.SOURCE in roles else ""
        return {
            "operation_id": f"{name}_application",
            "summary": summary,
            "response_model": ApplicationAnswer,
            "responses": problems(
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
                    400: bad,
                    403: denied,
                    404: "application_unknown",
                    409: f"application_moved {late}",
                    422: refused,
                },
            ),
            "openapi_extra": needs(*roles),
        }

    def answer(row: ApplicationRow) -> JSONResponse:
        return JSONResponse(application_answer(row, applying.steps_of(row)))

    @router.post("/review", **described("review", "Take it from the work list", Role.DESK))
    def review(application_id: ApplicationId, body: StepBody, caller: Caller = by_clerk) -> JSONResponse:
        """Of two clerks one has it."""
        return answer(applying.review(application_id, caller.name, issuer.clock()))

    @router.post(
        "/approve",
        **described(
            "approve",
            "Approve it",
            Role.DESK,
            refused=f"application_incomplete name_differs_from_card {_ALIVE} {MANDATE_CODES}",
            bad="bad_acting",
        ),
    )
    def approve(application_id: ApplicationId, body: ActingStepBody, caller: Caller = by_clerk) -> JSONResponse:
        """Once its photo and copies are there, and whoever acts still may."""
        return answer(applying.approve(application_id, caller.name, issuer.clock(), acting=_acting(body)))

    @router.post("/refuse", **described("refuse", "Refuse it, with a reason", Role.DESK, bad="bad_note"))
    def refuse(application_id: ApplicationId, body: RefuseBody, caller: Caller = by_clerk) -> JSONResponse:
        """The person may apply again at once."""
        return answer(applying.refuse(application_id, body.reason, body.note, caller.name, issuer.clock()))

    @router.post("/produce", **described("produce", "Have the card made", Role.DESK, Role.SOURCE, refused=_ALIVE))
    def produce(application_id: ApplicationId, body: StepBody, caller: Caller = by_maker) -> JSONResponse:
        """It was sent to the card's maker."""
        require_region(issuer, caller, applying.get(application_id).region)
        return answer(applying.produce(application_id, caller.name, issuer.clock()))

    @router.post(
        "/made",
        **described(
            "made",
            "Report the card that was made",
            Role.DESK,
            Role.SOURCE,
            refused=_ALIVE,
            bad="bad_identification_code bad_card_number bad_card_validity",
            late="card_exists chip_key_taken",
        ),
    )
    def made(application_id: ApplicationId, body: MadeBody, caller: Caller = by_maker) -> JSONResponse:
        """It enters the register sealed (封存), under the person of the application."""
        row = applying.get(application_id)
        card = body.to_card(issuer.people.person(issuer.people.get(row.holder_ref)))
        require_region(issuer, caller, row.region, card.chip.identification_code.region)
        return answer(applying.made(application_id, card, caller.name, issuer.clock()))

    @router.post(
        "/ready",
        **described("ready", "Say where the card waits", Role.DESK, Role.SOURCE, refused="card_not_made"),
    )
    def ready(application_id: ApplicationId, body: ReadyBody, caller: Caller = by_maker) -> JSONResponse:
        """At a service point."""
        require_region(issuer, caller, applying.get(application_id).region)
        return answer(applying.ready(application_id, body.outlet, caller.name, issuer.clock()))

    @router.post(
        "/collect",
        **described(
            "collect",
            "Hand the card over",
            Role.DESK,
            refused=f"{_ALIVE} {MANDATE_CODES} card_change_impossible",
            bad="bad_acting",
            late="chip_already_bound",
        ),
    )
    def collect(application_id: ApplicationId, body: ActingStepBody, caller: Caller = by_clerk) -> JSONResponse:
        """Enables the card; a card that it replaces ends, and the e-card moves over."""
        return answer(applying.collect(application_id, caller.name, issuer.clock(), acting=_acting(body)))

    @router.post(
        "/withdraw",
        **described("withdraw", "Take it back", Role.DESK, Role.CHANNEL, Role.AGENCY, bad="bad_note"),
    )
    def withdraw(application_id: ApplicationId, body: WithdrawBody, caller: Caller = by_owner) -> JSONResponse:
        """Possible until a card is being made."""
        theirs(applying.get(application_id), caller)
        return answer(applying.withdraw(application_id, body.note, caller.name, issuer.clock()))

    return router


def _acting(body: ActingStepBody) -> Acting | None:
    return None if body.acting is None else body.acting.to_acting()
