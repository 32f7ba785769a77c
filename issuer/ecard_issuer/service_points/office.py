"""Searching service points, and replacing a region's set of them by a file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ecard_card import jose
from ecard_card.errors import InvalidInput, NotFound
from ecard_card.region import is_region
from ecard_issuer.service_points.files import Format, ReadSet, RowError, read_file, read_rows, write_file
from ecard_issuer.service_points.geography import distance
from ecard_issuer.service_points.points import ServicePoint
from ecard_issuer.service_points.store import Mark, PointStore, Query, Replaced

MAX_LIMIT: Final = 100
MAX_RADIUS: Final = 100_000
#: Points that are looked at for one page at most.
_MOST_SEEN: Final = 1000
_BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class Hit:
    """A point that was found; `metres` from where was asked, `is_open` now or None where its hours are not known."""

    point: ServicePoint
    metres: int | None
    is_open: bool | None


@dataclass(frozen=True, slots=True)
class Page:
    """What was found, and where to go on; a page may be short, or empty, and still not be the last."""

    hits: tuple[Hit, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Import:
    """What a file does: `done` is None where it was refused for its rows, and then nothing was changed."""

    rows: int
    wrong: int
    errors: tuple[RowError, ...]
    done: Replaced | None
    dry_run: bool

    def to_json(self) -> dict[str, object]:
        done = self.done
        counts = None
        if done is not None:
            counts = {
                "added": done.added,
                "changed": done.changed,
                "removed": done.removed,
                "unchanged": done.unchanged,
            }
        return {
            "dry_run": self.dry_run,
            "rows": self.rows,
            "wrong": self.wrong,
            "errors": [error.to_json() for error in self.errors],
            "outcome": counts,
        }


class ServicePoints:
    """The use case."""

    def __init__(self, store: PointStore) -> None:
        self._store = store

    def get(self, point_id: str, now: datetime) -> Hit:
        """Raises `NotFound` `service_point_unknown`."""
        point = self._store.find(point_id)
        if point is None:
            raise NotFound("service_point_unknown", "no service point has this id")
        return _hit(point, None, now)

    def search(
        self, query: Query, now: datetime, *, open_now: bool = False, limit: int = 20, cursor: str | None = None
    ) -> Page:
        """The next points that fit, at most `limit` (1 to 100).

        Raises `InvalidInput` `bad_point_query` for a region, a text, a radius or a limit out of bounds, `bad_cursor`.
        """
        _require(query, limit)
        mark = _mark(cursor, query) if cursor is not None else None
        hits: list[Hit] = []
        for _ in range(_MOST_SEEN // _BATCH):
            found = self._store.page(query, mark, _BATCH)
            for item in found:
                mark = item.mark
                hit = _hit(item.point, query, now)
                too_far = hit.metres is not None and hit.metres > query.radius
                if too_far or (open_now and not hit.is_open):
                    continue
                hits.append(hit)
                if len(hits) == limit:
                    return Page(tuple(hits), _cursor(item.mark))
            if len(found) < _BATCH:
                return Page(tuple(hits), None)
        return Page(tuple(hits), None if mark is None else _cursor(mark))

    def replace_by_file(
        self,
        content: bytes,
        form: Format,
        scope: str,
        actor: str,
        now: datetime,
        *,
        dry_run: bool,
        encoding: str | None = None,
    ) -> Import:
        """Make a file's rows the points of `scope`, a region: all of them, or with one bad row none.

        Raises `InvalidInput` `bad_points_file`, `bad_point_query`; `Conflict` `service_point_elsewhere`."""
        _require_region(scope)
        return self._replace(read_file(content, form, scope, encoding), scope, actor, now, dry_run=dry_run)

    def replace_by_rows(
        self, rows: Iterable[dict[str, Any]], scope: str, actor: str, now: datetime, *, dry_run: bool
    ) -> Import:
        """The same for rows."""
        _require_region(scope)
        return self._replace(read_rows(rows, scope), scope, actor, now, dry_run=dry_run)

    def export(self, form: Format, scope: str, *, encoding: str = "utf-8") -> bytes:
        """The file that brings the same set again. Raises `InvalidInput` `bad_point_query`."""
        _require_region(scope)
        return write_file(self._store.every(scope), form, encoding=encoding)

    def _replace(self, read: ReadSet, scope: str, actor: str, now: datetime, *, dry_run: bool) -> Import:
        rows = len(read.points) + read.wrong
        if rows == 0:
            raise InvalidInput("bad_points_file", "without rows: an empty set would remove every point")
        done = None
        if read.wrong == 0:
            done = self._store.replace(scope, read.points, actor, now, dry_run=dry_run)
        return Import(rows, read.wrong, read.errors, done, dry_run)


def _hit(point: ServicePoint, query: Query | None, now: datetime) -> Hit:
    metres = None
    if query is not None and query.near is not None and point.place is not None:
        metres = round(distance(query.near, point.place.wgs84()))
    known = any(point.hours.days)
    return Hit(point, metres, point.hours.is_open(now) if known else None)


def _require(query: Query, limit: int) -> None:
    if query.region is not None:
        _require_region(query.region)
    if not 1 <= limit <= MAX_LIMIT or not 1 <= query.radius <= MAX_RADIUS:
        raise InvalidInput("bad_point_query", "limit is 1 to 100, radius 1 to 100000 metres")
    if query.text is not None and not 1 <= len(query.text) <= 100:
        raise InvalidInput("bad_point_query", "the text is 1 to 100 characters")


def _require_region(region: str) -> None:
    if not is_region(region):
        raise InvalidInput("bad_point_query", "a region is six digits")


def _cursor(mark: Mark) -> str:
    return jose.b64url_encode(jose.dump_json([mark.place, mark.point_id]))


def _mark(cursor: str, query: Query) -> Mark:
    """Raises `InvalidInput` `bad_cursor`, also for one of a search of another kind."""
    try:
        value = jose.parse_json(jose.b64url_decode(cursor), limit=512, max_depth=1)
    except InvalidInput:
        value = None
    match value:
        case [str(region), str(point_id)] if query.near is None:
            return Mark(region, point_id)
        case [float(place), str(point_id)] if query.near is not None:
            return Mark(place, point_id)
    raise InvalidInput("bad_cursor", "not a cursor that this search gave")
