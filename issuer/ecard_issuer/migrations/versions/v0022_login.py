"""Logins: attempts, the QR codes they showed, the requests of phones, and who logged in where a moment ago."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ecard_issuer.register.columns import TextTuple, UtcDateTime

revision = "0022"
down_revision = "0021"

_STATES = "'open', 'scanned', 'confirmed', 'collected', 'denied', 'cancelled', 'killed'"


def upgrade() -> None:
    op.create_table(
        "login_attempt",
        sa.Column("transaction_id", sa.String(), nullable=False),
        *_texts("browser_hash", "client_id", "redirect_uri"),
        sa.Column("scopes", TextTuple(), nullable=False),
        sa.Column("oauth_state", sa.String(), nullable=True),
        sa.Column("nonce", sa.String(), nullable=True),
        *_texts("challenge", "acr"),
        sa.Column("asked", TextTuple(), nullable=False),
        *_texts("region", "address", "device", "language"),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("turned_at", UtcDateTime(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=True) for name in ("request_id", "app_id", "number", "login_id")),
        sa.CheckConstraint(f"state IN ({_STATES})", name=op.f("ck_login_attempt_state")),
        sa.PrimaryKeyConstraint("transaction_id", name=op.f("pk_login_attempt")),
    )
    op.create_index(op.f("ix_login_attempt_until"), "login_attempt", ["until"])
    op.create_table(
        "login_qr",
        *_texts("qr_hash", "transaction_id"),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("qr_hash", name=op.f("pk_login_qr")),
    )
    op.create_index(op.f("ix_login_qr_until"), "login_qr", ["until"])
    op.create_table(
        "login_request",
        *_texts("request_id", "transaction_id", "app_id", "link_id"),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_login_request")),
    )
    op.create_index(op.f("ix_login_request_until"), "login_request", ["until"])
    op.create_table(
        "login",
        *_texts("login_id", "holder_ref", "ecard_id", "app_id", "link_id", "service_id", "client_id"),
        *_texts("redirect_uri", "challenge"),
        sa.Column("nonce", sa.String(), nullable=True),
        sa.Column("scopes", TextTuple(), nullable=False),
        *_texts("acr"),
        sa.Column("amr", TextTuple(), nullable=False),
        *_texts("chip_assurance"),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.Column("code_hash", sa.String(), nullable=True),
        sa.Column("code_until", UtcDateTime(), nullable=True),
        sa.Column("code_used_at", UtcDateTime(), nullable=True),
        sa.Column("token_hash", sa.String(), nullable=True),
        sa.Column("token_until", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("login_id", name=op.f("pk_login")),
    )
    op.create_index(op.f("ix_login_holder_ref"), "login", ["holder_ref"])
    op.create_index(op.f("ix_login_until"), "login", ["until"])


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String(), nullable=False) for name in names]
