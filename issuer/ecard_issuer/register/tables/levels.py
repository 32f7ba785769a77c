"""When payment and settlement were opened for an e-card, with which consent, and when closed."""

from __future__ import annotations

from sqlalchemy import Column, Integer, String

from ecard_issuer.levels.opening import Closing
from ecard_issuer.register.columns import TextCode, UtcDateTime
from ecard_issuer.register.schema import key, needed, one_of, partial_index, table, text_column, texts

ecard_opening = table(
    "ecard_opening",
    key("ecard_id"),
    key("opening", Integer),
    needed("opened_at", UtcDateTime),
    *texts("opened_by", "ground"),
    Column("mandate_id", String),
    text_column("consent"),
    Column("closed_at", UtcDateTime),
    Column("closed_by", String),
    Column("closing", TextCode(Closing)),
    one_of("closing", Closing),
    spread_by="ecard_id",
)

partial_index("uq_ecard_opening_open", ecard_opening.c.ecard_id, where="closed_at IS NULL", unique=True)
