"""A partner's stream and what was filed in it: values that the rules, the store and the routes share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

#: How many streams one partner may have.
MAX_STREAMS: Final = 20
#: How often a stream may be asked to prove that it works.
VERIFICATION_INTERVAL: Final = timedelta(seconds=10)
CAEP_CHANGE: Final = "https://schemas.openid.net/secevent/caep/event-type/credential-change"
SSF_VERIFICATION: Final = "https://schemas.openid.net/secevent/ssf/event-type/verification"
SSF_UPDATED: Final = "https://schemas.openid.net/secevent/ssf/event-type/stream-updated"
PUSH: Final = "urn:ietf:rfc:8935"
POLL: Final = "urn:ietf:rfc:8936"


def own_event(issuer: str) -> str:
    """The name of our own event of a card's change."""
    return f"{issuer}/secevent/ecard/event-type/status-changed"


class Method(StrEnum):
    """How news reach a partner."""

    PUSH = "push"  # RFC 8935
    POLL = "poll"  # RFC 8936
    WEBHOOK = "webhook"  # Standard Webhooks 1.0


class StreamStatus(StrEnum):
    ENABLED = "enabled"
    PAUSED = "paused"  # nothing is sent; goes on where it stopped
    DISABLED = "disabled"  # the same, by the receiver's last word (410) or an operator's


class NewsKind(StrEnum):
    """What one delivery carries."""

    STATUS = "status-changed"
    CAEP = "credential-change"
    VERIFICATION = "verification"
    UPDATED = "stream-updated"


#: Of a stream itself, and of no card.
OF_STREAM: Final = frozenset({NewsKind.VERIFICATION, NewsKind.UPDATED})


class DeliveryState(StrEnum):
    WAITING = "waiting"  # to be sent, or to be fetched
    DONE = "done"  # the receiver has it
    DEAD = "dead"  # given up after the last attempt
    REFUSED = "refused"  # the poller said that it cannot use it (RFC 8936 `setErrs`)


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream as stored. Times are aware UTC."""

    stream_id: str
    partner: str
    method: Method
    endpoint: str | None
    description: str
    events: tuple[str, ...]  # names of kinds of news about cards: `NewsKind` values
    regions: tuple[str, ...]
    regions_since: int  # the last event of the feed before they were permitted
    wrapped_key: bytes = field(repr=False)
    sealed_secrets: bytes = field(repr=False)
    status: StreamStatus
    reason: str
    cursor: int
    numbered: int
    full: bool
    failures: int
    next_at: datetime | None
    hold_until: datetime | None
    leased_until: datetime | None
    lease_owner: str | None
    asked_at: datetime | None
    created_at: datetime
    updated_at: datetime
    #: A channel's webhook: `partner` is its app id, `cursor` counts in that channel's own log, and so does the `seq` of
    #: its deliveries, whose `card_ref` is a link's id. What is due is filed there (`ecard_issuer.channel_events`).
    of_channel: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event of a stream: where it comes from, and how far it came."""

    stream_id: str
    number: int  # 1, 2, 3 … within the stream, without a gap
    seq: int
    card_ref: str
    outbox_id: str
    kind: NewsKind
    event_id: str
    note: Mapping[str, str] | None
    state: DeliveryState
    attempts: int
    next_at: datetime | None
    result: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class News:
    """An event to be filed: a delivery without its number."""

    seq: int
    card_ref: str
    outbox_id: str
    kind: NewsKind
    event_id: str
    note: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """How one stream stands; `lag` counts events of the feed beyond the cursor; up to 500
    of them may have been looked at, and concern the stream not."""

    stream_id: str
    partner: str
    method: Method
    status: StreamStatus
    waiting: int
    oldest: datetime | None
    dead: int
    lag: int
