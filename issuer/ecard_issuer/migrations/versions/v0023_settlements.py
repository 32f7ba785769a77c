"""Payments that merchants asked for, and what became of each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ecard_issuer.register.columns import UtcDateTime

revision = "0023"
down_revision = "0022"

_STATES = "'asked', 'authorized', 'redeemed', 'voided'"


def upgrade() -> None:
    op.create_table(
        "payment_request",
        *_texts("transaction_id", "service_id", "payer", "request_hash"),
        sa.Column("line", sa.Integer(), nullable=False),
        *_texts("challenge"),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        *_texts("state"),
        *(sa.Column(name, sa.String(), nullable=True) for name in ("holder_ref", "way", "redeemed_for", "voided_by")),
        *(sa.Column(name, UtcDateTime(), nullable=True) for name in ("authorized_at", "expires_at", "ended_at")),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(f"state IN ({_STATES})", name=op.f("ck_payment_request_state")),
        sa.PrimaryKeyConstraint("transaction_id", name=op.f("pk_payment_request")),
    )
    op.create_index(op.f("ix_payment_request_asked_at"), "payment_request", ["asked_at"])
    op.create_index(op.f("ix_payment_request_holder_ref"), "payment_request", ["holder_ref"])


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String(), nullable=False) for name in names]
