"""Callers."""

from __future__ import annotations

from sqlalchemy import Column

from ecard_issuer.register.columns import UtcDateTime
from ecard_issuer.register.schema import key, needed, table, texts

operator = table(
    "operator",
    key("token_hash"),
    *texts("name", "role"),
    needed("created_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    spread_by="token_hash",
)
