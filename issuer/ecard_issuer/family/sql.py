"""Port `Links` on SQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from ecard_card.errors import Conflict, RuleViolation
from ecard_issuer.family.link import FamilyEnd, LinkRow, ShowingRow, Side
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, insert_new, many, one

_link, _place = tables.family_link, tables.family_place
_relative, _showing = tables.family_relative, tables.family_showing


class SqlLinks(Store):
    def add(self, link: LinkRow, places: int, *, instead_of: str | None = None) -> LinkRow:
        with self._writing() as connection:
            before = _find(connection, link.viewer_ref, link.link_id)
            if before is not None:
                return before
            if instead_of is not None:
                _end(connection, link.viewer_ref, instead_of, FamilyEnd.RENEWED, link.started_at)
            held = set(connection.scalars(select(_place.c.place).where(_place.c.viewer_ref == link.viewer_ref)).all())
            # Lower numbers first, so that of many at once each waits for the one before and then tries the next.
            free = [number for number in range(places) if number not in held] if len(held) < places else []
            for number in free:
                placed = replace(link, place=number)
                if insert_new(
                    connection,
                    _place,
                    viewer_ref=link.viewer_ref,
                    place=number,
                    relative_ref=link.relative_ref,
                    link_id=link.link_id,
                ):
                    connection.execute(_link.insert().values(columns(placed)))
                    connection.execute(
                        _relative.insert().values(
                            relative_ref=link.relative_ref, link_id=link.link_id, viewer_ref=link.viewer_ref
                        )
                    )
                    return placed
                rival = _between(connection, link.viewer_ref, link.relative_ref)
                if rival is not None:
                    return rival
            rival = _between(connection, link.viewer_ref, link.relative_ref)
            if rival is None:
                raise RuleViolation("family_full", "as many relatives as the region permits")
            return rival

    def find(self, viewer_ref: str, link_id: str) -> LinkRow | None:
        with self._reading() as connection:
            return _find(connection, viewer_ref, link_id)

    def between(self, viewer_ref: str, relative_ref: str) -> LinkRow | None:
        with self._reading() as connection:
            return _between(connection, viewer_ref, relative_ref)

    def live(self, viewer_ref: str) -> tuple[LinkRow, ...]:
        joined = select(_link).join(
            _place, (_place.c.viewer_ref == _link.c.viewer_ref) & (_place.c.link_id == _link.c.link_id)
        )
        with self._reading() as connection:
            return many(connection, LinkRow, joined.where(_place.c.viewer_ref == viewer_ref).order_by(_place.c.place))

    def of(self, holder_ref: str, side: Side) -> tuple[LinkRow, ...]:
        with self._reading() as connection:
            if side is Side.VIEWER:
                found = many(connection, LinkRow, select(_link).where(_link.c.viewer_ref == holder_ref))
            else:
                listed = connection.execute(select(_relative).where(_relative.c.relative_ref == holder_ref)).all()
                seen = [_find(connection, row.viewer_ref, row.link_id) for row in listed]
                found = tuple(link for link in seen if link is not None)
        return tuple(sorted(found, key=lambda link: (link.started_at, link.link_id)))

    def end(self, link: LinkRow, end: FamilyEnd, now: datetime) -> LinkRow:
        with self._writing() as connection:
            _end(connection, link.viewer_ref, link.link_id, end, now)
            return _find(connection, link.viewer_ref, link.link_id) or link

    def add_showing(self, link: LinkRow, showing_id: str, shown_by: str, now: datetime) -> bool:
        viewer, relative = link.viewer_ref, link.relative_ref
        of_viewer = ShowingRow(viewer, showing_id, Side.VIEWER, link.link_id, relative, shown_by, now)
        of_relative = ShowingRow(relative, showing_id, Side.RELATIVE, link.link_id, viewer, shown_by, now)
        with self._writing() as connection:
            if not insert_new(connection, _showing, **columns(of_viewer)):
                this = (_showing.c.holder_ref == viewer, _showing.c.showing_id == showing_id)
                if connection.scalar(select(_showing.c.link_id).where(*this)) == link.link_id:
                    return False
                raise Conflict("family_showing_differs", "this id was used for another showing")
            if not insert_new(connection, _showing, **columns(of_relative)):
                raise Conflict("family_showing_differs", "this id was used for another showing")
        return True

    def showings(self, holder_ref: str, side: Side | None = None, limit: int = 1000) -> tuple[ShowingRow, ...]:
        wanted = select(_showing).where(_showing.c.holder_ref == holder_ref)
        if side is not None:
            wanted = wanted.where(_showing.c.side == side)
        with self._reading() as connection:
            return many(connection, ShowingRow, wanted.order_by(_showing.c.shown_at.desc()).limit(limit))


def _find(connection: Connection, viewer_ref: str, link_id: str) -> LinkRow | None:
    this = (_link.c.viewer_ref == viewer_ref, _link.c.link_id == link_id)
    return one(connection, LinkRow, select(_link).where(*this))


def _between(connection: Connection, viewer_ref: str, relative_ref: str) -> LinkRow | None:
    pair = (_place.c.viewer_ref == viewer_ref, _place.c.relative_ref == relative_ref)
    link_id = connection.scalar(select(_place.c.link_id).where(*pair))
    return None if link_id is None else _find(connection, viewer_ref, link_id)


def _end(connection: Connection, viewer_ref: str, link_id: str, end: FamilyEnd, now: datetime) -> None:
    connection.execute(delete(_place).where(_place.c.viewer_ref == viewer_ref, _place.c.link_id == link_id))
    connection.execute(
        update(_link)
        .where(_link.c.viewer_ref == viewer_ref, _link.c.link_id == link_id, _link.c.ended_at.is_(None))
        .values(ended_at=now, end=end)
    )
