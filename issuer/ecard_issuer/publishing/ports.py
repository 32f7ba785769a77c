"""What publishing asks of the store, and the rows of its own tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from ecard_issuer.ports import Feed, Statuses


class PublishedState(Statuses, Feed, Protocol):
    """Lists, and how far the feed is."""


@dataclass(frozen=True, slots=True)
class DeltaRow:
    """A published delta: the events after number `after` up to `upto`, as of `as_of` (NumericDate)."""

    stream: str
    number: int
    after: int
    upto: int
    as_of: int
    token: str = field(repr=False)
    created_at: datetime


class DeltaStore(Protocol):
    """Deltas, numbered from 1 without a gap; what is there never changes."""

    def latest_delta(self) -> DeltaRow | None:
        """The one with the highest number."""
        ...

    def deltas(self, after: int, limit: int) -> tuple[DeltaRow, ...]:
        """Those with a number above `after`, in order, at most `limit`."""
        ...

    def delta_number_at(self, position: int) -> int | None:
        """The number of the last delta that begins at or before event `position` of the feed."""
        ...

    def add_delta(self, row: DeltaRow) -> bool:
        """Keep it, or say False: another process has made one of this number."""
        ...

    def drop_deltas(self, before: datetime) -> int:
        """Forget those made before `before`, never the latest; returns how many."""
        ...


@dataclass(frozen=True, slots=True)
class DecoyTurn:
    """That a decoy of this list is due, and that nobody else makes it."""

    list_id: int
    size: int


class DecoyStore(Protocol):
    """Decoys: places of a list that belong to nobody and look as if they did."""

    def due_decoys(
        self, now: datetime, delay: Callable[[int | None], tuple[int, float]], limit: int = 100
    ) -> tuple[DecoyTurn, ...]:
        """Take the lists whose next decoy is due, and set the time of the one after it.

        `delay` takes a list's mean seconds between decoys (None for a list that has none yet) and gives the mean to
        keep and the seconds until the next one. A list without a time gets one, and no turn.
        """
        ...

    def new_decoy(self, list_id: int, index: int, value: int, change: str, sequence: int, now: datetime) -> bool:
        """Make a free place a decoy and tell the feed; False where the place is taken, by whomsoever."""
        ...

    def suspended_decoy(self, list_id: int, from_index: int) -> int | None:
        """The first suspended decoy at or after `from_index`."""
        ...

    def change_decoy(self, list_id: int, index: int, value: int, change: str, sequence: int, now: datetime) -> bool:
        """Change a decoy's value and tell the feed; False where it is none, or invalid already."""
        ...


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """A whole snapshot of the feed up to event `upto`."""

    stream: str
    number: int
    upto: int
    manifest: str = field(repr=False)
    made_at: datetime


class SnapshotStore(Protocol):
    """Snapshots, numbered from 1, with their chunks. One is made at a time, by whoever has begun it."""

    def begin_snapshot(self, now: datetime, every: timedelta, lease: timedelta) -> int | None:
        """The number of a new one, that the caller makes; None where the last is younger than `every`.

        Raises `Conflict` `feed_snapshot_being_made` where another maker was heard of within `lease`.
        """
        ...

    def renew_snapshot(self, number: int, now: datetime) -> None:
        """Its maker is still there. Raises `Conflict` `feed_snapshot_being_made` where another one has begun since."""
        ...

    def add_snapshot_chunk(self, number: int, place: int, data: bytes, now: datetime) -> None:
        """Keep chunk `place`, counted from 0. Raises as `renew_snapshot` does."""
        ...

    def finish_snapshot(self, row: SnapshotRow, digest: str) -> None:
        """It is whole: have the feed name its manifest by `digest`. Raises as `renew_snapshot` does."""
        ...

    def latest_snapshot(self) -> SnapshotRow | None:
        """The newest that the feed has named."""
        ...

    def snapshot_chunk(self, number: int, place: int) -> bytes | None:
        """A chunk of one that is whole."""
        ...

    def drop_snapshots(self, keep: int, before: datetime, begun: int | None = None) -> None:
        """Forget what is whole but the newest `keep`, and all of it made before `before`; and what was begun and never
        finished, but for number `begun`."""
        ...
