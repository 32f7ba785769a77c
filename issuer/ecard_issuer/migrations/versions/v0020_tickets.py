"""Tickets for pages that show an e-card, and the sessions that come of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ecard_issuer.register.columns import UtcDateTime

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.create_table(
        "show_session",
        sa.Column("session_id", sa.String, primary_key=True, autoincrement=False),
        sa.Column("app_id", sa.String, nullable=False),
        sa.Column("link_id", sa.String, nullable=False),
        sa.Column("origin", sa.String),
        sa.Column("issued_at", UtcDateTime, nullable=False),
        sa.Column("redeem_by", UtcDateTime, nullable=False),
        sa.Column("opened_at", UtcDateTime),
        sa.Column("expires_at", UtcDateTime),
        sa.Column("token_hash", sa.String),
        sa.Column("status_uri", sa.String),
        sa.Column("status_index", sa.Integer),
        sa.Column("ended_at", UtcDateTime),
        sa.Column("ending", sa.String),
        sa.CheckConstraint("ending IN ('reused', 'stray')", name="ending"),
    )
    op.create_index("ix_show_session_issued_at", "show_session", ["issued_at"])
