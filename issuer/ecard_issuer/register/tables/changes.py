"""What happened to cards."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, String, UniqueConstraint

from ecard_card.status import CardChange, CardStatus
from ecard_issuer.register.columns import IntCode, TextCode, UtcDateTime
from ecard_issuer.register.schema import card_key, key, needed, table, text_column

card_event = table(
    "card_event",
    card_key(),
    key("sequence", BigInteger),
    text_column("event_id"),
    needed("change", TextCode(CardChange)),
    needed("previous", IntCode(CardStatus)),
    needed("status", IntCode(CardStatus)),
    needed("missed", BigInteger),
    needed("occurred_at", UtcDateTime),
    needed("recorded_at", UtcDateTime),
    text_column("reason"),
    Column("successor", String),
    text_column("source"),
    Column("source_sequence", BigInteger),
    UniqueConstraint("card_ref", "source", "event_id"),
    UniqueConstraint("card_ref", "source", "source_sequence"),
    spread_by="card_ref",
)
