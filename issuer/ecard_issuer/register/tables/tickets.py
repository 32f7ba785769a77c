"""Tickets for pages that show an e-card, and the sessions that come of them."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String

from ecard_issuer.register.columns import TextCode, UtcDateTime
from ecard_issuer.register.schema import key, needed, one_of, table, texts
from ecard_issuer.tickets.values import Ending

show_session = table(
    "show_session",
    key("session_id"),
    *texts("app_id", "link_id"),
    Column("origin", String),
    needed("issued_at", UtcDateTime),
    needed("redeem_by", UtcDateTime),
    Column("opened_at", UtcDateTime),
    Column("expires_at", UtcDateTime),
    Column("token_hash", String),
    Column("status_uri", String),
    Column("status_index", Integer),
    Column("ended_at", UtcDateTime),
    Column("ending", TextCode(Ending)),
    one_of("ending", Ending),
    spread_by="session_id",
)

#: For those that are to be forgotten; no request of a page looks for a time.
Index(None, show_session.c.issued_at)
