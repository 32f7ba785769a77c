"""Snapshots of the feed, for verifiers that begin: a signed manifest, and its chunks one by one."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path
from fastapi.responses import Response

from ecard_issuer.assembly import Issuer
from ecard_verifier.callers import Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

MEDIA_TYPE: Final = "application/jose"
_BYTES: Final = "application/octet-stream"
_PRIVATE: Final = {"Cache-Control": "private, no-store"}


def feed_snapshot_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """`GET /v1/feed/snapshot` and its chunks."""
    router = APIRouter(tags=["feed"], dependencies=[Depends(require_role(authenticate, Role.VERIFIER))])
    snapshots = issuer.publishing.snapshots

    @router.get(
        "/v1/feed/snapshot",
        operation_id="get_feed_snapshot",
        summary="The newest snapshot's manifest",
        response_class=Response,
        responses={
            200: {"content": {MEDIA_TYPE: {}}, "description": "The signed manifest"},
            **problems(401, 403, 404, 503, codes={404: "feed_snapshot_unknown"}),
        },
        openapi_extra=needs(Role.VERIFIER),
    )
    def get_feed_snapshot() -> Response:
        """What the feed's events come to, for verifiers without a mirror; they follow on from its last event. 404 is no
        fault: they follow from the first one then."""
        return Response(snapshots.latest().manifest, media_type=MEDIA_TYPE, headers=_PRIVATE)

    @router.get(
        "/v1/feed/snapshot/{number}/chunks/{place}",
        operation_id="get_feed_snapshot_chunk",
        summary="One chunk of a snapshot",
        response_class=Response,
        responses={
            200: {"content": {_BYTES: {}}, "description": "At most a mebibyte, as the manifest names it"},
            **problems(401, 403, 404, 422, 503, codes={404: "feed_snapshot_gone"}),
        },
        openapi_extra=needs(Role.VERIFIER),
    )
    def get_feed_snapshot_chunk(
        number: Annotated[str, Path(pattern="^[1-9][0-9]{0,15}$", description="`n` of the manifest.")],
        place: Annotated[str, Path(pattern="^(0|[1-9][0-9]{0,4})$", description="Chunks are counted from 0.")],
    ) -> Response:
        """Kept until a second newer snapshot was made."""
        return Response(snapshots.chunk(int(number), int(place)), media_type=_BYTES, headers=_PRIVATE)

    return router
