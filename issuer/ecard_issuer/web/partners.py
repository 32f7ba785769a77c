"""Routes about webhooks, which partners have, and about every stream: log, sending again, catching up, permissions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import JSONResponse, Response

from ecard_issuer.assembly import Issuer
from ecard_issuer.partners.answers import (
    backlog_answer,
    delivery_answer,
    message_answer,
    shown_once,
    stream_answer,
)
from ecard_issuer.partners.office import MAX_EVENTS, Wanted
from ecard_issuer.partners.streams import DeliveryState, Method, Stream, StreamStatus
from ecard_issuer.partners.webhook_signature import public_text
from ecard_issuer.web.partner_models import (
    BacklogsAnswer,
    CalledAnswer,
    CardBody,
    CatchUpBody,
    DeliveriesAnswer,
    DeliveryLine,
    MissedAnswer,
    PartnerStream,
    RegionsBody,
    StandingBody,
    StreamsAnswer,
    WebhookBody,
    WebhookSecret,
)
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

StreamPath = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="The stream's or webhook's id.")]
NumberPath = Annotated[int, Path(ge=1, le=2**53 - 1, description="A number of the stream.")]
Limit = Annotated[int, Query(ge=1, le=MAX_EVENTS, description="At most so many.")]
_READ = (401, 403, 404, 422, 503)
_WRITE = (400, 401, 403, 404, 409, 413, 415, 422, 503)
_NAMED = {404: "partner_stream_unknown"}


def webhooks_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The routes under `/v1/webhooks`. Each caller sees its own only."""
    partner: Caller = Depends(require_role(authenticate, Role.PARTNER))
    router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])
    office = issuer.partners.office
    extra = needs(Role.PARTNER)

    def own(caller: Caller, stream_id: str) -> Stream:
        return office.own(caller.name, stream_id)

    @router.post(
        "",
        operation_id="create_webhook",
        summary="Make a webhook",
        status_code=201,
        response_model=WebhookSecret,
        responses=problems(
            *_WRITE, codes={**_NAMED, 400: "bad_endpoint bad_partner_stream", 409: "partner_streams_full"}
        ),
        openapi_extra=extra,
    )
    def create_webhook(body: WebhookBody, caller: Caller = partner) -> JSONResponse:
        """By Standard Webhooks 1.0. The secret is shown this once."""
        known = {item.stream_id for item in office.owned(caller.name)}
        wanted = Wanted(Method.WEBHOOK, body.endpoint, description=body.description)
        stream = office.create(caller.name, wanted, issuer.clock(), stream_id=body.stream_id)
        answer = shown_once(stream, office.secrets_of(stream).keys[0])
        return JSONResponse(answer | ({"secret": None} if stream.stream_id in known else {}), 201)

    @router.get(
        "",
        operation_id="list_webhooks",
        summary="One's own webhooks",
        response_model=StreamsAnswer,
        responses=problems(401, 403, 503),
        openapi_extra=extra,
    )
    def list_webhooks(caller: Caller = partner) -> JSONResponse:
        """Without secrets."""
        owned = [item for item in office.owned(caller.name) if item.method is Method.WEBHOOK]
        return JSONResponse({"streams": list(map(stream_answer, owned))})

    @router.delete(
        "/{stream_id}",
        operation_id="delete_webhook",
        summary="End a webhook",
        status_code=204,
        response_class=Response,
        responses=problems(*_READ, codes=_NAMED),
        openapi_extra=extra,
    )
    def delete_webhook(stream_id: StreamPath, caller: Caller = partner) -> Response:
        """With its subjects and its deliveries."""
        office.delete(own(caller, stream_id))
        return Response(status_code=204)

    @router.post(
        "/{stream_id}/secret",
        operation_id="rotate_webhook_secret",
        summary="A new secret, beside the one before",
        response_model=WebhookSecret,
        responses=problems(*_READ, codes={**_NAMED, 422: "partner_no_secret"}),
        openapi_extra=extra,
    )
    def rotate_webhook_secret(stream_id: StreamPath, caller: Caller = partner) -> JSONResponse:
        """Both sign from now on. Shown this once; end the rotation when every receiver knows the new one."""
        stream = own(caller, stream_id)
        keys = office.rotate(stream, issuer.clock())
        return JSONResponse(shown_once(own(caller, stream_id), keys))

    @router.delete(
        "/{stream_id}/secret",
        operation_id="forget_old_webhook_secret",
        summary="Sign by the newest secret only",
        response_model=WebhookSecret,
        responses=problems(*_READ, codes={**_NAMED, 422: "partner_no_secret"}),
        openapi_extra=extra,
    )
    def forget_old_webhook_secret(stream_id: StreamPath, caller: Caller = partner) -> JSONResponse:
        """Ends a rotation."""
        stream = own(caller, stream_id)
        office.forget_old(stream, issuer.clock())
        public = public_text(office.secrets_of(stream).keys[0])
        return JSONResponse(stream_answer(stream) | {"secret": None, "public_key": public})

    return router


