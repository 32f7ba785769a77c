"""Snapshots of the feed, with which new verifiers begin."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ecard_issuer.register.columns import UtcDateTime

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.create_table(
        "feed_snapshot",
        *_place(),
        sa.Column("renewed_at", UtcDateTime(), nullable=False),
        sa.Column("upto", sa.BigInteger(), nullable=True),
        sa.Column("manifest", sa.String(), nullable=True),
        sa.Column("made_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("stream", "number", name=op.f("pk_feed_snapshot")),
    )
    op.create_table(
        "feed_snapshot_chunk",
        *_place(),
        sa.Column("place", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("stream", "number", "place", name=op.f("pk_feed_snapshot_chunk")),
    )


def _place() -> tuple[sa.Column[str], sa.Column[int]]:
    return (
        sa.Column("stream", sa.String(), nullable=False, autoincrement=False),
        sa.Column("number", sa.BigInteger(), nullable=False, autoincrement=False),
    )
