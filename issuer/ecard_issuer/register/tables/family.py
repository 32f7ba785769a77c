"""Family e-cards: who may show whose, and when they did."""

from __future__ import annotations

from sqlalchemy import Boolean, CheckConstraint, Column, Index, Integer, String, UniqueConstraint

from ecard_issuer.family.link import FamilyEnd, Proof, Relation, Side
from ecard_issuer.register.columns import TextCode, UtcDateTime
from ecard_issuer.register.schema import key, needed, one_of, table, text_column, texts

family_link = table(
    "family_link",
    key("viewer_ref"),
    key("link_id"),
    needed("place", Integer),
    *texts("relative_ref", "ecard_id"),
    needed("relation", TextCode(Relation)),
    needed("proof", TextCode(Proof)),
    Column("mandate_id", String),
    *texts("consent", "entered_by"),
    needed("started_at", UtcDateTime),
    Column("ends_at", UtcDateTime),
    needed("of_age", Boolean),
    Column("ended_at", UtcDateTime),
    Column("end", TextCode(FamilyEnd)),
    one_of("relation", Relation),
    one_of("proof", Proof),
    spread_by="viewer_ref",
)

Index(None, family_link.c.relative_ref)

#: The places of live links: the limit of relatives is a primary key, and a pair has one live link.
family_place = table(
    "family_place",
    key("viewer_ref"),
    key("place", Integer),
    *texts("relative_ref", "link_id"),
    CheckConstraint("place >= 0", name="place"),
    UniqueConstraint("viewer_ref", "relative_ref"),
    spread_by="viewer_ref",
)

Index(None, family_place.c.relative_ref)

#: From the relative to the links in which they are shown.
family_relative = table(
    "family_relative", key("relative_ref"), key("link_id"), text_column("viewer_ref"), spread_by="relative_ref"
)

Index(None, family_relative.c.viewer_ref)

family_showing = table(
    "family_showing",
    key("holder_ref"),
    key("showing_id"),
    needed("side", TextCode(Side)),
    *texts("link_id", "other_ref", "shown_by"),
    needed("shown_at", UtcDateTime),
    one_of("side", Side),
    spread_by="holder_ref",
)

Index(None, family_showing.c.holder_ref, family_showing.c.shown_at)

Index(None, family_showing.c.other_ref)

Index(None, family_showing.c.shown_at, family_showing.c.holder_ref, family_showing.c.showing_id)
