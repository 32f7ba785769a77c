"""What channels are told of their links: one numbered log for each channel, which webhooks and polls are read from.

An event names a link and what became of it. Whose link that is stands elsewhere, and goes with the person.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, String, UniqueConstraint

from ecard_issuer.channel_events.values import ChannelEventType
from ecard_issuer.register.columns import TextCode, UtcDateTime
from ecard_issuer.register.schema import key, needed, one_of, table, text_column, texts

channel_event = table(
    "channel_event",
    key("app_id"),
    key("number", BigInteger),  # 1, 2, 3 … within the channel, without a gap
    *texts("event_id", "link_id"),
    needed("type", TextCode(ChannelEventType)),
    text_column("status"),
    Column("action_type", String),
    Column("scene_type", String),
    needed("occurred_at", UtcDateTime),
    needed("recorded_at", UtcDateTime),
    UniqueConstraint("app_id", "event_id"),
    one_of("type", ChannelEventType),
    spread_by="app_id",
)

Index(None, channel_event.c.recorded_at, channel_event.c.app_id)

#: The last number given, which is the lock of a channel's log.
channel_log = table(
    "channel_log",
    key("app_id"),
    needed("numbered", BigInteger),
    spread_by="app_id",
)

#: How far the feed was read for channels.
channel_feed_place = table(
    "channel_feed_place",
    key("name"),
    needed("cursor", BigInteger),
    spread_by="name",
)
