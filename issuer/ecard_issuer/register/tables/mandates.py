"""Who may act for whom, with what proof; and what is known of people's lives."""

from __future__ import annotations

from sqlalchemy import Column, Date, ForeignKey, Index, Integer, LargeBinary, String

from ecard_card.acting import Ground
from ecard_card.life import LifeStatus
from ecard_issuer.mandates.values import AgentRelation, MandateCause
from ecard_issuer.register.columns import TextCode, TextTuple, UtcDateTime
from ecard_issuer.register.schema import key, needed, one_of, partial_index, table, text_column, texts

mandate = table(
    "mandate",
    key("mandate_id"),
    text_column("holder_ref"),
    Column("agent_ref", String),  # a person
    Column("agency", String),  # or the name of a caller
    needed("ground", TextCode(Ground)),
    needed("cause", TextCode(MandateCause)),
    needed("relation", TextCode(AgentRelation)),
    needed("acts", TextTuple),
    needed("starts_at", UtcDateTime),
    Column("closes_at", UtcDateTime),  # the end, brought forward by a revocation
    needed("sealed", LargeBinary),  # what proves it, under the holder's data key
    *texts("content_mac", "checked_by"),
    needed("created_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("revoked_by", String),
    one_of("ground", Ground),
    spread_by="mandate_id",
)

Index(None, mandate.c.holder_ref)

Index(None, mandate.c.agent_ref)

partial_index("ix_mandate_closes_at", mandate.c.closes_at, where="closes_at IS NOT NULL")

mandate_document = table(
    "mandate_document",
    key("mandate_id", String, ForeignKey("mandate.mandate_id")),
    text_column("media_type"),
    needed("size", Integer),
    needed("sealed", LargeBinary),
    needed("added_at", UtcDateTime),
    spread_by="mandate_id",
)

holder_life = table(
    "holder_life",
    key("holder_ref"),
    needed("life", TextCode(LifeStatus)),
    needed("since", Date),
    text_column("recorded_by"),
    needed("recorded_at", UtcDateTime),
    one_of("life", LifeStatus),
    spread_by="holder_ref",
)
