"""Service points in the register: port `PointStore`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from math import cos, radians
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Float, and_, cast, delete, or_, select, update

from ecard_card.errors import Conflict
from ecard_card.region import EVERYWHERE
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, insert_all_new, insert_new
from ecard_issuer.service_points.geography import Place
from ecard_issuer.service_points.points import ServicePoint, read_point
from ecard_issuer.service_points.store import Found, Mark, Query, Replaced

_points, _sets = tables.service_point, tables.service_point_set
_METRES_PER_DEGREE: Final = 111_195.0
_BATCH: Final = 500


class SqlPoints(Store):
    def find(self, point_id: str) -> ServicePoint | None:
        with self._reading() as connection:
            document = connection.scalar(select(_points.c.document).where(_points.c.point_id == point_id))
        return None if document is None else read_point(document)

    def page(self, query: Query, after: Mark | None, limit: int) -> tuple[Found, ...]:
        place: Any = _points.c.region
        conditions = _conditions(query)
        if query.near is not None:
            place, square = _around(query.near, query.radius)
            conditions += square
        if after is not None:
            same = and_(place == after.place, _points.c.point_id > after.point_id)
            conditions.append(or_(place > after.place, same))
        statement = (
            select(_points.c.document, place.label("place"), _points.c.point_id)
            .where(*conditions)
            .order_by(place, _points.c.point_id)
            .limit(limit)
        )
        with self._reading() as connection:
            rows = connection.execute(statement).all()
        return tuple(Found(read_point(row[0]), Mark(row[1], row[2])) for row in rows)

    def every(self, scope: str) -> tuple[ServicePoint, ...]:
        in_scope = select(_points.c.document).where(*_of_region(scope))
        with self._reading() as connection:
            documents = connection.scalars(in_scope.order_by(_points.c.region, _points.c.point_id)).all()
        return tuple(map(read_point, documents))

    def replace(
        self, scope: str, points: Sequence[ServicePoint], changed_by: str, now: datetime, *, dry_run: bool
    ) -> Replaced:
        if dry_run:
            with self._reading() as connection:
                return _compare(_present(connection, scope), points)
        values = {"points": len(points), "changed_by": changed_by, "changed_at": now}
        with self._writing() as connection:
            # The one row that every replacing locks, whatever its scope: scopes may lie in each other.
            insert_new(connection, _sets, scope=EVERYWHERE, version=0, points=0, changed_by="", changed_at=now)
            for name in sorted({EVERYWHERE, scope}):
                insert_new(connection, _sets, scope=name, version=0, **values)
                counted = values if name == scope else {"changed_by": changed_by, "changed_at": now}
                connection.execute(
                    update(_sets).where(_sets.c.scope == name).values(version=_sets.c.version + 1, **counted)
                )
            present = _present(connection, scope)
            outcome = _compare(present, points)
            wanted = {point.point_id: point for point in points}
            gone = [name for name, row in present.items() if name not in wanted or wanted[name].to_row() != row]
            for start in range(0, len(gone), _BATCH):
                connection.execute(delete(_points).where(_points.c.point_id.in_(gone[start : start + _BATCH])))
            fresh = [_row(point) for name, point in wanted.items() if present.get(name) != point.to_row()]
            for start in range(0, len(fresh), _BATCH):
                if not insert_all_new(connection, _points, fresh[start : start + _BATCH]):
                    raise Conflict("service_point_elsewhere", "an id belongs to a point outside of what is replaced")
        return outcome


def _conditions(query: Query) -> list[ColumnElement[bool]]:
    found = _of_region(query.region) if query.region is not None else [_points.c.point_id > ""]
    if query.service is not None:
        found.append(_points.c.services.contains(f",{query.service.value},", autoescape=True))
    if query.kind is not None:
        found.append(_points.c.kind == query.kind.value)
    if query.text is not None:
        found.append(_points.c.search_text.contains(query.text.lower(), autoescape=True))
    return found


def _of_region(region: str) -> list[ColumnElement[bool]]:
    """The region and all below it, as a range of the index."""
    prefix = region
    while prefix.endswith("00"):
        prefix = prefix[:-2]
    return [_points.c.region >= prefix.ljust(6, "0"), _points.c.region <= prefix.ljust(6, "9")]


def _around(near: Place, radius: int) -> tuple[ColumnElement[Any], list[ColumnElement[bool]]]:
    """The squared distance in millionths of a degree, as SQL; and the square that holds all within `radius` metres."""
    latitude, longitude = near.millionths()
    narrow = max(0.01, cos(radians(near.latitude)))
    high = int(radius / _METRES_PER_DEGREE * 1_000_000) + 1
    wide = int(high / narrow) + 1
    north = cast(_points.c.latitude - latitude, Float)
    east = cast(_points.c.longitude - longitude, Float) * narrow
    square: list[ColumnElement[bool]] = [
        _points.c.latitude.between(latitude - high, latitude + high),
        _points.c.longitude.between(longitude - wide, longitude + wide),
    ]
    return north * north + east * east, square


def _present(connection: Connection, scope: str) -> dict[str, dict[str, str]]:
    rows = connection.execute(select(_points.c.point_id, _points.c.document).where(*_of_region(scope))).all()
    return {row[0]: row[1] for row in rows}


def _compare(present: dict[str, dict[str, str]], points: Sequence[ServicePoint]) -> Replaced:
    wanted = {point.point_id: point.to_row() for point in points}
    changed = sum(present[name] != row for name, row in wanted.items() if name in present)
    both = sum(name in present for name in wanted)
    return Replaced(len(wanted) - both, changed, len(present) - both, both - changed)


def _row(point: ServicePoint) -> dict[str, object]:
    latitude, longitude = point.place.wgs84().millionths() if point.place is not None else (None, None)
    texts = (point.name_zh, point.name_en, point.address_zh, point.address_en, point.point_id)
    return {
        "point_id": point.point_id,
        "region": point.region,
        "kind": point.kind.value,
        "document": point.to_row(),
        "services": f",{','.join(point.services)},",
        "search_text": "\n".join(texts).lower(),
        "latitude": latitude,
        "longitude": longitude,
    }
