"""Routes of channels' events: reading the log, waiting for news, the channel's webhooks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from ecard_issuer.channel_events.answers import event_answer
from ecard_issuer.channel_events.office import MAX_EVENTS, EventPage
from ecard_issuer.channels.scopes import Scope
from ecard_issuer.channels.tokens import ChannelCaller
from ecard_issuer.issuer import Issuer
from ecard_issuer.partners.streams import Delivery, DeliveryState, Stream
from ecard_issuer.partners.webhook_signature import public_text, secret_text
from ecard_issuer.web.channel_auth import channel_problems, needs_scope, require_channel
from ecard_issuer.web.channel_event_models import (
    ChannelDeliveries,
    ChannelEventsAnswer,
    ChannelWebhook,
    ChannelWebhooks,
    ChannelWebhookSecret,
    ResentAnswer,
)
from ecard_issuer.web.conventions.idempotency import CODES, idempotent
from ecard_verifier.verdict import rfc3339

#: Seconds that a caller may have us wait, and after which the log is looked at although nothing rang.
LONGEST_WAIT: Final = 25
_LOOK_AGAIN: Final = 2.0
_MOST_WAITING: Final = 200  # calls at one time; more are answered at once
Cursor = Annotated[
    str | None, Query(pattern="^[0-9]{1,15}$", description="A `cursor` of an answer; none: the oldest event kept.")
]
Limit = Annotated[int, Query(ge=1, le=MAX_EVENTS, description="How many at most.")]
Wait = Annotated[int, Query(ge=0, le=LONGEST_WAIT, description="Seconds to wait for an event where there is none.")]
EventId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="An event's id.")]
WebhookId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="A webhook's id.")]
State = Annotated[DeliveryState | None, Query(description="Only those in this state.")]


def channel_events_router(issuer: Issuer) -> APIRouter:
    """The routes under `/v1/events`. A channel sees its own only."""
    router = APIRouter(prefix="/v1/events", tags=["events"])
    office = issuer.channel_events.office
    channel = require_channel(issuer, Scope.READ)
    caller: ChannelCaller = Depends(channel)
    once = [Depends(idempotent(issuer, channel))]
    extra = needs_scope(Scope.READ)
    waiting = 0

    def refusals(*statuses: int, codes: dict[int, str] | None = None) -> dict[int | str, dict[str, Any]]:
        return channel_problems(400, 401, 403, *statuses, 422, 503, codes=codes)

    @router.get(
        "",
        operation_id="list_events",
        summary="What happened to one's links",
        response_model=ChannelEventsAnswer,
        responses=refusals(404, codes={400: "bad_cursor", 404: "events_gone"}),
        openapi_extra=extra,
    )
    async def list_events(
        cursor: Cursor = None, limit: Limit = 50, wait: Wait = 0, known: ChannelCaller = caller
    ) -> JSONResponse:
        """In order, each once. Keep the `cursor`; with `wait` the answer comes when there is something."""
        nonlocal waiting
        place = None if cursor is None else int(cursor)

        def look() -> EventPage:
            issuer.channels.office.admitted(known.app_id)  # it may have been suspended while this waits
            return office.read(known.app_id, place, limit + 1)

        page = await run_in_threadpool(look)
        if not page.events and wait and waiting < _MOST_WAITING:
            waiting += 1
            try:
                page = await _wait_for_event(issuer, look, wait)
            finally:
                waiting -= 1
        shown = page.events[:limit]
        last = str(shown[-1].number if shown else page.cursor)
        more = len(page.events) > limit
        return JSONResponse(
            {"data": list(map(event_answer, shown)), "cursor": last, "next_cursor": last if more else None}
        )

    @router.post(
        "/{event_id}/resend",
        operation_id="resend_event",
        summary="Send an event again",
        response_model=ResentAnswer,
        dependencies=once,
        responses=refusals(404, 409, codes=CODES | {404: "event_unknown"}),
        openapi_extra=extra,
    )
    def resend_event(event_id: EventId, known: ChannelCaller = caller) -> JSONResponse:
        """To every webhook that was sent it, under the same id."""
        sent = office.resend(known.app_id, event_id, issuer.clock())
        return JSONResponse({"id": event_id, "webhooks": [delivery.stream_id for delivery in sent]})

    @router.get(
        "/webhooks",
        operation_id="list_channel_webhooks",
        summary="One's webhooks",
        response_model=ChannelWebhooks,
        responses=refusals(codes={400: "bad_endpoint"}),
        openapi_extra=extra,
    )
    def list_channel_webhooks(known: ChannelCaller = caller) -> JSONResponse:
        """One for each address of the registration."""
        streams = office.sync(known.app_id, issuer.clock())
        return JSONResponse({"data": list(map(_webhook_answer, streams))})

    @router.post(
        "/webhooks/{webhook_id}/secret",
        operation_id="rotate_channel_webhook_secret",
        summary="A new secret, beside the one before",
        response_model=ChannelWebhookSecret,
        dependencies=once,
        responses=refusals(404, 409, codes=CODES | {404: "partner_stream_unknown"}),
        openapi_extra=extra,
    )
    def rotate_channel_webhook_secret(webhook_id: WebhookId, known: ChannelCaller = caller) -> JSONResponse:
        """Also how one gets the first one. Both sign until the next, or until the old one is forgotten."""
        stream, keys = office.rotate(known.app_id, webhook_id, issuer.clock())
        return JSONResponse(
            {"webhook_id": stream.stream_id, "secret": secret_text(keys), "public_key": public_text(keys)}
        )

    @router.delete(
        "/webhooks/{webhook_id}/secret",
        operation_id="forget_old_channel_webhook_secret",
        summary="Sign by the newest secret only",
        response_model=ChannelWebhookSecret,
        responses=refusals(404, codes={404: "partner_stream_unknown"}),
        openapi_extra=extra,
    )
    def forget_old_channel_webhook_secret(webhook_id: WebhookId, known: ChannelCaller = caller) -> JSONResponse:
        """Ends a rotation."""
        stream = office.forget_old(known.app_id, webhook_id, issuer.clock())
        public = public_text(office.newest_keys(stream))
        return JSONResponse({"webhook_id": stream.stream_id, "secret": None, "public_key": public})

    @router.get(
        "/webhooks/{webhook_id}/deliveries",
        operation_id="list_channel_deliveries",
        summary="What became of each event",
        response_model=ChannelDeliveries,
        responses=refusals(404, codes={404: "partner_stream_unknown"}),
        openapi_extra=extra,
    )
    def list_channel_deliveries(
        webhook_id: WebhookId, limit: Limit = 50, state: State = None, known: ChannelCaller = caller
    ) -> JSONResponse:
        """Newest first. `dead` ones were given up: send them again once the receiver is well."""
        found = office.deliveries(known.app_id, webhook_id, limit, state)
        return JSONResponse({"data": list(map(_delivery_answer, found))})

    @router.post(
        "/webhooks/{webhook_id}/enable",
        operation_id="enable_channel_webhook",
        summary="Go on sending",
        response_model=ChannelWebhook,
        dependencies=once,
        responses=refusals(404, 409, codes=CODES | {404: "partner_stream_unknown"}),
        openapi_extra=extra,
    )
    def enable_channel_webhook(webhook_id: WebhookId, known: ChannelCaller = caller) -> JSONResponse:
        """A webhook that nobody answered for three days is paused; it goes on where it stopped."""
        return JSONResponse(_webhook_answer(office.enable(known.app_id, webhook_id, issuer.clock())))

    @router.post(
        "/webhooks/{webhook_id}/verify",
        operation_id="verify_channel_webhook",
        summary="Ask for a stream.verification",
        status_code=204,
        response_class=Response,
        dependencies=once,
        responses=refusals(
            404, 409, codes=CODES | {404: "partner_stream_unknown", 422: f"partner_verification_too_soon {CODES[422]}"}
        ),
        openapi_extra=extra,
    )
    def verify_channel_webhook(webhook_id: WebhookId, known: ChannelCaller = caller) -> Response:
        """It comes over the webhook, at most one in ten seconds."""
        office.verify(known.app_id, webhook_id, issuer.clock())
        return Response(status_code=204)

    return router


async def _wait_for_event(issuer: Issuer, look: Callable[[], EventPage], seconds: int) -> EventPage:
    """Look again at each ring of the bell, and from time to time; what was found, or nothing in the end."""
    loop = asyncio.get_running_loop()
    bell = asyncio.Event()

    def ring() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed meanwhile
            loop.call_soon_threadsafe(bell.set)

    stop_listening = issuer.channel_events.bell.listen(ring)
    end = loop.time() + seconds
    try:
        while True:
            bell.clear()
            page = await run_in_threadpool(look)
            if page.events or loop.time() >= end or issuer.hub.closed:
                return page
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(bell.wait(), min(_LOOK_AGAIN, max(0.0, end - loop.time())))
    finally:
        stop_listening()


def _webhook_answer(stream: Stream) -> dict[str, object]:
    return {
        "webhook_id": stream.stream_id,
        "url": stream.endpoint,
        "status": stream.status.value,
        "reason": stream.reason,
    }


def _delivery_answer(delivery: Delivery) -> dict[str, object]:
    return {
        "number": delivery.number,
        "event_id": delivery.event_id,
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "result": delivery.result,
        "next_at": None if delivery.next_at is None else rfc3339(delivery.next_at),
    }
