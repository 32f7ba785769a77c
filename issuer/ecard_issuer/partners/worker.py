"""The worker that serves the streams: files what is new, sends what is due. Any number of them may run.

A stream is served by one worker at a time, under a lease of the store. A worker may be killed or stopped at any point:
its lease ends, another one goes on, and what had been sent without being written down is sent once more.
"""

from __future__ import annotations

import logging
import random
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from ecard_card.errors import Conflict, EcardError, NotFound
from ecard_issuer.dispatch import Seldom
from ecard_issuer.partners.filing import MOST_WAITING, Filing
from ecard_issuer.partners.messages import Messages
from ecard_issuer.partners.schedule import BREAKER, Answer, judge
from ecard_issuer.partners.sending import Sender
from ecard_issuer.partners.store import Attempt, NewsSource, PartnerStore
from ecard_issuer.partners.streams import Delivery, DeliveryState, Method, News, NewsKind, Stream, StreamStatus
from ecard_verifier.faults import described

#: Longer than one exchange may take, so that a lease ends under no worker that is alive.
LEASE: Final = timedelta(seconds=30)
POLL_SECONDS: Final = 0.1
THREADS: Final = 4
#: How far a cursor may stay behind where nothing concerned its stream.
MOST_UNWRITTEN: Final = 500
_BATCH: Final = 50
_MOST_AT_ONCE: Final = 200  # deliveries of one stream until the others have their turn
_log: Final = logging.getLogger(__name__)


