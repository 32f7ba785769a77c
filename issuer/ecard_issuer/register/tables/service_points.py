"""Outlets where card business is done. Public data: nothing here is about a person."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, String

from ecard_issuer.register.columns import UtcDateTime
from ecard_issuer.register.schema import key, needed, table, text_column, texts

service_point = table(
    "service_point",
    key("point_id"),
    *texts("region", "kind"),
    needed("document", JSON),
    text_column("services"),  # each between commas
    text_column("search_text"),  # lower case
    Column("latitude", Integer),  # WGS-84, millionths of a degree
    Column("longitude", Integer),
    spread_by="point_id",
)

Index(None, service_point.c.region, service_point.c.point_id)

Index(None, service_point.c.latitude, service_point.c.longitude)

#: One row per scope that was ever imported; whoever replaces a set locks it.
service_point_set = table(
    "service_point_set",
    key("scope", String),
    needed("version", BigInteger),
    needed("points", Integer),
    text_column("changed_by"),
    needed("changed_at", UtcDateTime),
    spread_by="scope",
)
