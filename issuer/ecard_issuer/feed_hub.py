"""The tail of the feed in this process's memory, from which every follower is served without asking the register.

One thread (the dispatcher) publishes; any number of threads and event loops read. What has left the tail is read
from the register again.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from ecard_card.errors import Unavailable
from ecard_issuer.ports import Feed
from ecard_issuer.rows import FeedRow
from ecard_verifier.feed import STREAM

TAIL: Final = 4096  # messages kept
_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Message:
    """One line of the feed: `kind` is `set` (a stored event) or `beat`; `seq` of a beat is the event before it."""

    kind: str
    seq: int
    token: str = field(repr=False)


class FeedHub:
    """Messages in the order of their publication, and a bell that rings when there are more."""

    def __init__(self, head: int, tail: int = TAIL) -> None:
        self._bell = threading.Condition()
        self._messages: deque[Message] = deque(maxlen=tail)
        self._published = 0  # count of messages ever; the last one in the tail has this number
        self._floor = head  # seq of the newest event that is not in the tail
        self._head = head
        self._listeners: set[Callable[[], None]] = set()
        self.closed = False

    @property
    def head(self) -> int:
        """`seq` of the newest event known here."""
        return self._head

    def publish(self, rows: Sequence[FeedRow]) -> None:
        """Events as stored, in order and without a gap after `head`."""
        self._append([Message("set", row.seq, row.token) for row in rows if row.seq > self._head])

    def beat(self, seq: int, token: str) -> None:
        """A signed beat after event `seq`, which must be the head."""
        self._append([Message("beat", seq, token)])

    def close(self) -> None:
        """End every follower's stream."""
        with self._bell:
            self.closed = True
        self._ring()

    def attach(self, position: int) -> int | None:
        """The cursor of a follower that has all events up to `position`; None where it must read the register first."""
        with self._bell:
            if position < self._floor:
                return None
            older = sum(1 for message in self._messages if message.kind == "set" and message.seq <= position)
            skipped = 0
            for message in self._messages:
                if older == 0:
                    break
                skipped += 1
                older -= message.kind == "set"
            return self._published - len(self._messages) + skipped

    def after(self, cursor: int) -> tuple[list[Message], int] | None:
        """The messages beyond `cursor` and the cursor behind them; None for a follower too slow for the tail."""
        with self._bell:
            missing = self._published - cursor
            if missing > len(self._messages):
                return None
            start = len(self._messages) - missing
            return [self._messages[place] for place in range(start, len(self._messages))], self._published

    def wait(self, cursor: int, timeout: float) -> None:
        """Until there is a message beyond `cursor`, the hub closes, or `timeout` seconds are over."""
        with self._bell:
            self._bell.wait_for(lambda: self.closed or self._published > cursor, timeout)

    def listen(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback`, from the publishing thread, whenever there is more. Returns how to stop that."""
        with self._bell:
            self._listeners.add(callback)
        return lambda: self._listeners.discard(callback)

    def _append(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        with self._bell:
            for message in messages:
                if len(self._messages) == self._messages.maxlen:
                    self._floor = max(self._floor, self._messages[0].seq)
                self._messages.append(message)
                self._published += 1
                self._head = max(self._head, message.seq)
        self._ring()

    def _ring(self) -> None:
        with self._bell:
            self._bell.notify_all()
            listeners = tuple(self._listeners)
        for callback in listeners:
            callback()


class Follower:
    """One reader's place in the feed: first the register's pages, then the tail."""

    def __init__(self, register: Feed, hub: FeedHub, since: int) -> None:
        self._register = register
        self._hub = hub
        self._position = since
        self._cursor: int | None = None

    @property
    def cursor(self) -> int:
        """Where in the tail it stands; for `FeedHub.wait`."""
        return self._cursor or 0

    def more(self) -> list[Message]:
        """What is there now, possibly nothing. Raises `Unavailable` when the register does not answer."""
        if self._cursor is None:
            self._cursor = self._hub.attach(self._position)
        if self._cursor is not None:
            found = self._hub.after(self._cursor)
            if found is not None:
                messages, self._cursor = found
                return self._moved(messages)
            self._cursor = None  # too slow for the tail
        rows = self._register.read_feed(STREAM, self._position, _PAGE)
        return self._moved([Message("set", row.seq, row.token) for row in rows])

    @property
    def idle(self) -> bool:
        """Whether `more` would only look into memory."""
        return self._cursor is not None

    def _moved(self, messages: list[Message]) -> list[Message]:
        for message in messages:
            if message.kind == "set":
                self._position = message.seq
        return messages


class LocalFeed:
    """The feed for a verifier in the same process: a `FeedSource` without HTTP."""

    def __init__(self, register: Feed, hub: FeedHub) -> None:
        self._register = register
        self._hub = hub

    def events(self, since: int, /) -> Iterator[str]:
        """See `ecard_verifier.feed.FeedSource.events`; ends when the issuer stops."""
        follower = Follower(self._register, self._hub, since)
        while not self._hub.closed:
            messages = follower.more()
            for message in messages:
                yield message.token
            if not messages:
                if not follower.idle:
                    raise Unavailable("feed_unavailable", "the register and the feed's tail do not meet")
                self._hub.wait(follower.cursor, 1.0)
