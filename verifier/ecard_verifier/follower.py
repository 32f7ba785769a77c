"""The loop that keeps a mirror beside its feed: listen, verify, fold; begin again when anything is odd."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ecard_card.errors import CheckFailed, EcardError
from ecard_verifier.beginning import Beginning
from ecard_verifier.feed import FeedBeat, FeedEvent, FeedSource, KeyCompromised, TrustListPublished, verify_event
from ecard_verifier.mirror import Mirror
from ecard_verifier.trust_source import TrustProvider

LOGGER: Final = logging.getLogger("ecard.feed")
FIRST_WAIT: Final = 0.05  # seconds
LONGEST_WAIT: Final = 2.0
#: Refusals of a message that a newer trust list may turn.
_MAY_HAVE_CHANGED: Final = frozenset({"unknown_key", "key_not_active", "trust_missing", "trust_expired"})


@dataclass(frozen=True, slots=True)
class FollowerState:
    """What an operator wants to see. `last_beat` is the NumericDate in the last beat that was reached."""

    connected: bool
    position: int
    last_beat: int | None
    last_error: str | None  # a stable code
    reconnects: int
    snapshot_error: str | None = None  # why it began at event 1 although there was a snapshot: a stable code


class Follower:
    """Follows `source` into `mirror` in a thread of its own, between `start` and `stop`.

    Anything wrong (signature, order, form, silence) ends the connection; the mirror keeps what it has, its `as_of`
    stops, and the policy's ages do the rest. Waits 0.05 s before the next try, doubling to 2 s, with jitter.
    `beginning` says how an empty mirror begins; without one, at event 1.
    """

    def __init__(
        self,
        mirror: Mirror,
        source: FeedSource,
        trust: TrustProvider,
        clock: Callable[[], datetime],
        *,
        jitter: Callable[[], float] = random.random,
        beginning: Beginning | None = None,
    ) -> None:
        self._mirror, self._source, self._trust, self._clock = mirror, source, trust, clock
        self._jitter, self._beginning = jitter, beginning
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._connected = False
        self._last_beat: int | None = None
        self._last_error: str | None = None
        self._tries = 0

    def start(self) -> None:
        """Begin to follow. A follower starts once. The keys that the mirror knows as denied are so from this moment."""
        self._deny_known()
        self._thread = threading.Thread(target=self.run, name="ecard-feed", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 10) -> None:
        """End at the next message, at the latest after the source's own timeout; waits for it up to `timeout` s."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout)

    @property
    def state(self) -> FollowerState:
        return FollowerState(
            self._connected,
            self._mirror.position,
            self._last_beat,
            self._last_error,
            max(0, self._tries - 1),
            None if self._beginning is None else self._beginning.error,
        )

    def run(self) -> None:
        """The loop itself, until `stop`."""
        wait = FIRST_WAIT
        while not self._stop.is_set():
            self._tries += 1
            heard, failure = False, self._last_error
            try:
                heard = self._listen()
                failure = self._last_error
            except EcardError as error:
                heard, failure = self._connected, error.code
            except Exception as error:  # noqa: BLE001 - a thread that dies quietly would never come back
                failure = "internal_fault"
                LOGGER.error("the feed's follower stumbled: %s", type(error).__name__)
            finally:
                self._become(connected=False, error=failure)
                self._mirror.disconnected()
            wait = FIRST_WAIT if heard else min(LONGEST_WAIT, wait * 2)
            self._stop.wait(wait * (0.5 + self._jitter() / 2))

    def _listen(self) -> bool:
        """One connection. True if something on it was good."""
        self._trust.maintain()
        if self._beginning is not None:
            self._beginning.make(self._stop)
            if self._stop.is_set():
                return False
        # The last event is asked for once more: if it is not the same any more, the issuer's stream was set back.
        messages = self._source.events(max(0, self._mirror.position - 1))
        try:
            for text in messages:
                if self._stop.is_set():
                    break
                event, before = self._verified(text), self._mirror.live
                if event is None:
                    continue
                self._apply(event)
                self._become(connected=True, error=self._last_error)
                self._react(event)
                if self._mirror.live and not before:
                    self._deny_known()  # some may have waited for a message under a good key
        finally:
            if isinstance(messages, Generator):
                messages.close()  # ends the connection now, not when the garbage is collected
        return self._connected

    def _verified(self, text: str) -> FeedEvent | None:
        """The event; None for a beat by a key stolen since. The issuer's own past has some, and they say nothing."""
        try:
            try:
                return verify_event(text, self._trust.current(), self._clock())
            except CheckFailed as error:
                if error.code not in _MAY_HAVE_CHANGED or not self._trust.refresh():
                    raise
                return verify_event(text, self._trust.current(), self._clock())
        except CheckFailed as error:
            if error.code != "key_compromised":
                raise
            self._become(connected=self._connected, error=error.code)
            return None

    def _apply(self, event: FeedEvent) -> None:
        """Fold it in. A snapshot that the feed does not bear out is forgotten, and costs the connection."""
        try:
            self._mirror.apply(event)
        except CheckFailed as error:
            if self._mirror.awaits is not None and self._beginning is not None:
                self._beginning.refute(error.code)
            raise

    def _react(self, event: FeedEvent) -> None:
        if isinstance(event.body, TrustListPublished):
            self._trust.published(event.body.version)
        elif isinstance(event.body, KeyCompromised) and event.proven:
            self._trust.deny(event.issuer, (event.body.denied,))
        elif isinstance(event.body, FeedBeat):
            if self._mirror.live:
                self._last_beat = event.body.at
                self._become(connected=True, error=None)
            self._trust.maintain()

    def _deny_known(self) -> None:
        issuer = self._mirror.issuer
        if issuer is not None and (denied := self._mirror.denied()):
            self._trust.deny(issuer, denied)

    def _become(self, *, connected: bool, error: str | None) -> None:
        """Take on a state, and log it where it is another one."""
        if (connected, error) == (self._connected, self._last_error):
            return
        self._connected, self._last_error = connected, error
        level = logging.INFO if error is None else logging.WARNING
        LOGGER.log(level, "feed: %s, last error: %s", "connected" if connected else "not connected", error or "none")
