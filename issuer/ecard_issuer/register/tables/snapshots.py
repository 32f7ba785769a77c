"""Snapshots of the feed for new verifiers: those that are published, the one that is being made, and their chunks."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String

from ecard_issuer.register.columns import UtcDateTime
from ecard_issuer.register.schema import key, needed, table

feed_snapshot = table(
    "feed_snapshot",
    key("stream"),
    key("number", BigInteger),
    needed("renewed_at", UtcDateTime),  # while it is made: when its maker was last heard of
    Column("upto", BigInteger),  # from here on: of a finished one
    Column("manifest", String),
    Column("made_at", UtcDateTime),
    spread_by="stream",
)

feed_snapshot_chunk = table(
    "feed_snapshot_chunk",
    key("stream"),
    key("number", BigInteger),
    key("place", Integer),
    needed("data", LargeBinary),
    spread_by="stream",
)
