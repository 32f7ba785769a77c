"""The outbox, and the feed that it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ecard_issuer.states import OutboxKind


@dataclass(frozen=True, slots=True)
class OutboxRow:
    card_ref: str  # what concerns no card has a queue of its own: a trust list "", a stolen key "purpose/kid"
    outbox_id: str  # time-ordered text
    ordinal: int  # rises within the card
    kind: OutboxKind
    body: Mapping[str, object]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """A signed event to append to a stream, and the outbox row it comes from (one row may yield several events)."""

    card_ref: str
    outbox_id: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FeedRow:
    stream: str
    seq: int  # 1, 2, 3 … without a gap
    outbox_id: str
    token: str = field(repr=False)
    created_at: datetime
    card_ref: str | None = None  # of the outbox row; `outbox_id` alone does not find it
