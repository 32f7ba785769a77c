"""Port `PaymentStore` on SQL."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from ecard_card.errors import NotFound
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, insert_new, many, one
from ecard_issuer.settlements.states import PaymentState
from ecard_issuer.settlements.store import Agreed, PaymentRow

_payments = tables.payment_request


class SqlPayments(Store):
    def add(self, row: PaymentRow) -> PaymentRow:
        with self._writing() as connection:
            insert_new(connection, _payments, **columns(row))
            return _present(connection, row.transaction_id)

    def find(self, transaction_id: str) -> PaymentRow | None:
        with self._reading() as connection:
            return _find(connection, transaction_id)

    def authorize(self, transaction_id: str, agreed: Agreed) -> PaymentRow:
        values = {"state": PaymentState.AUTHORIZED, **columns(agreed)}
        return self._move(transaction_id, (PaymentState.ASKED,), values)

    def redeem(self, transaction_id: str, redeemed_for: str, now: datetime) -> PaymentRow:
        values = {"state": PaymentState.REDEEMED, "redeemed_for": redeemed_for, "ended_at": now}
        return self._move(transaction_id, (PaymentState.AUTHORIZED,), values)

    def void(self, transaction_id: str, voided_by: str, states: tuple[PaymentState, ...], now: datetime) -> PaymentRow:
        values = {"state": PaymentState.VOIDED, "voided_by": voided_by, "ended_at": now}
        return self._move(transaction_id, states, values)

    def of_holder(self, holder_ref: str) -> tuple[PaymentRow, ...]:
        of_person = select(_payments).where(_payments.c.holder_ref == holder_ref)
        with self._reading() as connection:
            return many(connection, PaymentRow, of_person.order_by(_payments.c.asked_at, _payments.c.transaction_id))

    def forget(self, asked_before: datetime, limit: int) -> int:
        old = _payments.c.asked_at < asked_before, _payments.c.holder_ref.is_(None)
        with self._writing() as connection:
            keys = connection.scalars(select(_payments.c.transaction_id).where(*old).limit(limit)).all()
            connection.execute(delete(_payments).where(_payments.c.transaction_id.in_(keys)))
        return len(keys)

    def _move(self, transaction_id: str, states: tuple[PaymentState, ...], values: dict[str, object]) -> PaymentRow:
        this = _payments.c.transaction_id == transaction_id
        with self._writing() as connection:
            connection.execute(update(_payments).where(this, _payments.c.state.in_(states)).values(**values))
            return _present(connection, transaction_id)


def _find(connection: Connection, transaction_id: str) -> PaymentRow | None:
    return one(connection, PaymentRow, select(_payments).where(_payments.c.transaction_id == transaction_id))


def _present(connection: Connection, transaction_id: str) -> PaymentRow:
    row = _find(connection, transaction_id)
    if row is None:
        raise NotFound("transaction_unknown", "no payment has this id")
    return row
