"""Routes about channels: applying, admitting, suspending; and what a channel may know of itself."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import JSONResponse

from ecard_card.errors import Unavailable
from ecard_issuer.assembly import Issuer
from ecard_issuer.channels.answers import change_answer, channel_answer, own_answer
from ecard_issuer.channels.states import ChannelState
from ecard_issuer.channels.tokens import ChannelCaller
from ecard_issuer.channels.values import APP_ID
from ecard_issuer.web.approval_models import NEEDS_APPROVAL
from ecard_issuer.web.channel_auth import channel_problems, needs_scope, require_channel
from ecard_issuer.web.channel_models import (
    ApplicationBody,
    ChannelAnswer,
    ChannelRecord,
    ChannelsAnswer,
    OwnChannelAnswer,
    ReasonBody,
    RegistrationBody,
)
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

AppId = Annotated[str, Path(pattern=f"^{APP_ID.pattern}$", description="The `app_id`.")]
_PAGE: Final = 100
_CHANGE: Final = (400, 401, 403, 404, 409, 413, 415, 422, 503)
_MEETING: Final = "app_changed_meanwhile"
_FORM: Final = "bad_channel bad_jwk bad_key_set"
_APPROVING: Final = "approval_not_usable approval_too_many_open"


def channels_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The routes under `/v1/channel-applications`, `/v1/channels` and `/v1/channel`."""
    router = APIRouter(prefix="/v1", tags=["channels"])
    router.include_router(_looking(issuer, authenticate))
    router.include_router(_deciding(issuer, authenticate))
    router.include_router(_own(issuer))
    return router


