"""Routes about service points: anybody searches, operators replace and export."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import JSONResponse, Response

from ecard_issuer.assembly import Issuer
from ecard_issuer.service_points.answers import hit_answer, page_answer
from ecard_issuer.service_points.files import Format
from ecard_issuer.service_points.geography import Place
from ecard_issuer.service_points.points import Offered, PointKind
from ecard_issuer.service_points.store import Query as PointQuery
from ecard_issuer.web.service_point_models import (
    ImportAnswer,
    PointAnswer,
    PointsAnswer,
    ReplaceBody,
    SearchBody,
)
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

PointId = Annotated[str, Path(pattern="^[a-z0-9][a-z0-9-]{0,63}$", description="The point's id.")]
Region = Annotated[str, Query(pattern="^[0-9]{6}$", description="With all below it; `410000` is a province.")]
_BAD_QUERY = {400: "bad_point_query bad_cursor"}


def service_points_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The routes under `/v1/service-points`."""
    operator = require_role(authenticate, Role.OPERATOR)
    points = issuer.service_points
    router = APIRouter(prefix="/v1/service-points", tags=["service points"])

    @router.get(
        "",
        operation_id="list_service_points",
        summary="Service points by region, service, kind or text",
        response_model=PointsAnswer,
        responses=problems(400, 422, 503, codes=_BAD_QUERY),
    )
    def list_service_points(
        region: Region | None = None,
        service: Annotated[Offered | None, Query(description="What shall be done there.")] = None,
        kind: Annotated[PointKind | None, Query(description="What kind of place.")] = None,
        text: Annotated[str | None, Query(min_length=1, max_length=100, description="Of name or address.")] = None,
        open_now: Annotated[bool, Query(description="Only those open by their weekly hours.")] = False,
        limit: Annotated[int, Query(ge=1, le=100, description="How many at most.")] = 20,
        cursor: Annotated[str | None, Query(max_length=512, description="As the page before gave it.")] = None,
    ) -> JSONResponse:
        """In order of their regions. Where you are belongs into a body, not into an address: search near a place by
        `POST /v1/service-points/search`."""
        query = PointQuery(region=region, service=service, kind=kind, text=text)
        page = points.search(query, issuer.clock(), open_now=open_now, limit=limit, cursor=cursor)
        return JSONResponse(page_answer(page))

    @router.post(
        "/search",
        operation_id="search_service_points",
        summary="Service points near a place",
        response_model=PointsAnswer,
        responses=problems(400, 413, 415, 422, 503, codes={400: "bad_point_query bad_cursor bad_coordinates"}),
    )
    def search_service_points(body: SearchBody) -> JSONResponse:
        """The nearest first where `near` is given. Changes nothing."""
        near = body.near
        place = None if near is None else Place(float(near.latitude), float(near.longitude), near.datum).wgs84()
        query = PointQuery(body.region, body.service, body.kind, body.text, place, body.radius)
        page = points.search(query, issuer.clock(), open_now=body.open_now, limit=body.limit, cursor=body.cursor)
        return JSONResponse(page_answer(page))

    @router.get(
        "/export",
        operation_id="export_service_points",
        summary="All service points of a region as a file",
        response_class=Response,
        responses={
            200: {"content": {"text/csv": {}, "application/jsonl": {}}, "description": "The file"},
            **problems(400, 401, 403, 422, 503, codes={400: "bad_point_query"}),
        },
        openapi_extra=needs(Role.OPERATOR),
        dependencies=[Depends(operator)],
    )
    def export_service_points(
        scope: Region = "000000",
        form: Annotated[Literal["csv", "jsonl"], Query(alias="format", description="CSV or JSON Lines.")] = "csv",
    ) -> Response:
        """What the import takes, in UTF-8."""
        media = "text/csv; charset=utf-8" if form == "csv" else "application/jsonl"
        return Response(points.export(Format(form), scope), media_type=media)

    @router.put(
        "",
        operation_id="replace_service_points",
        summary="Replace all service points of a region",
        response_model=ImportAnswer,
        responses=problems(
            400,
            401,
            403,
            409,
            413,
            415,
            422,
            503,
            codes={400: "bad_points_file bad_point_query", 409: "service_point_elsewhere"},
        ),
        openapi_extra=needs(Role.OPERATOR),
    )
    def replace_service_points(
        body: ReplaceBody,
        caller: Caller = Depends(operator),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """All rows or none: a wrong one is named, and nothing is changed."""
        done = points.replace_by_rows(body.points, body.scope, caller.name, issuer.clock(), dry_run=body.dry_run)
        return JSONResponse(done.to_json())

    @router.get(
        "/{point_id}",
        operation_id="get_service_point",
        summary="One service point",
        response_model=PointAnswer,
        responses=problems(404, 422, 503, codes={404: "service_point_unknown"}),
    )
    def get_service_point(point_id: PointId) -> JSONResponse:
        """Address, telephone, hours and what is done there."""
        return JSONResponse(hit_answer(points.get(point_id, issuer.clock())))

    return router
