"""Signed deltas, made from the feed: what offline verifiers and anybody's mirror fetch instead of whole lists.

A change is in a delta at the latest `CHANGED_EVERY` seconds (a setting) after the delta before it; without changes one
is made every `QUIET_EVERY`, so that the time as of which statuses are known moves on.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from ecard_card import status_delta
from ecard_card.algorithm import Algorithm
from ecard_card.errors import NotFound
from ecard_card.status import EcardStatus
from ecard_card.status_delta import FIRST, Change, StatusDelta
from ecard_issuer.keyring import KeyRing
from ecard_issuer.ports import Feed
from ecard_issuer.publishing.ports import DeltaRow, DeltaStore
from ecard_keys.desk.desk import SigningDesk, SigningProfile
from ecard_keys.key import KeyPurpose
from ecard_keys.status_uri import belongs_to
from ecard_verifier.feed import STREAM, StatusChanged, digest_of_token, parse_event

CHANGED_EVERY: Final = 25
QUIET_EVERY: Final = 60
#: Events that one delta covers at the most, and deltas that one answer holds.
MAX_EVENTS: Final = 10_000
PAGE: Final = 500
#: How long deltas can be had. Who is further behind takes a new bundle, which is smaller than all of them.
KEPT: Final = timedelta(days=8)
_READ: Final = 1000


class Deltas:
    """Makes deltas and hands them out. `life`: seconds after its `as_of` that a delta may count; `every`: seconds
    after which a change is in one. Safe in threads and beside other processes: the store takes one of each number."""

    def __init__(
        self,
        feed: Feed,
        store: DeltaStore,
        keys: KeyRing,
        signing: SigningDesk,
        *,
        life: int,
        every: int = CHANGED_EVERY,
    ) -> None:
        self._feed = feed
        self._store = store
        self._keys = keys
        self._signing = signing
        self._life = life
        self._every = every

    def turn(self, now: datetime) -> int:
        """Make what is due at `now` (aware UTC); returns how many. Raises `Unavailable` when register or signer is
        away: nothing is lost then, and the next one covers more."""
        made = 0
        while (row := self._next(now)) is not None and self._store.add_delta(row):
            made += 1
        return made

    def tidy(self, now: datetime) -> None:
        """Forget what is too old to be asked for."""
        self._store.drop_deltas(now - KEPT)

    def latest(self) -> DeltaRow:
        """Raises `NotFound` `status_delta_unknown` before the first."""
        row = self._store.latest_delta()
        if row is None:
            raise NotFound("status_delta_unknown", "no delta was made yet")
        return row

    def numbered(self, number: int) -> DeltaRow:
        """Raises `NotFound` `status_delta_unknown`, `status_delta_gone`."""
        rows = self._store.deltas(number - 1, 1)
        if not rows:
            raise NotFound("status_delta_unknown", "no delta of that number was made yet")
        if rows[0].number != number:
            raise NotFound("status_delta_gone", "a delta of that age is not kept; take a new bundle")
        return rows[0]

    def since(self, number: int) -> tuple[DeltaRow, ...]:
        """The deltas after number `number`, at most `PAGE`. Raises `NotFound` `status_delta_gone`."""
        rows = self._store.deltas(number, PAGE)
        if rows and rows[0].number != number + 1:
            raise NotFound("status_delta_gone", "the next delta is not kept; take a new bundle")
        return rows

    def since_position(self, position: int) -> tuple[DeltaRow, ...]:
        """The deltas that lead on from event `position` of the feed. Raises `NotFound` `status_delta_gone`."""
        first = self._store.delta_number_at(position)
        if first is None:
            if self._store.latest_delta() is None:
                return ()
            raise NotFound("status_delta_gone", "the delta from there is not kept; take a new bundle")
        rows = self._store.deltas(first - 1, PAGE)
        return () if rows and rows[0].upto < position else rows

    def _next(self, now: datetime) -> DeltaRow | None:
        """The delta that is due now, signed, or None."""
        last = self._store.latest_delta()
        # In this order: what was acknowledged before `settled` is in the feed, up to `head`.
        pending = self._feed.oldest_pending()
        settled = int((now if pending is None else min(now, pending - timedelta(seconds=1))).timestamp())
        head = self._feed.feed_head(STREAM)
        after = head if last is None else last.upto
        if last is not None:
            age = (now - last.created_at).total_seconds()
            behind = head - after > MAX_EVENTS  # not at its own pace, but as fast as it can
            if 0 <= age < (self._every if head > after else QUIET_EVERY) and not behind:
                return None
        upto, changes = self._changes(after)
        before = 0 if last is None else last.as_of
        as_of = max(before, settled) if upto >= head else before
        delta = StatusDelta(
            issuer=self._keys.identity.issuer,
            issued_at=max(int(now.timestamp()), as_of),
            expires_at=as_of + self._life,
            number=1 if last is None else last.number + 1,
            after=after,
            upto=upto,
            previous=FIRST if last is None else digest_of_token(last.token),
            as_of=as_of,
            trust_list=self._trust_list(),
            changes=changes,
        )
        key = self._keys.active(KeyPurpose.STATUS)
        draft = status_delta.draft(delta, key.kid, Algorithm(key.algorithm))
        (signature,) = self._signing.sign(SigningProfile.STATUS_DELTA, key.kid, [draft.signing_input], now)
        return DeltaRow(STREAM, delta.number, after, upto, as_of, draft.complete(signature), now)

    def _changes(self, after: int) -> tuple[int, tuple[Change, ...]]:
        """How far the delta goes, and what every entry named on the way is worth at its end."""
        upto, values = after, dict[tuple[int, int], int]()
        while upto - after < MAX_EVENTS and (rows := self._feed.read_feed(STREAM, upto, _READ)):
            self._fold(values, (row.token for row in rows))
            upto = rows[-1].seq
        return upto, tuple((*entry, values[entry]) for entry in sorted(values))

    def _fold(self, values: dict[tuple[int, int], int], tokens: Iterable[str]) -> None:
        template = self._keys.identity.status_uri
        head, _, tail = template.partition("{list}")
        for token in tokens:
            body = parse_event(token).body
            if not isinstance(body, StatusChanged) or not belongs_to(body.uri, template):
                continue
            entry = (int(body.uri[len(head) : len(body.uri) - len(tail)]), body.index)
            if values.get(entry) != EcardStatus.INVALID:
                values[entry] = int(body.status)

    def _trust_list(self) -> int:
        latest = self._keys.board.latest()
        return 0 if latest is None else latest.version
