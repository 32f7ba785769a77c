"""The log of policies on SQL: port `PolicyLog`. Its primary key settles which of two writers has which number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import func, select

from ecard_card.errors import Unavailable
from ecard_card.region import span
from ecard_card.status import CardStatus
from ecard_issuer.policies.values import PolicyRow
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, insert_new, many, use_grant
from ecard_issuer.rows import Grant

_BOOK = "policies"
_TRIES = 20
_policy, _card = tables.region_policy, tables.card


class SqlPolicyLog(Store):
    def after(self, number: int) -> tuple[PolicyRow, ...]:
        newer = select(_policy).where(_policy.c.book == _BOOK, _policy.c.number > number).order_by(_policy.c.number)
        with self._reading() as connection:
            return many(connection, PolicyRow, newer)

    def of_region(self, region: str) -> tuple[PolicyRow, ...]:
        own = select(_policy).where(_policy.c.book == _BOOK, _policy.c.region == region).order_by(_policy.c.number)
        with self._reading() as connection:
            return many(connection, PolicyRow, own)

    def append(self, row: PolicyRow, *, grant: Grant | None = None) -> PolicyRow:
        last = select(_policy.c.number).where(_policy.c.book == _BOOK).order_by(_policy.c.number.desc()).limit(1)
        with self._writing() as connection:
            use_grant(connection, grant, row.set_at)
            for _ in range(_TRIES):
                numbered = replace(row, number=(connection.scalar(last) or 0) + 1)
                if insert_new(connection, _policy, **columns(numbered), book=_BOOK):
                    return numbered
        raise Unavailable("register_unavailable", "policies are set here without a pause")

    def cards_in(self, region: str) -> Mapping[tuple[str, CardStatus], int]:
        first, last = span(region)
        counted = (
            select(_card.c.region, _card.c.status, func.count())
            .where(_card.c.region >= first, _card.c.region <= last)
            .group_by(_card.c.region, _card.c.status)
        )
        with self._reading() as connection:
            return {(code, status): count for code, status, count in connection.execute(counted)}
