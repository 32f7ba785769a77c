"""Ports of what partners are told: the streams and deliveries, and the changes that news are made from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from ecard_issuer.partners.streams import Backlog, Delivery, DeliveryState, News, Stream, StreamStatus
from ecard_issuer.rows import OutboxRow


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one attempt ended: what becomes of the delivery, and when the stream and the delivery are tried again."""

    state: DeliveryState
    result: str
    next_at: datetime | None  # of the delivery, while it waits
    failures: int  # of the stream, from now on
    hold_until: datetime | None = None  # nothing of the stream is tried before
    counts: bool = True  # as one of the delivery's attempts
    recovered: bool = False  # the receiver is there again: what failed meanwhile need not wait
    status: StreamStatus | None = None  # the stream's, where it changes
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Due:
    """A stream that may have something to do. `to_send`: a delivery is due; else there are events to look at."""

    stream_id: str
    cursor: int
    to_send: bool


@dataclass(frozen=True, slots=True)
class Subject:
    """A card that one stream is told about."""

    stream_id: str
    card_ref: str
    added_at: datetime


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A card that a stream begins to hear of, and what its partner calls it."""

    card_ref: str
    reference: str


class PartnerStore(Protocol):
    """Verbs that name a stream raise `NotFound` `partner_stream_unknown`; times are aware UTC."""

    def add_stream(self, stream: Stream) -> None:
        """Raises `Conflict` `partner_streams_full`. Repeating it with the same `stream_id` changes nothing."""

    def find_stream(self, stream_id: str) -> Stream | None: ...

    def streams_of(self, partner: str) -> tuple[Stream, ...]: ...

    def all_streams(self, after: str = "", limit: int = 1000) -> tuple[Stream, ...]:
        """In the order of their ids."""

    def change_stream(self, stream_id: str, now: datetime, changes: Mapping[str, object], news: News | None) -> Stream:
        """Set columns, and file `news` of it in the same transaction. Enabling a stream makes all that waits due."""

    def delete_stream(self, stream_id: str) -> None:
        """With its subjects and deliveries. May be cut short and repeated."""

    def add_subject(self, stream: Stream, card_ref: str, reference: str, since: int, now: datetime) -> bool:
        """Tell the stream what happens to this card after event `since` of the feed. `reference` is what the partner
        calls it. False where the stream was told about it already."""

    def remove_subject(self, stream_id: str, card_ref: str) -> bool: ...

    def card_called(self, partner: str, reference: str) -> str | None:
        """The card that this partner calls so."""

    def subjects_of_card(self, card_ref: str) -> tuple[Subject, ...]: ...

    def subjects_among(self, stream_id: str, card_refs: Collection[str]) -> Mapping[str, int]:
        """Those of `card_refs` that the stream is told about, and after which event of the feed."""

    def due(self, now: datetime, head: int) -> tuple[Due, ...]:
        """Streams that have something to do now and that nobody works on, the longest idle first."""

    def claim(self, stream_id: str, owner: str, now: datetime, lease: timedelta) -> Stream | None:
        """The stream for `owner` alone until the lease ends; None where another one has it."""

    def release(self, stream_id: str, owner: str, now: datetime, *, full_at: int | None) -> None:
        """Give it back, with the time at which its next delivery is due.

        `full_at`: where as many wait, nothing more is filed until some of it is gone; None: that is not so."""

    def file(
        self, stream: Stream, cursor: int, news: Sequence[News], successor: Newcomer | None, now: datetime
    ) -> None:
        """Move the cursor from `stream.cursor` to `cursor`, and give `news` the next numbers.

        What was filed before waits once more under its old number. `successor` is the card that took the place of
        another by event `cursor`: the stream is told about it from there on. Raises `Conflict` `partner_stream_moved`
        where the cursor is elsewhere.
        """

    def post(self, stream_id: str, news: News, now: datetime) -> None:
        """File an event of the stream itself, due at once.

        Raises `RuleViolation` `partner_verification_too_soon` for a second verification within ten seconds."""

    def ready(
        self, stream_id: str, now: datetime, *, limit: int, only_stream: bool = False, untried: bool = False
    ) -> tuple[Delivery, ...]:
        """Waiting deliveries that are due: of each card the first only, so that its news never overtake each other.

        `only_stream`: events of the stream itself. `untried`: those that were never tried first, then those that wait
        longest since; else in the order of their numbers."""

    def count_waiting(self, stream_id: str, most: int) -> int:
        """How many wait; counting stops at `most`."""

    def record(
        self, delivery: Delivery, owner: str, attempt: Attempt, news: News | None, now: datetime, lease: timedelta
    ) -> None:
        """Write down how an attempt ended and prolong the lease; `news` is filed with it.

        Raises `Conflict` `partner_lease_lost` where another worker has the stream meanwhile."""

    def waiting(self, stream_id: str, limit: int) -> tuple[Delivery, ...]:
        """In the order of their numbers."""

    def settle(self, stream_id: str, results: Mapping[str, tuple[DeliveryState, str]], now: datetime) -> int:
        """Write down what a poller said of events, by event id; unknown ids and those that wait no more are left."""

    def since(self, stream_id: str, after: int, limit: int) -> tuple[Delivery, ...]:
        """Deliveries with numbers above `after`, whatever their state."""

    def log(self, stream_id: str, limit: int, state: DeliveryState | None = None) -> tuple[Delivery, ...]:
        """Newest first."""

    def resend(self, stream_id: str, number: int, now: datetime) -> Delivery:
        """Make it wait again, due at once. Raises `NotFound` `partner_delivery_unknown`."""

    def numbered(self, stream_id: str, event_id: str) -> int | None:
        """The number of the delivery of that event."""

    def purge(self, before: datetime, limit: int) -> int:
        """Forget deliveries that are over and older than `before`, at most `limit`; says how many."""

    def needed_from(self) -> int | None:
        """The first event of the feed that a stream still needs, with the outbox row behind it; None: none.

        Whoever purges feed or outbox keeps these. Disabled streams hold nothing back."""

    def overview(self, head: int) -> tuple[Backlog, ...]: ...


@dataclass(frozen=True, slots=True)
class FeedPlace:
    """Where an event of the feed came from."""

    seq: int
    card_ref: str
    outbox_id: str


class NewsSource(Protocol):
    """What news are derived from: the feed's order, the outbox rows behind it, the cards."""

    def head(self) -> int:
        """The last number of the feed."""

    def places(self, after: int, limit: int) -> tuple[FeedPlace, ...]:
        """Feed rows with `seq` above `after`, in order; of an outbox row with several events the first only."""

    def rows(self, places: Sequence[FeedPlace]) -> Mapping[str, OutboxRow]:
        """The outbox rows behind them, by `outbox_id`."""

    def row(self, card_ref: str, outbox_id: str) -> OutboxRow | None: ...

    def regions(self, card_refs: Collection[str]) -> Mapping[str, str]:
        """The regions of those that are cards."""

    def successor(self, card_ref: str, sequence: int) -> str | None:
        """The card that took this one's place by the event of that number."""

    def card_of_credential(self, credential_id: bytes) -> str | None: ...
