"""Partners who are told when something changes: their streams, whose cards they hear of, what each stream was sent.

What is to be told is never stored: a delivery names the outbox row that it is made from. A subject lies with its card,
so that a person's own business needs one machine; a stream lies with its deliveries.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, UniqueConstraint

from ecard_issuer.partners.streams import DeliveryState, Method, NewsKind, StreamStatus
from ecard_issuer.register.columns import Flag, TextCode, TextTuple, UtcDateTime
from ecard_issuer.register.schema import key, needed, one_of, partial_index, table, text_column, texts

partner_stream = table(
    "partner_stream",
    key("stream_id"),
    text_column("partner"),
    needed("method", TextCode(Method)),
    Column("endpoint", String),
    text_column("description"),
    needed("events", TextTuple),
    needed("regions", TextTuple),  # whose every card is told, by permission of an operator
    needed("regions_since", BigInteger),
    needed("wrapped_key", LargeBinary),
    needed("sealed_secrets", LargeBinary),
    needed("status", TextCode(StreamStatus)),
    text_column("reason"),
    needed("cursor", BigInteger),  # the last event of the feed that was looked at
    needed("numbered", BigInteger),  # the last number given to a delivery of this stream
    needed("full", Boolean),  # as much waits as may: nothing more is filed until some of it is gone
    needed("failures", Integer),  # failed attempts since the last good one
    Column("next_at", UtcDateTime),  # when a delivery is due; none: nothing waits
    Column("hold_until", UtcDateTime),  # the receiver seems away: nothing is sent before
    Column("leased_until", UtcDateTime),
    Column("lease_owner", String),
    Column("asked_at", UtcDateTime),
    needed("created_at", UtcDateTime),
    needed("updated_at", UtcDateTime),
    Column("of_channel", Flag),  # news come from a channel's own log, whose numbers `cursor` counts
    one_of("method", Method),
    one_of("status", StreamStatus),
    spread_by="stream_id",
)

#: A partner's streams, and the bound on how many there are: a place is taken before the stream is made.
partner_place = table(
    "partner_place",
    key("partner"),
    key("place", Integer),
    text_column("stream_id"),
    spread_by="partner",
)

partner_subject = table(
    "partner_subject",
    key("card_ref"),
    key("stream_id"),
    needed("added_at", UtcDateTime),
    needed("since", BigInteger),  # the last event of the feed before the card was added: what was then is not told
    spread_by="card_ref",
)

Index(None, partner_subject.c.stream_id)

#: From what a partner calls a card to the card.
partner_reference = table(
    "partner_reference",
    key("reference"),
    *texts("partner", "card_ref"),
    spread_by="reference",
)

Index(None, partner_reference.c.card_ref)

partner_delivery = table(
    "partner_delivery",
    key("stream_id"),
    key("number", BigInteger),
    needed("seq", BigInteger),  # of the feed; 0 for what concerns the stream itself
    *texts("card_ref", "outbox_id"),
    needed("kind", TextCode(NewsKind)),
    text_column("event_id"),
    Column("note", JSON),  # what an event of the stream itself says
    needed("state", TextCode(DeliveryState)),
    needed("attempts", Integer),
    Column("next_at", UtcDateTime),
    text_column("result"),
    needed("created_at", UtcDateTime),
    needed("updated_at", UtcDateTime),
    UniqueConstraint("stream_id", "event_id"),
    one_of("kind", NewsKind),
    one_of("state", DeliveryState),
    spread_by="stream_id",
)

partial_index(
    "ix_partner_delivery_waiting",
    partner_delivery.c.stream_id,
    partner_delivery.c.card_ref,
    partner_delivery.c.number,
    where="state = 'waiting'",
)

partial_index("ix_partner_delivery_dead", partner_delivery.c.stream_id, where="state = 'dead'")

partial_index("ix_partner_delivery_over", partner_delivery.c.updated_at, where="state <> 'waiting'")
