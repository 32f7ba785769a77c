"""Channels (apps that show e-cards), every decision about them, their access tokens, and values taken once."""

from __future__ import annotations

from sqlalchemy import JSON, Index, Integer

from ecard_issuer.channels.states import ChannelState
from ecard_issuer.oauth.confirmation import Confirmation
from ecard_issuer.register.columns import TextCode, TextTuple, UtcDateTime
from ecard_issuer.register.schema import key, needed, one_of, table, text_column, texts

channel = table(
    "channel",
    key("app_id"),
    needed("state", TextCode(ChannelState)),
    needed("registration", JSON),
    text_column("request_hash"),  # of the application: the same again is done once
    needed("number", Integer),  # of its last change
    needed("applied_at", UtcDateTime),
    one_of("state", ChannelState),
    spread_by="app_id",
)

Index(None, channel.c.state, channel.c.app_id)

#: What was ever decided about a channel, for the record.
channel_change = table(
    "channel_change",
    key("app_id"),
    key("number", Integer),
    *texts("action", "changed_by", "reason"),
    needed("state", TextCode(ChannelState)),
    needed("registration", JSON),
    needed("changed_at", UtcDateTime),
    spread_by="app_id",
)

access_token = table(
    "access_token",
    key("token_hash"),
    *texts("use", "client_id"),
    needed("scopes", TextTuple),
    needed("confirmation", TextCode(Confirmation)),
    text_column("thumbprint"),
    needed("issued_at", UtcDateTime),
    needed("expires_at", UtcDateTime),
    spread_by="token_hash",
)

Index(None, access_token.c.expires_at)

one_time_value = table(
    "one_time_value",
    key("value_hash"),
    needed("until", UtcDateTime),
    spread_by="value_hash",
)

Index(None, one_time_value.c.until)
