"""Requests with an idempotency key, and their sealed answers."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary

from ecard_issuer.register.columns import UtcDateTime
from ecard_issuer.register.schema import key, needed, table, texts

idempotent_answer = table(
    "idempotent_answer",
    key("slot"),
    *texts("fingerprint", "run_id"),
    needed("leased_until", UtcDateTime),
    needed("expires_at", UtcDateTime),
    Column("wrapped_key", LargeBinary),
    Column("sealed_answer", LargeBinary),
    spread_by="slot",
)

Index(None, idempotent_answer.c.expires_at)