def _looking(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    operator = require_role(authenticate, Role.OPERATOR)
    clerk = require_role(authenticate, Role.DESK)
    office = issuer.channels.office
    router = APIRouter()

    @router.post(
        "/channel-applications",
        operation_id="apply_for_channel",
        summary="Apply for an app to be admitted",
        status_code=201,
        response_model=ChannelAnswer,
        responses=problems(400, 401, 403, 409, 413, 415, 422, 503, codes={400: _FORM, 409: "app_request_differs"}),
        openapi_extra=needs(Role.DESK),
    )
    def apply_for_channel(
        body: ApplicationBody,
        caller: Caller = Depends(clerk),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """On the body's behalf. Under the same `request_id` it is done once."""
        registration = office.registration(body.document())
        return JSONResponse(
            channel_answer(office.apply(body.request_id, registration, caller.name, issuer.clock())), 201
        )

    @router.get(
        "/channels",
        operation_id="list_channels",
        summary="Apps",
        response_model=ChannelsAnswer,
        responses=problems(401, 403, 422, 503),
        openapi_extra=needs(Role.OPERATOR),
        dependencies=[Depends(operator)],
    )
    def list_channels(
        state: Annotated[ChannelState | None, Query(description="Only those that stand so.")] = None,
        limit: Annotated[int, Query(ge=1, le=_PAGE)] = _PAGE,
        cursor: Annotated[str, Query(max_length=64, description="The `next_cursor` of the page before.")] = "",
    ) -> JSONResponse:
        """In order of their ids."""
        found = office.list(state, cursor, limit + 1)
        page = found[:limit]
        return JSONResponse(
            {
                "data": [channel_answer(channel) for channel in page],
                "next_cursor": page[-1].app_id if len(found) > limit else None,
            }
        )

    @router.get(
        "/channels/{app_id}",
        operation_id="get_channel",
        summary="An app",
        response_model=ChannelAnswer,
        responses=problems(401, 403, 404, 422, 503, codes={404: "app_unknown"}),
        openapi_extra=needs(Role.OPERATOR),
        dependencies=[Depends(operator)],
    )
    def get_channel(app_id: AppId) -> JSONResponse:
        """Everything that is registered about it."""
        return JSONResponse(channel_answer(office.get(app_id)))

    @router.get(
        "/channels/{app_id}/record",
        operation_id="get_channel_record",
        summary="Every decision about an app",
        response_model=ChannelRecord,
        responses=problems(401, 403, 404, 422, 503, codes={404: "app_unknown"}),
        openapi_extra=needs(Role.OPERATOR),
        dependencies=[Depends(operator)],
    )
    def get_channel_record(app_id: AppId) -> JSONResponse:
        """Oldest first."""
        return JSONResponse({"changes": [change_answer(change) for change in office.changes(app_id)]})

    return router


def _deciding(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    operator = require_role(authenticate, Role.OPERATOR)
    office = issuer.channels.office
    router = APIRouter(prefix="/channels/{app_id}")

    @router.put(
        "",
        operation_id="change_channel",
        summary="Change what is registered about an app",
        response_model=ChannelAnswer,
        responses={
            **NEEDS_APPROVAL,
            **problems(
                *_CHANGE,
                codes={400: _FORM, 404: "app_unknown", 409: _MEETING, 422: f"app_refused {_APPROVING}"},
            ),
        },
        openapi_extra=needs(Role.OPERATOR),
    )
    def change_channel(
        app_id: AppId,
        body: RegistrationBody,
        caller: Caller = Depends(operator),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """The whole of it; the same again changes nothing. Fewer scopes, calls, addresses or keys hold at once; for
        anything more another operator has to agree."""
        registration = office.registration(body.document())
        return JSONResponse(channel_answer(office.change(app_id, registration, caller.name, issuer.clock())))

    @router.post(
        "/approve",
        operation_id="approve_channel",
        summary="Admit an app",
        response_model=ChannelAnswer,
        responses={
            **NEEDS_APPROVAL,
            **problems(
                401,
                403,
                404,
                409,
                422,
                503,
                codes={404: "app_unknown", 409: _MEETING, 422: f"app_refused app_suspended {_APPROVING}"},
            ),
        },
        openapi_extra=needs(Role.OPERATOR),
    )
    def approve_channel(
        app_id: AppId,
        caller: Caller = Depends(operator),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """As it applied. Another operator has to agree; again changes nothing."""
        return JSONResponse(channel_answer(office.approve(app_id, caller.name, issuer.clock())))

    @router.post(
        "/refuse",
        operation_id="refuse_channel",
        summary="Refuse an app",
        response_model=ChannelAnswer,
        responses=problems(*_CHANGE, codes={400: "bad_reason", 404: "app_unknown", 409: _MEETING, 422: "app_decided"}),
        openapi_extra=needs(Role.OPERATOR),
    )
    def refuse_channel(
        app_id: AppId,
        body: ReasonBody,
        caller: Caller = Depends(operator),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """Final: the body applies anew."""
        return JSONResponse(channel_answer(office.refuse(app_id, body.reason, caller.name, issuer.clock())))

    @router.post(
        "/suspend",
        operation_id="suspend_channel",
        summary="Let an app in no more, from now on",
        response_model=ChannelAnswer,
        responses=problems(
            *_CHANGE,
            codes={400: "bad_reason", 404: "app_unknown", 409: _MEETING, 422: "app_not_admitted app_refused"},
        ),
        openapi_extra=needs(Role.OPERATOR),
    )
    def suspend_channel(
        app_id: AppId,
        body: ReasonBody,
        caller: Caller = Depends(operator),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """Its tokens are refused from the next call on. Takes power away, so nobody else has to agree."""
        suspended = office.suspend(app_id, body.reason, caller.name, issuer.clock())
        issuer.showing.watch.everybody()  # its pages that wait for news are told now
        issuer.channel_events.bell.ring()
        return JSONResponse(channel_answer(suspended))

    @router.post(
        "/resume",
        operation_id="resume_channel",
        summary="Let a suspended app in again",
        response_model=ChannelAnswer,
        responses={
            **NEEDS_APPROVAL,
            **problems(
                401,
                403,
                404,
                409,
                422,
                503,
                codes={404: "app_unknown", 409: _MEETING, 422: f"app_not_admitted app_refused {_APPROVING}"},
            ),
        },
        openapi_extra=needs(Role.OPERATOR),
    )
    def resume_channel(
        app_id: AppId,
        caller: Caller = Depends(operator),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """Another operator has to agree."""
        return JSONResponse(channel_answer(office.resume(app_id, caller.name, issuer.clock())))

    return router


def _own(issuer: Issuer) -> APIRouter:
    channel = require_channel(issuer)
    channels = issuer.channels
    router = APIRouter()

    @router.get(
        "/channel",
        operation_id="get_own_channel",
        summary="Which app am I, and what may I do?",
        response_model=OwnChannelAnswer,
        responses=channel_problems(400, 401, 403, 503),
        openapi_extra=needs_scope(),
    )
    def get_own_channel(
        caller: ChannelCaller = Depends(channel),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """For an app that is being set up: scopes, quotas, addresses, and the keys that are known."""
        own = channels.office.get(caller.app_id)
        try:
            keys = channels.tokens.keys_of(own, "", issuer.clock())
        except Unavailable:
            keys = ()
        return JSONResponse(own_answer(caller, own, keys))

    return router
