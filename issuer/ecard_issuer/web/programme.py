"""Routes about the programme itself: what it is, its channels, and the page that says so."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Path, Query
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, Field, StrictStr

from ecard_card import messages
from ecard_issuer.assembly import Issuer
from ecard_issuer.relying.catalogue import catalogue
from ecard_issuer.web.models import Body
from ecard_issuer.web.programme_page import programme_page
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems


class AddressBody(Body):
    """Where a channel is found."""

    address: StrictStr | None = Field(
        max_length=300,
        description="An https address, or the name of an account or app to look for; null takes it away.",
        examples=["https://hrss.example/"],
    )


class ProgrammeAnswer(BaseModel):
    """The brochure's lines in both languages; `offers` are operations of this API."""

    hotline: str
    facts: list[dict[str, Any]]
    functions: list[dict[str, Any]]
    uses: list[dict[str, Any]]
    channels: list[dict[str, Any]]


def programme_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """`/programme` and the routes under `/v1/programme`."""
    operator = require_role(authenticate, Role.OPERATOR)
    router = APIRouter(tags=["programme"])
    office = issuer.programme

    @router.get(
        "/v1/programme",
        operation_id="get_programme",
        summary="What the card is, what it is for, and where people reach it",
        response_model=ProgrammeAnswer,
        responses=problems(503),
    )
    def get_programme() -> JSONResponse:
        """For anybody, in both languages."""
        return JSONResponse(office.to_json(), headers={"Cache-Control": "public, max-age=300"})

    @router.put(
        "/v1/programme/channels/{channel}",
        operation_id="set_channel_address",
        summary="Say where a channel is found",
        response_model=ProgrammeAnswer,
        responses=problems(
            400, 401, 403, 404, 413, 415, 422, 503, codes={400: "bad_channel_address", 404: "channel_unknown"}
        ),
        openapi_extra=needs(Role.OPERATOR),
    )
    def set_channel_address(
        channel: Annotated[str, Path(pattern="^[a-z0-9-]{1,64}$", description="The `channel`.")],
        body: AddressBody,
        caller: Caller = Depends(operator),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """The same again changes nothing."""
        office.set_address(channel, body.address, caller.name, issuer.clock())
        return JSONResponse(office.to_json())

    @router.get("/programme", include_in_schema=False)
    def programme(
        lang: Annotated[Literal["en", "zh"] | None, Query(description="Else what `Accept-Language` prefers.")] = None,
        accept_language: Annotated[str, Header(max_length=1024)] = "",
    ) -> HTMLResponse:
        services = [(entry.line, entry.zh, entry.en) for entry in catalogue().lines]
        answer = programme_page(office, services, lang or messages.language(accept_language))
        answer.headers["Vary"] = "Accept-Language"
        return answer

    return router
