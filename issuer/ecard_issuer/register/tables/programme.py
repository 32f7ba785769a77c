"""Where the programme's channels are found, as operators say."""

from __future__ import annotations

from ecard_issuer.register.columns import UtcDateTime
from ecard_issuer.register.schema import key, needed, table, text_column

channel_address = table(
    "channel_address",
    key("channel_id"),
    text_column("address"),
    text_column("changed_by"),
    needed("changed_at", UtcDateTime),
    spread_by="channel_id",
)
