"""Port `ClaimStore` on SQL."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import case, delete, or_, select, update

from ecard_issuer.links.values import ClaimRow, ClaimState, IdentificationRow
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, fixed, insert_new, one

_identification, _try, _claim = tables.identification, tables.identification_try, tables.claim
_statement, _count = tables.identity_statement, tables.channel_count
#: For how long what is over is kept, so that whoever comes late is told so.
_KEPT: Final = timedelta(days=1)


class SqlClaims(Store):
    def add_identification(self, row: IdentificationRow) -> None:
        with self._writing() as connection:
            connection.execute(_identification.insert().values(columns(row)))

    def find_identification(self, identification_id: str) -> IdentificationRow | None:
        this = _identification.c.identification_id == identification_id
        with self._reading() as connection:
            return one(connection, IdentificationRow, select(_identification).where(this))

    def take_try(self, person: str, limit: int, term: timedelta, now: datetime) -> bool:
        over = _try.c.since <= now - term
        take = (
            update(_try)
            .where(_try.c.person == person, or_(over, _try.c.tries < limit))
            .values(tries=case((over, 1), else_=_try.c.tries + 1), since=case((over, now), else_=_try.c.since))
        )
        with self._writing() as connection:
            if connection.execute(take).rowcount == 1:
                return True
            if insert_new(connection, _try, person=person, tries=1, since=now):
                return True
            return connection.execute(take).rowcount == 1

    def clear_tries(self, person: str) -> None:
        with self._writing() as connection:
            connection.execute(delete(_try).where(_try.c.person == person))

    def count(self, app_id: str, what: str, span: timedelta, now: datetime) -> int:
        period = _period(span, now)
        this = (_count.c.app_id == app_id, _count.c.what == what)
        more = (
            update(_count)
            .where(*this)
            .values(count=case((_count.c.period == period, _count.c.count + 1), else_=1), period=period)
            .returning(_count.c.count)
        )
        with self._writing() as connection:
            found = connection.scalar(more)
            if found is None:
                if insert_new(connection, _count, app_id=app_id, what=what, period=period, count=1):
                    return 1
                found = connection.scalar(more)
        return found or 1

    def counted(self, app_id: str, what: str, span: timedelta, now: datetime) -> int:
        this = (_count.c.app_id == app_id, _count.c.what == what, _count.c.period == _period(span, now))
        with self._reading() as connection:
            return connection.scalar(select(_count.c.count).where(*this)) or 0

    def add_claim(self, row: ClaimRow) -> None:
        with self._writing() as connection:
            connection.execute(_claim.insert().values(columns(row)))

    def find_claim(self, claim_id: str) -> ClaimRow | None:
        with self._reading() as connection:
            return one(connection, ClaimRow, select(_claim).where(_claim.c.claim_id == claim_id))

    def prove_claim(self, row: ClaimRow) -> ClaimRow:
        this = _claim.c.claim_id == row.claim_id
        with self._writing() as connection:
            connection.execute(
                update(_claim)
                .where(this, _claim.c.state == fixed(ClaimState.OPEN))
                .values(state=ClaimState.PROVEN, provider=row.provider, method=row.method)
            )
            return one(connection, ClaimRow, select(_claim).where(this)) or row

    def finish_claim(self, claim_id: str, linked_id: str) -> None:
        this = (_claim.c.claim_id == claim_id, _claim.c.state == fixed(ClaimState.PROVEN))
        with self._writing() as connection:
            connection.execute(update(_claim).where(*this).values(state=ClaimState.DONE, linked_id=linked_id))

    def use_statement(self, statement: str, claim_id: str, expires_at: datetime) -> bool:
        taken = select(_statement.c.claim_id).where(_statement.c.statement == statement)
        values = {"statement": statement, "claim_id": claim_id, "expires_at": expires_at}
        with self._writing() as connection:
            return insert_new(connection, _statement, **values) or connection.scalar(taken) == claim_id

    def forget(self, now: datetime, limit: int) -> int:
        before, gone = now - _KEPT, 0
        for table, key, time in (
            (_identification, _identification.c.identification_id, _identification.c.expires_at),
            (_claim, _claim.c.claim_id, _claim.c.expires_at),
            (_try, _try.c.person, _try.c.since),
            (_statement, _statement.c.statement, _statement.c.expires_at),
        ):
            over = select(key).where(time < before).order_by(time, key).limit(limit)
            with self._reading() as connection:
                keys = connection.scalars(over).all()
            if keys:
                with self._writing() as connection:
                    gone += connection.execute(delete(table).where(key.in_(keys), time < before)).rowcount
        return gone


def _period(span: timedelta, now: datetime) -> int:
    return int(now.timestamp() // span.total_seconds())
