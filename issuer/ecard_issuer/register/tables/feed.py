"""The outbox, and the feed that it becomes."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Integer, String, UniqueConstraint

from ecard_issuer.register.columns import TextCode, UtcDateTime
from ecard_issuer.register.schema import key, needed, partial_index, table, text_column
from ecard_issuer.states import OutboxKind

outbox = table(
    "outbox",
    key("card_ref"),
    key("outbox_id"),
    needed("ordinal", BigInteger),
    needed("kind", TextCode(OutboxKind)),
    needed("body", JSON),
    needed("created_at", UtcDateTime),
    Column("claimed_until", UtcDateTime),
    Column("dispatched_at", UtcDateTime),
    UniqueConstraint("card_ref", "ordinal"),
    spread_by="card_ref",
)

partial_index("ix_outbox_waiting", outbox.c.outbox_id, where="dispatched_at IS NULL")

partial_index("ix_outbox_waiting_card", outbox.c.card_ref, outbox.c.ordinal, where="dispatched_at IS NULL")

feed_head = table("feed_head", key("stream"), needed("seq", BigInteger), spread_by="stream")

feed = table(
    "feed",
    key("stream", String, ForeignKey("feed_head.stream")),
    key("seq", BigInteger),
    text_column("outbox_id"),
    needed("part", Integer),
    text_column("token"),
    needed("created_at", UtcDateTime),
    Column("card_ref", String),  # whose outbox row it was
    UniqueConstraint("stream", "outbox_id", "part"),
    spread_by="stream",
)
