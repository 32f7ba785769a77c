"""What channels are told of their links; and whether a register is a test issuer's."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ecard_issuer.register.columns import UtcDateTime

revision = "0019"
down_revision = "0018"

_TYPES = (
    "'link.claimed', 'link.released', 'card.lost', 'card.found', 'card.replaced', 'card.cancelled', 'card.changed', "
    "'level.changed', 'password.changed'"
)


def upgrade() -> None:
    op.add_column("partner_stream", sa.Column("of_channel", sa.Boolean))
    op.create_table(
        "issuer_mode",
        sa.Column("name", sa.String, autoincrement=False, nullable=False),
        sa.Column("test", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_issuer_mode")),
    )
    op.create_table(
        "channel_log",
        sa.Column("app_id", sa.String, autoincrement=False, nullable=False),
        sa.Column("numbered", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("app_id", name=op.f("pk_channel_log")),
    )
    op.create_table(
        "channel_feed_place",
        sa.Column("name", sa.String, autoincrement=False, nullable=False),
        sa.Column("cursor", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_channel_feed_place")),
    )
    op.create_table(
        "channel_event",
        sa.Column("app_id", sa.String, autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("event_id", sa.String, nullable=False),
        sa.Column("link_id", sa.String, nullable=False),
        sa.Column("type", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("action_type", sa.String),
        sa.Column("scene_type", sa.String),
        sa.Column("occurred_at", UtcDateTime, nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("app_id", "number", name=op.f("pk_channel_event")),
        sa.UniqueConstraint("app_id", "event_id", name=op.f("uq_channel_event_app_id_event_id")),
        sa.CheckConstraint(f"type IN ({_TYPES})", name=op.f("ck_channel_event_type")),
    )
    op.create_index(op.f("ix_channel_event_recorded_at_app_id"), "channel_event", ["recorded_at", "app_id"])
