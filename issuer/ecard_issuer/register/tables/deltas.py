"""Signed status deltas, as published."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index

from ecard_issuer.register.columns import UtcDateTime
from ecard_issuer.register.schema import key, needed, table, text_column

status_delta = table(
    "status_delta",
    key("stream"),
    key("number", BigInteger),
    needed("after", BigInteger),
    needed("upto", BigInteger),
    needed("as_of", BigInteger),
    text_column("token"),
    needed("created_at", UtcDateTime),
    spread_by="stream",
)

Index(None, status_delta.c.stream, status_delta.c.after)
