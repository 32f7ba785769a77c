"""Requests with an idempotency key, and their sealed answers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ecard_issuer.register.columns import UtcDateTime

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "idempotent_answer",
        sa.Column("slot", sa.String, primary_key=True, autoincrement=False),
        sa.Column("fingerprint", sa.String, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("leased_until", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary),
        sa.Column("sealed_answer", sa.LargeBinary),
    )
    op.create_index("ix_idempotent_answer_expires_at", "idempotent_answer", ["expires_at"])