def partner_streams_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The routes under `/v1/partner-streams`: for partners on their own streams and webhooks, for operators on all."""
    router = APIRouter(prefix="/v1/partner-streams", tags=["partners"])
    partner: Caller = Depends(require_role(authenticate, Role.PARTNER))
    only_operator = [Depends(require_role(authenticate, Role.OPERATOR))]
    office = issuer.partners.office
    extra, closed = needs(Role.PARTNER), needs(Role.OPERATOR)

    def seen(caller: Caller, stream_id: str) -> Stream:
        return office.any(stream_id) if caller.role is Role.OPERATOR else office.own(caller.name, stream_id)

    @router.get(
        "",
        operation_id="list_partner_streams",
        summary="How every partner's streams stand",
        response_model=BacklogsAnswer,
        responses=problems(401, 403, 503),
        openapi_extra=closed,
        dependencies=only_operator,
    )
    def list_partner_streams() -> JSONResponse:
        """Backlog, dead letters, and how far behind the feed each is."""
        return JSONResponse({"streams": list(map(backlog_answer, issuer.partners.overview()))})

    @router.get(
        "/{stream_id}",
        operation_id="get_partner_stream",
        summary="One stream",
        response_model=PartnerStream,
        responses=problems(*_READ, codes=_NAMED),
        openapi_extra=extra,
    )
    def get_partner_stream(stream_id: StreamPath, caller: Caller = partner) -> JSONResponse:
        """Without secrets."""
        return JSONResponse(stream_answer(seen(caller, stream_id)))

    @router.get(
        "/{stream_id}/deliveries",
        operation_id="list_deliveries",
        summary="The delivery log",
        response_model=DeliveriesAnswer,
        responses=problems(*_READ, codes=_NAMED),
        openapi_extra=extra,
    )
    def list_deliveries(
        stream_id: StreamPath,
        state: Annotated[DeliveryState | None, Query(description="Only these; `dead` are the dead letters.")] = None,
        limit: Limit = MAX_EVENTS,
        caller: Caller = partner,
    ) -> JSONResponse:
        """Kept for 30 days after a delivery was over."""
        rows = office.log(seen(caller, stream_id), limit, state)
        return JSONResponse({"deliveries": list(map(delivery_answer, rows))})

    @router.post(
        "/{stream_id}/deliveries/{number}/resend",
        operation_id="resend_delivery",
        summary="Send one again",
        response_model=DeliveryLine,
        responses=problems(*_READ, codes={404: "partner_stream_unknown partner_delivery_unknown"}),
        openapi_extra=extra,
    )
    def resend_delivery(stream_id: StreamPath, number: NumberPath, caller: Caller = partner) -> JSONResponse:
        """Whatever became of it; the receiver knows it by its event id."""
        return JSONResponse(delivery_answer(office.resend(seen(caller, stream_id), number, issuer.clock())))

    @router.get(
        "/{stream_id}/events",
        operation_id="missed_events",
        summary="What came after a number",
        response_model=MissedAnswer,
        responses=problems(*_READ, codes=_NAMED),
        openapi_extra=extra,
    )
    def missed_events(
        stream_id: StreamPath,
        since: Annotated[int, Query(ge=0, le=2**53 - 1, description="The last number that is known.")] = 0,
        limit: Limit = MAX_EVENTS,
        caller: Caller = partner,
    ) -> JSONResponse:
        """For whoever sees a gap in the numbers, or was away. Acknowledges nothing."""
        stream = seen(caller, stream_id)
        found = office.since(stream, since, limit, issuer.clock())
        return JSONResponse({"events": [message_answer(stream, message) for message in found]})

    @router.post(
        "/{stream_id}/status",
        operation_id="set_partner_stream_status",
        summary="Enable, pause or disable a partner's stream",
        response_model=PartnerStream,
        responses=problems(*_WRITE, codes=_NAMED),
        openapi_extra=closed,
        dependencies=only_operator,
    )
    def set_partner_stream_status(stream_id: StreamPath, body: StandingBody) -> JSONResponse:
        """The receiver is told by `stream-updated`. An enabled stream goes on where it stopped."""
        stream, status = office.any(stream_id), StreamStatus(body.status)
        changed = office.set_status(stream, status, body.reason, issuer.clock(), announce=True)
        return JSONResponse(stream_answer(changed))

    @router.put(
        "/{stream_id}/regions",
        operation_id="permit_partner_regions",
        summary="Permit a stream every card of regions",
        response_model=PartnerStream,
        responses=problems(*_WRITE, codes={**_NAMED, 400: "bad_region"}),
        openapi_extra=closed,
        dependencies=only_operator,
    )
    def permit_partner_regions(stream_id: StreamPath, body: RegionsBody) -> JSONResponse:
        """An empty list takes the permission back."""
        return JSONResponse(stream_answer(office.permit_regions(office.any(stream_id), body.regions, issuer.clock())))

    @router.post(
        "/{stream_id}/cards",
        operation_id="add_partner_card",
        summary="Let a stream hear of one card",
        response_model=CalledAnswer,
        responses=problems(*_WRITE, codes={404: "partner_stream_unknown card_unknown"}),
        openapi_extra=closed,
        dependencies=only_operator,
    )
    def add_partner_card(stream_id: StreamPath, body: CardBody) -> JSONResponse:
        """Answers with what the partner calls the card."""
        reference = office.add_card(office.any(stream_id), body.card_ref, issuer.clock())
        return JSONResponse({"reference": reference})

    @router.post(
        "/{stream_id}/catch-up",
        operation_id="catch_up_partner_stream",
        summary="File everything after an event of the feed again",
        response_model=PartnerStream,
        responses=problems(*_WRITE, codes={**_NAMED, 400: "bad_partner_stream"}),
        openapi_extra=closed,
        dependencies=only_operator,
    )
    def catch_up_partner_stream(stream_id: StreamPath, body: CatchUpBody) -> JSONResponse:
        """What the receiver had comes under the same event id, and under the same number while that is in the log."""
        return JSONResponse(stream_answer(office.catch_up(office.any(stream_id), body.seq, issuer.clock())))

    return router
