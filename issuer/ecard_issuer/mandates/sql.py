"""Mandates and life statuses on SQL: ports `MandateStore` and `LifeStore`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, case, delete, literal, or_, select, update

from ecard_card.errors import Conflict, NotFound
from ecard_issuer.mandates.values import LifeRow, MandateDocumentRow, MandateRow
from ecard_issuer.register import tables
from ecard_issuer.register.columns import UtcDateTime
from ecard_issuer.register.sql import Store, columns, insert_new, many, one

_mandate, _document, _life = tables.mandate, tables.mandate_document, tables.holder_life
_MOST: Final = 1000


class SqlMandates(Store):
    """A `MandateStore` and `LifeStore` over an engine whose schema is in place."""

    def add(self, row: MandateRow) -> MandateRow:
        with self._writing() as connection:
            return add_mandate(connection, row)

    def find(self, mandate_id: str) -> MandateRow | None:
        with self._reading() as connection:
            return one(connection, MandateRow, _named(mandate_id))

    def of_holder(self, holder_ref: str) -> tuple[MandateRow, ...]:
        return self._listed(select(_mandate).where(_mandate.c.holder_ref == holder_ref))

    def of_agent(self, agent_ref: str) -> tuple[MandateRow, ...]:
        return self._listed(select(_mandate).where(_mandate.c.agent_ref == agent_ref))

    def _listed(self, found: Select[Any]) -> tuple[MandateRow, ...]:
        with self._reading() as connection:
            ordered = found.order_by(_mandate.c.created_at, _mandate.c.mandate_id).limit(_MOST)
            return many(connection, MandateRow, ordered)

    def revoke(self, mandate_id: str, by: str, now: datetime) -> MandateRow:
        moment = literal(now, UtcDateTime())
        later = or_(_mandate.c.closes_at.is_(None), _mandate.c.closes_at > moment)
        sooner = case((later, moment), else_=_mandate.c.closes_at)
        with self._writing() as connection:
            connection.execute(
                update(_mandate)
                .where(_mandate.c.mandate_id == mandate_id, _mandate.c.revoked_at.is_(None))
                .values(revoked_at=now, revoked_by=by, closes_at=sooner)
            )
            row = one(connection, MandateRow, _named(mandate_id))
        if row is None:
            raise NotFound("mandate_unknown", "no such mandate")
        return row

    def add_document(self, row: MandateDocumentRow) -> None:
        with self._writing() as connection:
            connection.execute(delete(_document).where(_document.c.mandate_id == row.mandate_id))
            connection.execute(_document.insert().values(columns(row)))

    def find_document(self, mandate_id: str) -> MandateDocumentRow | None:
        with self._reading() as connection:
            named = select(_document).where(_document.c.mandate_id == mandate_id)
            return one(connection, MandateDocumentRow, named)

    def purge(self, before: datetime, limit: int) -> int:
        closed = select(_mandate.c.mandate_id).where(_mandate.c.closes_at.is_not(None), _mandate.c.closes_at < before)
        with self._writing() as connection:
            gone = list(connection.scalars(closed.order_by(_mandate.c.closes_at).limit(limit)))
            if not gone:
                return 0
            connection.execute(delete(_document).where(_document.c.mandate_id.in_(gone)))
            return connection.execute(delete(_mandate).where(_mandate.c.mandate_id.in_(gone))).rowcount

    def find_life(self, holder_ref: str) -> LifeRow | None:
        with self._reading() as connection:
            return one(connection, LifeRow, select(_life).where(_life.c.holder_ref == holder_ref))

    def record_life(self, row: LifeRow) -> LifeRow:
        of_person = _life.c.holder_ref == row.holder_ref
        with self._writing() as connection:
            if not insert_new(connection, _life, **columns(row)):
                newer = update(_life).where(of_person, _life.c.recorded_at <= row.recorded_at)
                connection.execute(newer.values(columns(row)))
            (stands,) = many(connection, LifeRow, select(_life).where(of_person))
        return stands


def add_mandate(connection: Connection, row: MandateRow) -> MandateRow:
    """Within a transaction: see `MandateStore.add`."""
    if insert_new(connection, _mandate, **columns(row)):
        return row
    (before,) = many(connection, MandateRow, _named(row.mandate_id))
    if before.content_mac != row.content_mac:
        raise Conflict("mandate_differs", "this request was made before with other content")
    return before


def _named(mandate_id: str) -> Select[Any]:
    return select(_mandate).where(_mandate.c.mandate_id == mandate_id)
