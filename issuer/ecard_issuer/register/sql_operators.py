"""Who may ask, known by the hash of a token: port `Operators`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import bindparam, select, update

from ecard_card.errors import Conflict, NotFound
from ecard_issuer.names import person_key
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, insert_new, many, one, use_grant
from ecard_issuer.register.sql_approvals import withdraw
from ecard_issuer.rows import Grant, OperatorRow

_operator = tables.operator
#: Asked with every request of a caller.
_LIVE = select(_operator).where(_operator.c.token_hash == bindparam("token_hash"), _operator.c.revoked_at.is_(None))


class SqlOperators(Store):
    def add_operator(self, operator: OperatorRow, *, grant: Grant | None = None) -> None:
        with self._writing() as connection:
            use_grant(connection, grant, operator.created_at)
            if not insert_new(connection, _operator, **columns(operator)):
                raise Conflict("operator_exists", "this token is known already")

    def find_operator(self, token_hash: str) -> OperatorRow | None:
        with self._reading() as connection:
            return one(connection, OperatorRow, _LIVE, token_hash=token_hash)

    def has_operators(self) -> bool:
        with self._reading() as connection:
            return connection.scalar(select(_operator.c.role).where(_operator.c.token_hash > "").limit(1)) is not None

    def list_operators(self) -> tuple[OperatorRow, ...]:
        with self._reading() as connection:
            return many(
                connection,
                OperatorRow,
                select(_operator)
                .where(_operator.c.token_hash > "")
                .order_by(_operator.c.created_at, _operator.c.token_hash),
            )

    def revoke_operators(self, token_hashes: Collection[str], now: datetime, *, grant: Grant | None = None) -> None:
        with self._writing() as connection:
            use_grant(connection, grant, now)
            for token_hash in sorted(token_hashes):
                this = _operator.c.token_hash == token_hash
                live = _operator.c.revoked_at.is_(None)
                connection.execute(update(_operator).where(this, live).values(revoked_at=now))
                if connection.scalar(select(_operator.c.token_hash).where(this)) is None:
                    raise NotFound("operator_unknown", "no such operator")
            rows = many(connection, OperatorRow, select(_operator).where(_operator.c.token_hash > ""))
            revoked = {person_key(row.name) for row in rows if row.token_hash in token_hashes}
            withdraw(connection, revoked - {person_key(row.name) for row in rows if row.revoked_at is None}, now)
