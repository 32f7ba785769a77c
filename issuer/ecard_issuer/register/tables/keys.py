"""Signing keys, their schedules, trust lists and roots."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, LargeBinary

from ecard_issuer.register.columns import Seconds, UtcDateTime
from ecard_issuer.register.schema import key, needed, partial_index, table, text_column, texts

signing_key = table(
    "signing_key",
    key("purpose"),
    key("kid"),
    text_column("state"),
    needed("public", LargeBinary),
    *texts("algorithm", "home"),
    needed("created_at", UtcDateTime),
    Column("activated_at", UtcDateTime),
    Column("retired_from", UtcDateTime),
    Column("compromised_from", UtcDateTime),
    Column("user_id", LargeBinary),
    Column("published_at", UtcDateTime),
    Column("retired_at", UtcDateTime),
    Column("compromised_at", UtcDateTime),
    Column("destroyed_at", UtcDateTime),
    spread_by="purpose",
)

partial_index("uq_signing_key_active", signing_key.c.purpose, where="state = 'active'", unique=True)

partial_index("uq_signing_key_next", signing_key.c.purpose, where="state IN ('generated', 'next')", unique=True)

key_schedule = table(
    "key_schedule",
    key("purpose"),
    needed("every", Seconds),
    text_column("set_by"),
    needed("set_at", UtcDateTime),
    CheckConstraint("every > 0", name="every"),
    spread_by="purpose",
)

trust_list = table(
    "trust_list",
    key("version", BigInteger),
    needed("document", LargeBinary),
    needed("created_at", UtcDateTime),
    spread_by="version",
)

trust_root = table(
    "trust_root",
    key("version", BigInteger),
    needed("document", LargeBinary),
    needed("created_at", UtcDateTime),
    spread_by="version",
)
