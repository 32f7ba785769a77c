"""Status out to verifiers: signed deltas, when a list ends, and when a list's next decoy is due."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ecard_issuer.register.columns import UtcDateTime

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("status_list", sa.Column("ends_at", UtcDateTime))
    op.add_column("status_list", sa.Column("decoy_every", sa.BigInteger))
    op.add_column("status_list", sa.Column("next_decoy_at", UtcDateTime))
    op.create_index("ix_status_list_next_decoy_at", "status_list", ["next_decoy_at"])
    op.create_table(
        "status_delta",
        sa.Column("stream", sa.String, nullable=False, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("after", sa.BigInteger, nullable=False),
        sa.Column("upto", sa.BigInteger, nullable=False),
        sa.Column("as_of", sa.BigInteger, nullable=False),
        sa.Column("token", sa.String, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("stream", "number", name="pk_status_delta"),
    )
    op.create_index("ix_status_delta_stream_after", "status_delta", ["stream", "after"])
