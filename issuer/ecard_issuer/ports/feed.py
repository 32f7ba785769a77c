"""Port `Feed`: from the outbox into the numbered feed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from ecard_issuer.rows import FeedEntry, FeedRow, OutboxRow


class Feed(Protocol):
    def claim_outbox(self, now: datetime, *, lease: timedelta, limit: int = 100) -> tuple[OutboxRow, ...]:
        """Take undispatched rows, oldest first, for as long as `lease`; no other worker gets them meanwhile.

        At most one row of a card at a time, so a card's events never overtake each other: ask until it is empty."""

    def oldest_pending(self) -> datetime | None:
        """When the oldest undispatched row was written, claimed ones too; None where nothing waits."""

    def append_feed(self, stream: str, after: int, entries: Sequence[FeedEntry], now: datetime) -> tuple[FeedRow, ...]:
        """Append signed events as `after` + 1, `after` + 2 … and settle their outbox rows.

        `after` is the head that the tokens were signed for. `Conflict`: `feed_moved` (another worker appended: number
        and sign again), `outbox_settled` (the lease ran out and another worker did it: claim again)."""

    def read_feed(self, stream: str, after: int = 0, limit: int = 1000) -> tuple[FeedRow, ...]:
        """Events with `seq` above `after`, in order; a reader that saw `n` never misses one below it."""

    def feed_head(self, stream: str) -> int:
        """The last `seq`; 0 for an empty stream."""
