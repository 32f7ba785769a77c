"""What the world may read about statuses besides the lists themselves: where they are, and what changed on them."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from ecard_card.errors import InvalidInput
from ecard_issuer.assembly import Issuer
from ecard_issuer.publishing.deltas import PAGE
from ecard_issuer.web.public import OPEN, IfNoneMatch, published
from ecard_verifier.web.base import problems

MEDIA_TYPE: Final = "application/jose"
_FOREVER: Final = {**OPEN, "Cache-Control": "public, max-age=31536000, immutable"}
#: Seconds for which a cache may hand out an answer that a newer delta would lengthen.
_NEWEST: Final = {**OPEN, "Cache-Control": "public, max-age=5"}
_MOST: Final = 2**53 - 1


class StatusDeltas(BaseModel):
    """Deltas in the order in which they are to be taken."""

    deltas: list[str] = Field(max_length=PAGE, description="Signed deltas; empty: there is nothing newer.")


class StatusListUris(BaseModel):
    """draft-ietf-oauth-status-list-21 §9."""

    status_lists: list[str] = Field(description="The address of every list that a live credential may be on.")


def statuses_router(issuer: Issuer) -> APIRouter:
    """The aggregation of lists, and the deltas."""
    router = APIRouter(tags=["published"])
    deltas = issuer.publishing.deltas

    @router.get(
        "/status-lists",
        operation_id="get_status_lists",
        summary="Where all status lists are",
        response_model=StatusListUris,
        responses={304: {"description": "Unchanged"}, **problems(422, 503)},
    )
    def get_status_lists(if_none_match: IfNoneMatch = None) -> Response:
        """The Status List Aggregation, for verifiers that fetch everything. Ended lists are left out."""
        return published(issuer.publisher.aggregation(issuer.clock()), if_none_match)

    @router.get(
        "/v1/status-deltas",
        operation_id="get_status_deltas",
        summary="What changed on the status lists",
        response_model=StatusDeltas,
        responses=problems(400, 404, 422, 503, codes={400: "bad_delta_query", 404: "status_delta_gone"}),
    )
    def get_status_deltas(
        since: Annotated[int | None, Query(ge=0, le=_MOST, description="The number of the last delta taken.")] = None,
        position: Annotated[
            int | None, Query(ge=0, le=_MOST, description="Before the first: the event up to which the lists know.")
        ] = None,
    ) -> JSONResponse:
        """Since a delta (by default from the first), or from a position in the feed. At most 500; ask again until it is
        empty."""
        if since is not None and position is not None:
            raise InvalidInput("bad_delta_query", "want since or position, not both")
        rows = deltas.since(since or 0) if position is None else deltas.since_position(position)
        # A full page is the same for ever: what is in it has numbers, and they do not change.
        headers = _FOREVER if len(rows) == PAGE and since is not None else _NEWEST
        return JSONResponse({"deltas": [row.token for row in rows]}, headers=headers)

    @router.get(
        "/v1/status-deltas/latest",
        operation_id="get_latest_status_delta",
        summary="The newest delta",
        response_class=Response,
        responses={
            200: {"content": {MEDIA_TYPE: {}}, "description": "The signed delta"},
            **problems(404, 503, codes={404: "status_delta_unknown"}),
        },
    )
    def get_latest_status_delta() -> Response:
        """It says its number, and as of when statuses are known to whoever has all deltas up to it."""
        return Response(deltas.latest().token, media_type=MEDIA_TYPE, headers=_NEWEST)

    @router.get(
        "/v1/status-deltas/{number}",
        operation_id="get_status_delta",
        summary="One delta",
        response_class=Response,
        responses={
            200: {"content": {MEDIA_TYPE: {}}, "description": "The signed delta; it never changes"},
            **problems(404, 422, 503, codes={404: "status_delta_unknown"}),
        },
    )
    def get_status_delta(
        number: Annotated[str, Path(pattern="^[1-9][0-9]{0,15}$", description="Deltas are counted from 1.")],
    ) -> Response:
        """Kept for eight days, and cacheable for ever."""
        return Response(deltas.numbered(int(number)).token, media_type=MEDIA_TYPE, headers=_FOREVER)

    return router
