"""Channels, the decisions about them, their access tokens, and values that count once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ecard_issuer.register.columns import TextTuple, UtcDateTime

revision = "0016"
down_revision = "0015"

_STATES = "state IN ('applied', 'active', 'suspended', 'refused')"


def upgrade() -> None:
    op.create_table(
        "channel",
        sa.Column("app_id", sa.String, primary_key=True),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("registration", sa.JSON, nullable=False),
        sa.Column("request_hash", sa.String, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("applied_at", UtcDateTime, nullable=False),
        sa.CheckConstraint(_STATES, name="state"),
    )
    op.create_index("ix_channel_state_app_id", "channel", ["state", "app_id"])
    op.create_table(
        "channel_change",
        sa.Column("app_id", sa.String, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("changed_by", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("registration", sa.JSON, nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "access_token",
        sa.Column("token_hash", sa.String, primary_key=True),
        sa.Column("use", sa.String, nullable=False),
        sa.Column("client_id", sa.String, nullable=False),
        sa.Column("scopes", TextTuple, nullable=False),
        sa.Column("confirmation", sa.String, nullable=False),
        sa.Column("thumbprint", sa.String, nullable=False),
        sa.Column("issued_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_access_token_expires_at", "access_token", ["expires_at"])
    op.create_table(
        "one_time_value",
        sa.Column("value_hash", sa.String, primary_key=True),
        sa.Column("until", UtcDateTime, nullable=False),
    )
    op.create_index("ix_one_time_value_until", "one_time_value", ["until"])
