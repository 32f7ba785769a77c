"""Partners: their streams, subjects and deliveries; and of which card an event of the feed speaks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ecard_issuer.register.columns import TextTuple, UtcDateTime

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("feed", sa.Column("card_ref", sa.String))
    op.execute("UPDATE feed SET card_ref = outbox.card_ref FROM outbox WHERE outbox.outbox_id = feed.outbox_id")
    op.create_table(
        "partner_stream",
        _key("stream_id"),
        _text("partner"),
        _text("method"),
        sa.Column("endpoint", sa.String),
        _text("description"),
        _needed("events", TextTuple),
        _needed("regions", TextTuple),
        _needed("regions_since", sa.BigInteger),
        _needed("wrapped_key", sa.LargeBinary),
        _needed("sealed_secrets", sa.LargeBinary),
        _text("status"),
        _text("reason"),
        _needed("cursor", sa.BigInteger),
        _needed("numbered", sa.BigInteger),
        _needed("full", sa.Boolean),
        _needed("failures", sa.Integer),
        sa.Column("next_at", UtcDateTime),
        sa.Column("hold_until", UtcDateTime),
        sa.Column("leased_until", UtcDateTime),
        sa.Column("lease_owner", sa.String),
        sa.Column("asked_at", UtcDateTime),
        _needed("created_at", UtcDateTime),
        _needed("updated_at", UtcDateTime),
        sa.CheckConstraint("method IN ('push', 'poll', 'webhook')", name="method"),
        sa.CheckConstraint("status IN ('enabled', 'paused', 'disabled')", name="status"),
    )
    op.create_table("partner_place", _key("partner"), _key("place", sa.Integer), _text("stream_id"))
    op.create_table(
        "partner_subject",
        _key("card_ref"),
        _key("stream_id"),
        _needed("added_at", UtcDateTime),
        _needed("since", sa.BigInteger),
    )
    op.create_index("ix_partner_subject_stream_id", "partner_subject", ["stream_id"])
    op.create_table("partner_reference", _key("reference"), _text("partner"), _text("card_ref"))
    op.create_table(
        "partner_delivery",
        _key("stream_id"),
        _key("number", sa.BigInteger),
        _needed("seq", sa.BigInteger),
        _text("card_ref"),
        _text("outbox_id"),
        _text("kind"),
        _text("event_id"),
        sa.Column("note", sa.JSON),
        _text("state"),
        _needed("attempts", sa.Integer),
        sa.Column("next_at", UtcDateTime),
        _text("result"),
        _needed("created_at", UtcDateTime),
        _needed("updated_at", UtcDateTime),
        sa.UniqueConstraint("stream_id", "event_id"),
        sa.CheckConstraint(
            "kind IN ('status-changed', 'credential-change', 'verification', 'stream-updated')", name="kind"
        ),
        sa.CheckConstraint("state IN ('waiting', 'done', 'dead', 'refused')", name="state"),
    )
    _partial(
        "ix_partner_delivery_waiting", "partner_delivery", ["stream_id", "card_ref", "number"], "state = 'waiting'"
    )
    _partial("ix_partner_delivery_dead", "partner_delivery", ["stream_id"], "state = 'dead'")
    _partial("ix_partner_delivery_over", "partner_delivery", ["updated_at"], "state <> 'waiting'")


def _key(name: str, kind: object = sa.String) -> sa.Column[object]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)  # type: ignore[arg-type]


def _needed(name: str, kind: object) -> sa.Column[object]:
    return sa.Column(name, kind, nullable=False)  # type: ignore[arg-type]


def _text(name: str) -> sa.Column[object]:
    return _needed(name, sa.String)


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)
