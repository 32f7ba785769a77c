"""Whether this register is a live issuer's or a test issuer's. No row: it was live before there was a choice."""

from __future__ import annotations

from sqlalchemy import Boolean

from ecard_issuer.register.schema import key, needed, table

issuer_mode = table(
    "issuer_mode",
    key("name"),
    needed("test", Boolean),
    spread_by="name",
)
