"""Policies of regions, in the order in which they were set. Rows are only added; triggers keep it so."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index

from ecard_issuer.register.columns import UtcDateTime
from ecard_issuer.register.schema import key, needed, table, text_column, texts

region_policy = table(
    "region_policy",
    key("book"),
    key("number", BigInteger),
    text_column("region"),
    needed("effective_from", UtcDateTime),
    *texts("document", "digest", "set_by"),
    needed("set_at", UtcDateTime),
    spread_by="book",
)

Index(None, region_policy.c.book, region_policy.c.region)
