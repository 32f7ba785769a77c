"""Shared signals: the transmitter's metadata, keys and stream management (OpenID SSF 1.0), and the poll (RFC 8936)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from ecard_issuer.assembly import Issuer
from ecard_issuer.partners.answers import configuration_answer, event_names, status_answer
from ecard_issuer.partners.office import MAX_EVENTS, Polled, Wanted
from ecard_issuer.partners.streams import POLL, PUSH, Method, NewsKind, Stream, StreamStatus
from ecard_issuer.publishing.publisher import public_jwk
from ecard_issuer.web.shared_signals_models import (
    AddSubject,
    CredentialSubject,
    DeliveryBody,
    PollAnswer,
    PollBody,
    RemoveSubject,
    StatusBody,
    StreamAnswer,
    StreamBody,
    StreamPatch,
    StreamReplacement,
    StreamStatusAnswer,
    SubjectAnswer,
    TransmitterAnswer,
    VerifyBody,
)
from ecard_keys.key import KeyPurpose, KeyState
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

_LONGEST_POLL: Final = 20.0  # seconds
_LOOK_AGAIN: Final = 1.0  # seconds until a waiting poll looks for what another process filed
_MOST_WAITING: Final = 128  # polls that wait at once; one more is answered at once
_METHODS: Final = {PUSH: Method.PUSH, POLL: Method.POLL}
_OPEN: Final = {"Access-Control-Allow-Origin": "*", "Cache-Control": "public, max-age=300"}
_PUBLISHED: Final = frozenset({KeyState.NEXT, KeyState.ACTIVE, KeyState.VERIFY_ONLY})

StreamQuery = Annotated[str, Query(pattern="^[0-9a-f]{32}$", description="Which stream.")]
_NAMED = {404: "partner_stream_unknown"}
_WRITE = (400, 401, 403, 404, 409, 413, 415, 422, 503)


def metadata_router(issuer: Issuer) -> APIRouter:
    """What a receiver reads first; open to all."""
    router = APIRouter(tags=["shared signals"])
    origin = issuer.identity.issuer

    @router.get(
        "/.well-known/ssf-configuration",
        operation_id="get_ssf_configuration",
        summary="The transmitter's metadata",
        response_model=TransmitterAnswer,
    )
    def get_ssf_configuration() -> JSONResponse:
        """Where streams are managed, and where the keys are (OpenID SSF 1.0 §7.1)."""
        answer = {
            "spec_version": "1_0",
            "issuer": origin,
            "jwks_uri": f"{origin}/.well-known/partner-jwks.json",
            "delivery_methods_supported": [PUSH, POLL],
            "configuration_endpoint": f"{origin}/v1/ssf/streams",
            "status_endpoint": f"{origin}/v1/ssf/status",
            "add_subject_endpoint": f"{origin}/v1/ssf/subjects:add",
            "remove_subject_endpoint": f"{origin}/v1/ssf/subjects:remove",
            "verification_endpoint": f"{origin}/v1/ssf/verify",
            "critical_subject_members": [],
            "default_subjects": "NONE",
            "authorization_schemes": [{"spec_urn": "urn:ietf:rfc:6750"}],
        }
        return JSONResponse(answer, headers=_OPEN)

    @router.get(
        "/.well-known/partner-jwks.json",
        operation_id="get_partner_jwks",
        summary="The keys that sign news for partners, as a JWK set",
        responses=problems(503),
    )
    def get_partner_jwks() -> JSONResponse:
        """The same keys stand in the trust list under the purpose `statement`, signed by the roots."""
        keys = [
            public_jwk(record)
            for record in issuer.keys.records()
            if record.purpose is KeyPurpose.STATEMENT and record.state in _PUBLISHED
        ]
        return JSONResponse({"keys": keys}, headers=_OPEN)

    return router


def shared_signals_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The routes under `/v1/ssf`. Each caller sees streams of its own name only."""
    allowed = require_role(authenticate, Role.PARTNER)
    partner: Caller = Depends(allowed)
    router = APIRouter(prefix="/v1/ssf", tags=["shared signals"])
    office, origin = issuer.partners.office, issuer.identity.issuer
    extra = needs(Role.PARTNER)

    @router.post(
        "/streams",
        operation_id="create_stream",
        summary="Make a stream",
        status_code=201,
        response_model=StreamAnswer,
        responses=problems(
            *_WRITE, codes={**_NAMED, 400: "bad_endpoint bad_partner_stream", 409: "partner_streams_full"}
        ),
        openapi_extra=extra,
    )
    def create_stream(body: StreamBody, caller: Caller = partner) -> JSONResponse:
        """It hears of no card until subjects are added. At most 16 for one partner."""
        wanted = _wanted(body.delivery, body.events_requested, body.description)
        stream = office.create(caller.name, wanted, issuer.clock(), stream_id=body.stream_id)
        return JSONResponse(configuration_answer(stream, origin), 201)

    @router.get(
        "/streams",
        operation_id="get_streams",
        summary="One stream, or all of one's own",
        response_model=StreamAnswer | list[StreamAnswer],
        responses=problems(401, 403, 404, 422, 503, codes=_NAMED),
        openapi_extra=extra,
    )
    def get_streams(
        stream_id: Annotated[str | None, Query(pattern="^[0-9a-f]{32}$", description="Which; none: all.")] = None,
        caller: Caller = partner,
    ) -> JSONResponse:
        """Webhooks are not among them."""
        if stream_id is not None:
            return JSONResponse(configuration_answer(own(caller, stream_id), origin))
        streams = [item for item in office.owned(caller.name) if item.method is not Method.WEBHOOK]
        return JSONResponse([configuration_answer(item, origin) for item in streams])

    @router.patch(
        "/streams",
        operation_id="update_stream",
        summary="Change parts of a stream",
        response_model=StreamAnswer,
        responses=problems(
            *_WRITE, codes={**_NAMED, 400: "bad_endpoint bad_partner_stream", 422: "partner_method_fixed"}
        ),
        openapi_extra=extra,
    )
    def update_stream(body: StreamPatch, caller: Caller = partner) -> JSONResponse:
        """A stream keeps its method for life."""
        stream = own(caller, body.stream_id)
        if body.delivery is None:
            kept = office.secrets_of(stream)
            wanted = Wanted(stream.method, stream.endpoint, kept.authorization, _kinds(stream))
        else:
            wanted = _wanted(body.delivery, None, "")
        events = _kinds(stream) if body.events_requested is None else _chosen(body.events_requested)
        text = stream.description if body.description is None else body.description
        wanted = Wanted(wanted.method, wanted.endpoint, wanted.authorization, events, text)
        return JSONResponse(configuration_answer(office.change(stream, wanted, issuer.clock()), origin))

    @router.put(
        "/streams",
        operation_id="replace_stream",
        summary="Replace a stream's configuration",
        response_model=StreamAnswer,
        responses=problems(
            *_WRITE, codes={**_NAMED, 400: "bad_endpoint bad_partner_stream", 422: "partner_method_fixed"}
        ),
        openapi_extra=extra,
    )
    def replace_stream(body: StreamReplacement, caller: Caller = partner) -> JSONResponse:
        """What is missing gets its default."""
        stream = own(caller, body.stream_id)
        wanted = _wanted(body.delivery, body.events_requested, body.description)
        return JSONResponse(configuration_answer(office.change(stream, wanted, issuer.clock()), origin))

    @router.delete(
        "/streams",
        operation_id="delete_stream",
        summary="End a stream",
        status_code=204,
        response_class=Response,
        responses=problems(401, 403, 404, 422, 503, codes=_NAMED),
        openapi_extra=extra,
    )
    def delete_stream(stream_id: StreamQuery, caller: Caller = partner) -> Response:
        """With its subjects and its deliveries."""
        office.delete(own(caller, stream_id))
        return Response(status_code=204)

    @router.get(
        "/status",
        operation_id="get_stream_status",
        summary="Whether a stream delivers",
        response_model=StreamStatusAnswer,
        responses=problems(401, 403, 404, 422, 503, codes=_NAMED),
        openapi_extra=extra,
    )
    def get_stream_status(stream_id: StreamQuery, caller: Caller = partner) -> JSONResponse:
        """`reason` says why it was paused or disabled here."""
        return JSONResponse(status_answer(own(caller, stream_id)))

    @router.post(
        "/status",
        operation_id="set_stream_status",
        summary="Enable, pause or disable a stream",
        response_model=StreamStatusAnswer,
        responses=problems(*_WRITE, codes=_NAMED),
        openapi_extra=extra,
    )
    def set_stream_status(body: StatusBody, caller: Caller = partner) -> JSONResponse:
        """A stream that is enabled again goes on where it stopped: nothing is lost."""
        stream = own(caller, body.stream_id)
        return JSONResponse(status_answer(office.set_status(stream, StreamStatus(body.status), "", issuer.clock())))

    @router.post(
        "/subjects:add",
        operation_id="add_stream_subject",
        summary="Hear of a card",
        response_model=SubjectAnswer,
        responses=problems(*_WRITE, codes={404: "partner_stream_unknown partner_subject_unknown"}),
        openapi_extra=extra,
    )
    def add_stream_subject(body: AddSubject, caller: Caller = partner) -> JSONResponse:
        """A card is named by a credential that was shown to you, or by what you call it already. When it is replaced
        the stream hears of the new one."""
        stream, now = own(caller, body.stream_id), issuer.clock()
        if isinstance(body.subject, CredentialSubject):
            reference = office.add_holder_of(stream, body.subject.credential_id, now)
        else:
            reference = office.add_called(stream, body.subject.id, now)
        return JSONResponse({"subject": {"format": "opaque", "id": reference}})

    @router.post(
        "/subjects:remove",
        operation_id="remove_stream_subject",
        summary="Hear of a card no more",
        status_code=204,
        response_class=Response,
        responses=problems(*_WRITE, codes=_NAMED),
        openapi_extra=extra,
    )
    def remove_stream_subject(body: RemoveSubject, caller: Caller = partner) -> Response:
        """The same answer whether the stream heard of it or not."""
        office.remove(own(caller, body.stream_id), body.subject.id)
        return Response(status_code=204)

    @router.post(
        "/verify",
        operation_id="verify_stream",
        summary="Ask for a verification event",
        status_code=204,
        response_class=Response,
        responses=problems(*_WRITE, codes={**_NAMED, 422: "partner_verification_too_soon"}),
        openapi_extra=extra,
    )
    def verify_stream(body: VerifyBody, caller: Caller = partner) -> Response:
        """It comes over the stream, with the `state` that was given here."""
        office.verify(own(caller, body.stream_id), body.state, issuer.clock())
        return Response(status_code=204)

    waiting = 0

    @router.post(
        "/streams/{stream_id}/poll",
        operation_id="poll_stream",
        summary="Fetch what waits, acknowledge what came (RFC 8936)",
        response_model=PollAnswer,
        responses=problems(*_WRITE, codes={**_NAMED, 422: "partner_not_polled"}),
        openapi_extra=extra,
    )
    async def poll_stream(
        body: PollBody,
        stream_id: Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="Which stream.")],
        caller: Caller = partner,
    ) -> JSONResponse:
        """Tokens come again until they are acknowledged or refused. Waits up to 20 s where nothing is there."""
        nonlocal waiting
        most = MAX_EVENTS if body.maxEvents is None else body.maxEvents
        errors = {name: item.err for name, item in body.setErrs.items()}

        def look(acks: list[str], refusals: dict[str, str]) -> Polled:
            return office.poll(own(caller, stream_id), acks, refusals, most, issuer.clock())

        polled = await run_in_threadpool(look, body.ack, errors)
        if not (polled.sets or body.returnImmediately or most == 0 or waiting >= _MOST_WAITING):
            waiting += 1
            try:
                polled = await _wait_for_news(issuer, lambda: look([], {}))
            finally:
                waiting -= 1
        return JSONResponse({"sets": polled.sets, "moreAvailable": polled.more})

    def own(caller: Caller, stream_id: str) -> Stream:
        return office.own(caller.name, stream_id)

    def _chosen(names: list[str] | None) -> tuple[NewsKind, ...] | None:
        known = event_names(origin)
        return None if names is None else tuple(known[name] for name in names if name in known)

    def _wanted(delivery: DeliveryBody, names: list[str] | None, description: str) -> Wanted:
        method = _METHODS[delivery.method]
        endpoint = None if method is Method.POLL else delivery.endpoint_url or ""
        return Wanted(method, endpoint, delivery.authorization_header, _chosen(names), description)

    return router


def _kinds(stream: Stream) -> tuple[NewsKind, ...]:
    return tuple(map(NewsKind, stream.events))


async def _wait_for_news(issuer: Issuer, look: Callable[[], Polled]) -> Polled:
    """Look again at each ring of the bell, and from time to time; what was found, or nothing in the end."""
    loop = asyncio.get_running_loop()
    bell = asyncio.Event()

    def ring() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed meanwhile
            loop.call_soon_threadsafe(bell.set)

    stop_listening = issuer.partners.bell.listen(ring)
    end = loop.time() + _LONGEST_POLL
    try:
        while loop.time() < end and not issuer.hub.closed:
            bell.clear()
            polled = await run_in_threadpool(look)
            if polled.sets:
                return polled
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(bell.wait(), min(_LOOK_AGAIN, max(0.0, end - loop.time())))
        return Polled({}, more=False)
    finally:
        stop_listening()
