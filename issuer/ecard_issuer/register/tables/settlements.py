"""Payments that merchants asked for, and what became of each."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String

from ecard_issuer.register.columns import TextCode, UtcDateTime
from ecard_issuer.register.schema import key, needed, one_of, table, texts
from ecard_issuer.settlements.states import PaymentState

#: One row from question to end. Who agreed stands there from then on; the signed authorization is sealed under the
#: person's data key.
payment_request = table(
    "payment_request",
    key("transaction_id"),
    *texts("service_id", "payer", "request_hash"),
    needed("line", Integer),
    *texts("challenge"),
    needed("amount", BigInteger),
    needed("asked_at", UtcDateTime),
    needed("until", UtcDateTime),
    needed("state", TextCode(PaymentState)),
    Column("holder_ref", String, nullable=True),
    Column("way", String, nullable=True),
    Column("redeemed_for", String, nullable=True),
    Column("voided_by", String, nullable=True),
    Column("authorized_at", UtcDateTime, nullable=True),
    Column("expires_at", UtcDateTime, nullable=True),
    Column("ended_at", UtcDateTime, nullable=True),
    Column("sealed", LargeBinary, nullable=True),
    one_of("state", PaymentState),
    spread_by="transaction_id",
)

Index(None, payment_request.c.asked_at)

Index(None, payment_request.c.holder_ref)