class PartnerWorker:
    """Threads that serve the streams, between `start` and `stop`. `filed` is called after events became ready."""

    def __init__(
        self,
        store: PartnerStore,
        source: NewsSource,
        filing: Filing,
        messages: Messages,
        sender: Sender,
        clock: Callable[[], datetime],
        *,
        jitter: Callable[[], float] = random.random,
        filed: Callable[[], None] = lambda: None,
        lease: timedelta = LEASE,
    ) -> None:
        self._store, self._source, self._filing, self._messages = store, source, filing, messages
        self._sender, self._clock, self._jitter, self._filed, self._lease = sender, clock, jitter, filed, lease
        self._owner = secrets.token_hex(8)
        self._stopping, self._wake = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="ecard-partners", daemon=True)
        self._pool: ThreadPoolExecutor | None = None
        self._busy: set[str] = set()
        self._peeked: dict[str, tuple[int, int]] = {}  # by stream: its cursor, and how far beyond nothing concerns it
        self._lock = threading.Lock()
        self._results: Counter[str] = Counter()
        self._seldom = Seldom()

    def start(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, "ecard-partner")
        self._thread.start()

    def stop(self) -> None:
        """End after the exchanges in hand, each of which is bounded."""
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=10)
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def ring(self) -> None:
        """There may be something to do."""
        self._wake.set()

    def results(self) -> Mapping[str, int]:
        """Attempts since this process began, by what became of the delivery."""
        with self._lock:
            return dict(self._results)

    def turn(self) -> int:
        """Serve every stream that is due, one after the other; how many there were."""
        due = self._worth()
        for stream_id in due:
            self.serve(stream_id)
        return len(due)

    def _worth(self) -> list[str]:
        """Streams to serve now. One that nothing concerns is only looked at: its cursor stays, and what was seen is
        remembered here, so that a thousand streams cost no write for a change that none of them is told."""
        head, worth = self._source.head(), []
        for item in self._store.due(self._clock(), head):
            cursor, seen = self._peeked.get(item.stream_id, (-1, 0))
            seen = max(seen, item.cursor) if cursor == item.cursor else item.cursor
            if not item.to_send and seen < head:
                stream = self._store.find_stream(item.stream_id)
                if stream is None or stream.cursor != item.cursor:
                    continue  # gone, or served meanwhile
                seen, something = self._filing.peek(stream, seen)
                self._peeked[item.stream_id] = (item.cursor, seen)
                if not something and seen - item.cursor < MOST_UNWRITTEN:
                    continue
            elif not item.to_send and seen - item.cursor < MOST_UNWRITTEN:
                continue
            worth.append(item.stream_id)
        return worth

    def serve(self, stream_id: str) -> None:
        """File and send for one stream, unless another worker has it. Raises what the store and the signer raise."""
        stream = self._store.claim(stream_id, self._owner, self._clock(), self._lease)
        if stream is None:
            return
        full = stream.full
        try:
            if stream.status is StreamStatus.ENABLED and not stream.of_channel:
                before = stream.cursor
                stream, full = self._filing.file(stream, self._clock())
                if stream.cursor != before:
                    self._filed()
            if stream.method is not Method.POLL:
                self._send(stream)
        except Conflict as conflict:  # another worker has it meanwhile
            if conflict.code not in ("partner_stream_moved", "partner_lease_lost"):
                raise
        finally:
            self._store.release(stream_id, self._owner, self._clock(), full_at=MOST_WAITING if full else None)

    def _send(self, stream: Stream) -> None:
        sent = 0
        while sent < _MOST_AT_ONCE and not self._stopping.is_set():
            now, probing, enabled = self._clock(), stream.failures >= BREAKER, stream.status is StreamStatus.ENABLED
            if stream.hold_until is not None and stream.hold_until > now:
                return
            ready = self._store.ready(
                stream.stream_id, now, limit=1 if probing else _BATCH, only_stream=not enabled, untried=probing
            )
            if not ready:
                return
            made = {message.delivery.number: message for message in self._messages.of(stream, ready, self._clock())}
            for delivery in ready:
                if self._stopping.is_set():
                    return
                sent += 1
                message = made.get(delivery.number)
                if message is None or stream.endpoint is None:
                    self._record(stream, delivery, Attempt(DeliveryState.DEAD, "source_gone", None, stream.failures))
                    continue
                answer = self._sender.send(stream.endpoint, message.body, message.headers)
                attempt = self._judged(stream, delivery, answer)
                self._record(stream, delivery, attempt)
                stream = replace(
                    stream,
                    failures=attempt.failures,
                    status=attempt.status or stream.status,
                    hold_until=attempt.hold_until,
                )
                if attempt.failures >= BREAKER or attempt.status is not None:
                    return
            if not enabled:
                return

    def _judged(self, stream: Stream, delivery: Delivery, answer: Answer) -> Attempt:
        return judge(stream, delivery, answer, self._clock(), self._jitter())

    def _record(self, stream: Stream, delivery: Delivery, attempt: Attempt) -> None:
        news = None
        if attempt.status is StreamStatus.PAUSED:  # told when the stream goes on
            note = {"status": attempt.status.value, "reason": attempt.reason}
            news = News(0, "", "", NewsKind.UPDATED, secrets.token_hex(16), note)
        self._store.record(delivery, self._owner, attempt, news, self._clock(), self._lease)
        outcome = {DeliveryState.DONE: "delivered", DeliveryState.DEAD: "dead"}.get(attempt.state, "failed")
        with self._lock:
            self._results[outcome] += 1
        if attempt.status is not None:
            _log.warning("partner stream %s is %s: %s", stream.stream_id, attempt.status, attempt.reason)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                for stream_id in self._worth():
                    self._submit(stream_id)
            except Exception as error:  # noqa: BLE001 - the one loop that must not end
                self._complain(error)
                self._stopping.wait(1.0)
            self._wake.wait(POLL_SECONDS)
            self._wake.clear()

    def _submit(self, stream_id: str) -> None:
        with self._lock:
            if stream_id in self._busy or self._pool is None:
                return
            self._busy.add(stream_id)
        self._pool.submit(self._serve_safely, stream_id)

    def _serve_safely(self, stream_id: str) -> None:
        try:
            self.serve(stream_id)
        except NotFound:
            pass  # deleted meanwhile
        except Exception as error:  # noqa: BLE001 - one stream's trouble is not the others'
            self._complain(error)
            self._stopping.wait(POLL_SECONDS)
        finally:
            with self._lock:
                self._busy.discard(stream_id)
            self._wake.set()

    def _complain(self, error: Exception) -> None:
        said = str(error) if isinstance(error, EcardError) else described(error)
        with self._lock:
            due = self._seldom.due(said)
        if due:
            _log.warning("partners: %s", said)
