"""Snapshots of the feed, with which new verifiers begin: the issuer follows its own feed as a verifier does, and now
and then writes down what it has come to.

What is written down was verified, event by event. A snapshot is given out once the feed itself has named it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from ecard_card import feed_snapshot
from ecard_card.algorithm import Algorithm
from ecard_card.errors import Conflict, EcardError, NotFound, RuleViolation, Unavailable
from ecard_card.feed_snapshot import Chunk, Kind, Manifest
from ecard_issuer.keyring import KeyRing
from ecard_issuer.ports import Feed
from ecard_issuer.publishing.ports import SnapshotRow, SnapshotStore
from ecard_keys.desk.desk import SigningDesk, SigningProfile
from ecard_verifier.feed import STREAM, digest_of_token, verify_event
from ecard_verifier.feed_snapshot import LONGEST, accept_manifest
from ecard_verifier.mirror import Mirror

#: Events below which none is made by itself: folding these takes a verifier a few seconds.
WORTH: Final = 10_000
#: Snapshots that are kept: whoever is fetching the last but one may end.
KEPT: Final = 2
#: How long after a maker was last heard of another one may begin; between two chunks lie seconds.
LEASE: Final = timedelta(minutes=10)
#: After a failure: one that lasts shall not cost all the work again each minute.
RETRY: Final = timedelta(hours=1)
_LONGEST: Final = timedelta(seconds=LONGEST)
_PAGE: Final = 500


class FeedSnapshots:
    """Makes snapshots and hands them out. `fold` is the file of the issuer's own mirror, which only this writes;
    `every` is how old the newest may get, None for no schedule. `wake` rings for the dispatcher. Beside other processes
    the store says who makes one."""

    def __init__(
        self,
        feed: Feed,
        store: SnapshotStore,
        keys: KeyRing,
        signing: SigningDesk,
        fold: Path,
        clock: Callable[[], datetime],
        wake: Callable[[], None],
        *,
        every: timedelta | None,
        worth: int = WORTH,
    ) -> None:
        self._feed, self._store, self._keys, self._signing = feed, store, keys, signing
        self._fold, self._clock, self._wake = fold, clock, wake
        self._every, self._worth = every, worth
        self._halted = threading.Event()
        self._not_before: datetime | None = None

    def turn(self, now: datetime) -> None:
        """Make one if it is due, at half speed: the service has other things to do. Raises what `make` raises."""
        if self._every is None or self._feed.feed_head(STREAM) < self._worth:
            return
        if self._not_before is not None and timedelta(0) < self._not_before - now <= RETRY:
            return
        try:
            number = self._store.begin_snapshot(now, self._every, LEASE)
        except Conflict:
            return  # another process is at it
        if number is not None:
            self._not_before = now + RETRY
            self._make(number, self._halted.wait)
            self._not_before = None

    def make(self) -> SnapshotRow:
        """Make one now. Its verifiers can have it once the dispatcher has told the feed.

        Raises `Conflict` `feed_snapshot_being_made`, `RuleViolation` `feed_empty`, and whatever folding and signing
        raise: nothing is given out then.
        """
        number = self._store.begin_snapshot(self._clock(), timedelta(0), LEASE)
        assert number is not None  # noqa: S101 - whatever its age, it is due
        return self._make(number, lambda seconds: None)

    def halt(self) -> None:
        """Have what is being made given up."""
        self._halted.set()

    def latest(self) -> SnapshotRow:
        """The newest that may be taken. Raises `NotFound` `feed_snapshot_unknown`."""
        row = self._store.latest_snapshot()
        if row is None or self._clock() - row.made_at > _LONGEST:
            raise NotFound("feed_snapshot_unknown", "there is no snapshot of the feed")
        return row

    def chunk(self, number: int, place: int) -> bytes:
        """A chunk, counted from 0. Raises `NotFound` `feed_snapshot_gone`."""
        data = self._store.snapshot_chunk(number, place)
        if data is None:
            raise NotFound("feed_snapshot_gone", "no such chunk, or its snapshot is no longer kept")
        return data

    def _make(self, number: int, rest: Callable[[float], object]) -> SnapshotRow:
        try:
            with contextlib.closing(self._opened()) as mirror:
                as_of = self._catch_up(mirror, number, rest)
                row, digest = self._written(mirror, number, as_of, rest)
            self._store.finish_snapshot(row, digest)
        except EcardError:
            with contextlib.suppress(EcardError):  # let the next one begin at once
                self._store.renew_snapshot(number, self._clock() - 2 * LEASE)
            raise
        self._wake()
        self._store.drop_snapshots(KEPT, self._clock() - _LONGEST, number)
        return row

    def _opened(self) -> Mirror:
        """The issuer's own mirror; a new one where its past is not this register's, or its file is of no use."""
        with contextlib.suppress(Unavailable):
            mirror = Mirror(self._fold, issuer=self._keys.identity.issuer)
            at = mirror.position
            rows = self._feed.read_feed(STREAM, at - 1, 1) if at else ()
            if not at or (rows and rows[0].seq == at and digest_of_token(rows[0].token) == mirror.digest):
                return mirror
            mirror.close()
        for name in (self._fold, Path(f"{self._fold}-wal"), Path(f"{self._fold}-shm")):
            name.unlink(missing_ok=True)
        return Mirror(self._fold, issuer=self._keys.identity.issuer)

    def _catch_up(self, mirror: Mirror, number: int, rest: Callable[[float], object]) -> int:
        """Fold all there is; returns the NumericDate by which every change that was acknowledged is in it."""
        while True:
            # In this order: what was acknowledged before `settled` is in the feed, up to `head`.
            now, pending = self._clock(), self._feed.oldest_pending()
            settled = int((now if pending is None else min(now, pending - timedelta(seconds=1))).timestamp())
            head = self._feed.feed_head(STREAM)
            if head == 0:
                raise RuleViolation("feed_empty", "the feed has no event yet")
            behind = head - mirror.position
            while mirror.position < head:
                with _resting(rest):
                    self._continue(number)
                    trust = self._keys.trust(self._clock())
                    for row in self._feed.read_feed(STREAM, mirror.position, min(_PAGE, head - mirror.position)):
                        mirror.apply(verify_event(row.token, trust, self._clock()))
            if behind <= _PAGE:
                return settled

    def _written(
        self, mirror: Mirror, number: int, as_of: int, rest: Callable[[float], object]
    ) -> tuple[SnapshotRow, str]:
        """All chunks stored, and the manifest over them, signed and judged as a verifier judges it."""
        chunks: list[Chunk] = []
        pieces = _pieces(mirror)
        while True:
            with _resting(rest):
                piece = next(pieces, None)
                if piece is None:
                    break
                kind, data = piece
                if len(chunks) == feed_snapshot.MAX_CHUNKS:
                    raise RuleViolation("feed_snapshot_too_large", "more than a manifest may name")
                self._continue(None)
                self._store.add_snapshot_chunk(number, len(chunks), data, self._clock())
                chunks.append(Chunk.of(kind, data))
        now, identity = self._clock(), self._keys.identity
        manifest = Manifest(
            issuer=identity.issuer,
            issued_at=max(int(now.timestamp()), as_of),
            stream=STREAM,
            number=number,
            status_uri=identity.status_uri,
            seq=mirror.position,
            digest=mirror.digest,
            as_of=as_of,
            chunks=tuple(chunks),
        )
        key = self._keys.event_key(now)
        draft = feed_snapshot.draft(manifest, key.kid, Algorithm(key.algorithm))
        (signature,) = self._signing.sign(SigningProfile.FEED_SNAPSHOT, key.kid, [draft.signing_input], now)
        token = draft.complete(signature)
        accepted = accept_manifest(token, identity.issuer, self._keys.trust(now), now)
        return SnapshotRow(STREAM, number, manifest.seq, token, now), accepted.digest

    def _continue(self, number: int | None) -> None:
        """We are still to make it, and the store hears that we do. Raises `Unavailable`, `Conflict`."""
        if self._halted.is_set():
            raise Unavailable("feed_snapshot_halted", "the service stops")
        if number is not None:
            self._store.renew_snapshot(number, self._clock())


def _pieces(mirror: Mirror) -> Iterator[tuple[Kind, bytes]]:
    """Every chunk of the fold, in the order of `Kind`."""
    yield from ((Kind.CREDENTIALS, data) for data in feed_snapshot.credential_chunks(mirror.credentials()))
    yield from ((Kind.STATUSES, data) for data in feed_snapshot.status_chunks(mirror.statuses()))
    yield from ((Kind.DENIED_KEYS, data) for data in feed_snapshot.denied_chunks(mirror.denials()))


@contextlib.contextmanager
def _resting(rest: Callable[[float], object]) -> Iterator[None]:
    """Afterwards `rest` for as long as it took."""
    begun = time.monotonic()
    yield
    rest(time.monotonic() - begun)
