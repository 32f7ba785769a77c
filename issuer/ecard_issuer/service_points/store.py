"""What is asked of service points, and the port `PointStore` of the register that keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ecard_issuer.service_points.geography import Place
from ecard_issuer.service_points.points import Offered, PointKind, ServicePoint


@dataclass(frozen=True, slots=True)
class Query:
    """Filters, all of which must hold. `near` (WGS-84) orders by distance and wants `radius` in metres."""

    region: str | None = None
    service: Offered | None = None
    kind: PointKind | None = None
    text: str | None = None
    near: Place | None = None
    radius: int = 10_000


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a page ended: by region and id, or by squared distance and id."""

    place: str | float
    point_id: str


@dataclass(frozen=True, slots=True)
class Found:
    """A point, and the mark after which to go on."""

    point: ServicePoint
    mark: Mark


@dataclass(frozen=True, slots=True)
class Replaced:
    """What replacing a set does, or would do."""

    added: int
    changed: int
    removed: int
    unchanged: int


class PointStore(Protocol):
    """Each verb is one transaction, and raises `Unavailable` where the register does not answer."""

    def find(self, point_id: str) -> ServicePoint | None: ...

    def page(self, query: Query, after: Mark | None, limit: int) -> tuple[Found, ...]:
        """By region and id, or by distance where `near` is given. The square around `near` is searched: who asks
        leaves out what lies in its corners."""

    def every(self, scope: str) -> tuple[ServicePoint, ...]:
        """All of a region, by region and id."""

    def replace(
        self, scope: str, points: Sequence[ServicePoint], changed_by: str, now: datetime, *, dry_run: bool
    ) -> Replaced:
        """Make these the points of a region: all of it in one transaction, or nothing. `Conflict`
        `service_point_elsewhere`: an id that a point outside of the region has."""
