"""`POST /v1/links/{link_id}/tickets`: a channel's back end fetches a ticket for its page."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path

from ecard_issuer.assembly import Issuer
from ecard_issuer.channels.scopes import Scope
from ecard_issuer.channels.tokens import ChannelCaller
from ecard_issuer.web.channel_auth import channel_problems, needs_scope, require_channel
from ecard_issuer.web.conventions.idempotency import CODES, idempotent
from ecard_issuer.web.sessions_models import TicketAnswer, TicketBody

_ALL: Final = (400, 401, 403, 404, 409, 413, 415, 422, 503)
_CODES: Final = {
    **CODES,
    404: "link_unknown",
    422: f"{CODES[422]} link_released page_not_registered",
}


def tickets_router(issuer: Issuer) -> APIRouter:
    """The one route."""
    router = APIRouter(tags=["component"])
    channel = require_channel(issuer, Scope.SHOW)

    @router.post(
        "/v1/links/{link_id}/tickets",
        operation_id="create_ticket",
        summary="A ticket for a page that shows this link's e-card",
        response_model=TicketAnswer,
        status_code=201,
        responses=channel_problems(*_ALL, codes=_CODES),
        openapi_extra=needs_scope(Scope.SHOW),
        dependencies=[Depends(idempotent(issuer, channel))],
    )
    def create_ticket(
        body: TicketBody,
        link_id: Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="The channel's own link.")],
        caller: ChannelCaller = Depends(channel),  # noqa: B008 - how FastAPI is told
    ) -> TicketAnswer:
        """Good once, for 30 seconds, for one page: a new key for each page that is opened. One that no page takes
        does nothing and is forgotten."""
        return TicketAnswer.of(issuer.showing.tickets.issue(caller.app_id, link_id, body.origin, issuer.clock()))

    return router
