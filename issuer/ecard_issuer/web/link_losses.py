"""Routes by which a holder reports their card lost in an app, and that it was found (临时挂失、解挂)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from ecard_card.errors import RuleViolation
from ecard_card.status import CardStatus
from ecard_issuer.assembly import Issuer
from ecard_issuer.channels.scopes import Scope
from ecard_issuer.channels.tokens import ChannelCaller
from ecard_issuer.life.values import Asked, LossKind, Outcome
from ecard_issuer.life.who import Who
from ecard_issuer.web.channel_auth import channel_problems, needs_scope, require_channel
from ecard_issuer.web.conventions.idempotency import idempotent, with_once
from ecard_issuer.web.link_models import LinkLoss, LossOfLink
from ecard_issuer.web.links import ACTING, CHANGE, LinkId
from ecard_verifier.verdict import rfc3339

_OPENING = f"link_released ecard_ended card_change_impossible channel_not_permitted {ACTING}"


def link_losses_router(issuer: Issuer) -> APIRouter:
    """`/v1/links/{link_id}/losses` and its release."""
    router = APIRouter(prefix="/v1/links", tags=["links"])
    signed = require_channel(issuer, Scope.LOSS, signed=True)
    losses = issuer.life.losses

    def who(caller: ChannelCaller, link_id: str, body: LinkLoss) -> tuple[Who, Asked]:
        ecard = issuer.links.ecard(issuer.links.get(caller.app_id, link_id), issuer.clock())
        asked = Asked(body.request_id, caller.caller, body.way, body.who)
        return Who(ecard_id=ecard.ecard_id), asked

    def route(codes: dict[int, str]) -> dict[str, Any]:
        return {
            "response_model": LossOfLink,
            "responses": channel_problems(*CHANGE, signed=True, codes=with_once(codes)),
            "openapi_extra": needs_scope(Scope.LOSS, signed=True),
            "dependencies": [Depends(idempotent(issuer, signed))],
        }

    @router.post(
        "/{link_id}/losses",
        operation_id="report_link_loss",
        summary="Report the card lost (临时挂失)",
        **route({400: "bad_acting", 404: "link_unknown", 409: "request_differs", 422: _OPENING}),
    )
    def report_link_loss(
        link_id: LinkId,
        body: LinkLoss,
        caller: ChannelCaller = Depends(signed),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """Card and e-card stop at every counter, in every app. The bank account is the bank's: tell the bank too."""
        outcome = losses.report(LossKind.TEMPORARY, *who(caller, link_id, body), issuer.clock())
        return JSONResponse(_answer(link_id, outcome))

    @router.post(
        "/{link_id}/losses/release",
        operation_id="release_link_loss",
        summary="The card was found (解挂)",
        **route(
            {
                400: "bad_acting",
                404: "link_unknown",
                409: "request_differs replacement_under_way",
                422: f"{_OPENING} release_not_permitted replacement_only",
            }
        ),
    )
    def release_link_loss(
        link_id: LinkId,
        body: LinkLoss,
        caller: ChannelCaller = Depends(signed),  # noqa: B008
    ) -> JSONResponse:
        """Where the region lets the holder release a temporary loss. A formal one is released at a desk, if at all: who
        has the phone may be who has the card."""
        ecard = issuer.links.ecard(issuer.links.get(caller.app_id, link_id), issuer.clock())
        if ecard.card.status is CardStatus.LOST and ecard.policy.loss.formal_may_release:
            raise RuleViolation("release_not_permitted", "this card was formally reported lost: not in an app")
        return JSONResponse(_answer(link_id, losses.release(*who(caller, link_id, body), issuer.clock())))

    return router


def _answer(link_id: str, outcome: Outcome) -> dict[str, object]:
    case = outcome.case
    return {
        "link_id": link_id,
        "case_id": case.case_id,
        "applied": case.applied,
        "status": outcome.effect.name.lower(),
        "opened_at": rfc3339(case.opened_at),
        "ends_at": rfc3339(case.due_at) if case.due_at else None,
        "ends_by": case.due_end.value if case.due_end else None,
    }
