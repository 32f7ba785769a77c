"""From outbox to feed: every change becomes signed events, in order and without a gap, once.

The register's outbox rows were written in the transaction of the change itself, so none can be lost; this worker may
be killed at any point and started again, here or in another process.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from ecard_card.errors import Conflict, EcardError, InvalidInput
from ecard_issuer.event_desk import EventDesk
from ecard_issuer.feed_hub import FeedHub
from ecard_issuer.ports import Feed
from ecard_issuer.rows import FeedEntry, OutboxRow
from ecard_verifier.faults import described
from ecard_verifier.feed import FIRST, STREAM, EventBody, digest_of_token

LEASE: Final = timedelta(seconds=3)  # longer than a home of keys may take; what it did not sign waits as long
POLL_SECONDS: Final = 0.1
BEAT_SECONDS: Final = 0.8  # followers are promised one every second
UPKEEP_SECONDS: Final = 60
REPEAT_SECONDS: Final = 60  # the same complaint is logged once in this time
_ATTEMPTS: Final = 20
_log: Final = logging.getLogger(__name__)


class Wake:
    """Rings when this process has committed something for the dispatcher. A ring is never lost."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def ring(self) -> None:
        self._event.set()

    def wait(self, timeout: float) -> None:
        """Until a ring or `timeout` seconds."""
        self._event.wait(timeout)
        self._event.clear()


class Seldom:
    """Says when a complaint may be logged: each at most once in `REPEAT_SECONDS`. For one thread."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._said: dict[str, float] = {}

    def due(self, complaint: str) -> bool:
        """True the first time, and again when it was last True long enough ago."""
        now = self._monotonic()
        self._said = {name: at for name, at in self._said.items() if now - at < REPEAT_SECONDS}
        if complaint in self._said:
            return False
        self._said[complaint] = now
        return True


def dispatch_once(
    register: Feed, desk: EventDesk, now: datetime, *, limit: int = 100, seldom: Seldom | None = None
) -> int:
    """Turn the oldest outbox rows into signed events of the feed, in one transaction; returns how many rows.

    A row that cannot be read is left alone and logged, as often as `seldom` permits: it holds up its own card and no
    other. Raises `Unavailable` when the register or the signer is away; nothing is half-written then, and the rows
    come again after their lease.
    """
    seldom = seldom or Seldom()
    rows = register.claim_outbox(now, lease=LEASE, limit=limit)
    bodies: list[tuple[OutboxRow, EventBody]] = []
    for row in rows:
        try:
            bodies.extend((row, body) for body in desk.bodies(row))
        except InvalidInput as error:
            if seldom.due(f"row {row.outbox_id}"):
                _log.error("outbox row %s holds up its card: %s", row.outbox_id, error)
    if not bodies:
        return 0
    for _ in range(_ATTEMPTS):
        head = register.feed_head(STREAM)
        tokens = desk.sign([body for _, body in bodies], head, _digest(register, head), now)
        entries = [
            FeedEntry(row.card_ref, row.outbox_id, token) for (row, _), token in zip(bodies, tokens, strict=True)
        ]
        try:
            register.append_feed(STREAM, head, entries, now)
        except Conflict as conflict:
            if conflict.code == "feed_moved":
                continue  # another worker appended: number and sign again
            if conflict.code == "outbox_settled":
                return 0  # our lease ran out and another worker did it
            raise
        return len({row.outbox_id for row, _ in bodies})
    return 0


def _digest(register: Feed, head: int) -> str:
    """What an event after number `head` calls its predecessor."""
    rows = register.read_feed(STREAM, head - 1, 1) if head else ()
    return digest_of_token(rows[0].token) if rows else FIRST


class Dispatcher:
    """The thread that empties the outbox, fills the hub and signs the beats.

    `wake` makes it look at once; rows of other processes are found within `POLL_SECONDS`. `upkeep` is called about
    once a minute. Faults are logged, the same one once a minute, and retried: while they
    last there are no beats, so followers know.
    """

    def __init__(
        self,
        register: Feed,
        desk: EventDesk,
        hub: FeedHub,
        wake: Wake,
        clock: Callable[[], datetime],
        *,
        upkeep: Callable[[datetime], object] = lambda now: None,
        seldom: Seldom | None = None,
    ) -> None:
        self._register = register
        self._desk = desk
        self._hub = hub
        self._wake = wake
        self._clock = clock
        self._upkeep = upkeep
        self._seldom = seldom or Seldom()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ecard-dispatcher", daemon=True)
        self._next_beat = self._next_upkeep = 0.0  # as seconds since 1970

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Finish the batch in hand, then end; closes the hub."""
        self._stopping.set()
        self._wake.ring()
        if self._thread.ident is not None:
            self._thread.join(timeout=10)
        self._hub.close()

    def turn(self) -> None:
        """One round: dispatch until the outbox is empty, publish, beat if it is time."""
        now = self._clock()
        while dispatch_once(self._register, self._desk, now, seldom=self._seldom) and not self._stopping.is_set():
            self._publish()
            now = self._clock()
        self._publish()
        if now.timestamp() >= self._next_beat:
            self._beat(now)
            self._next_beat = now.timestamp() + BEAT_SECONDS
        if now.timestamp() >= self._next_upkeep:
            self._next_upkeep = now.timestamp() + UPKEEP_SECONDS
            self._upkeep(now)

    def _publish(self) -> None:
        while rows := self._register.read_feed(STREAM, self._hub.head):
            self._hub.publish(rows)

    def _beat(self, now: datetime) -> None:
        """As of `now`, or of just before the oldest change that a fallen worker still holds."""
        pending = self._register.oldest_pending()
        at = now if pending is None else min(now, pending - timedelta(seconds=1))
        head = self._register.feed_head(STREAM)
        if head == self._hub.head:  # else the next round publishes first
            self._hub.beat(head, self._desk.beat(head, _digest(self._register, head), at, now))

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.turn()
            except EcardError as error:
                if self._seldom.due(f"error {error.code}"):
                    _log.warning("dispatcher: %s", error)
                self._stopping.wait(POLL_SECONDS)
            except Exception as error:  # noqa: BLE001 - the one loop that must not end
                fault = described(error)
                if self._seldom.due(fault):
                    _log.error("dispatcher: internal fault: %s", fault)
                self._stopping.wait(1.0)
            self._wake.wait(POLL_SECONDS)
