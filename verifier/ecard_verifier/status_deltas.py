"""Status lists that grow by signed deltas: what an offline verifier knows between two bundles.

A delta is taken in its order or not at all. What is refused changes nothing, invalid is final, and only an accepted
delta moves the time as of which statuses are known.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ecard_card import status_delta
from ecard_card.errors import CheckFailed
from ecard_card.status import EcardStatus
from ecard_card.status_delta import LIST_SIZE, StatusDelta
from ecard_card.status_token import StatusToken
from ecard_keys.key import KeyPurpose
from ecard_keys.status_uri import belongs_to
from ecard_keys.trust.trust import Trust
from ecard_keys.trust.trust_list import IssuerEntry
from ecard_keys.verify import verify_jws
from ecard_verifier.statuses import StatusReading, StatusSnapshot

SKEW: Final = 60  # seconds by which clocks may differ
_INVALID: Final = int(EcardStatus.INVALID)


@dataclass(frozen=True, slots=True)
class AcceptedDelta:
    """A delta whose signature, signer and time hold. `digest` is what the next one calls it."""

    delta: StatusDelta
    digest: str
    issuer: IssuerEntry = field(repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one issuer's statuses stand: all events of its feed up to `position` are known, and all changes
    acknowledged by `as_of` (NumericDate; that of the oldest list before the first delta). `number` and `digest` are
    those of the last delta, 0 and empty before the first."""

    position: int
    as_of: int
    number: int = 0
    digest: str = ""


def accept_status_delta(token: str, trust: Trust, now: datetime) -> AcceptedDelta:
    """The delta, once its signature, issuer and time hold; whether it is the next one its taker knows.

    `now` is aware UTC. Raises `InvalidInput` for its form; `CheckFailed` `unknown_key`, `bad_signature`,
    `issuer_mismatch`, `delta_future`, or the key's own reason; `Unavailable` `algorithm_unavailable`.
    """
    sealed = status_delta.sealed(token)
    candidates = trust.candidates(sealed.kid, KeyPurpose.STATUS)
    if not candidates:
        raise CheckFailed("unknown_key", "no issuer on the trust list has this status key")
    signer = next(
        (
            key
            for key in candidates
            if key.record.algorithm == sealed.jws.algorithm and verify_jws(sealed.jws, key.loaded())
        ),
        None,
    )
    if signer is None:
        raise CheckFailed("bad_signature", "the delta is not signed by the key it names")
    delta = sealed.open()
    refusal = signer.accepts(delta.issued_at)
    if refusal is not None:
        raise CheckFailed(refusal, "the key may not have signed this delta then")
    if delta.issuer != signer.issuer.issuer:
        raise CheckFailed("issuer_mismatch", "iss is not the issuer that the signing key belongs to")
    if delta.issued_at > now.timestamp() + SKEW:
        raise CheckFailed("delta_future", "the delta is dated ahead of our clock")
    return AcceptedDelta(delta, sealed.digest, signer.issuer)


class OfflineStatuses:
    """Implements `Statuses` over status lists and the deltas since. Safe to use from several threads.

    `tokens` are accepted lists, all under `trust`; nothing counts after `until` (NumericDate) unless a delta says so.
    """

    def __init__(self, tokens: Iterable[StatusToken], trust: Trust, until: int) -> None:
        self._lock = threading.Lock()
        self._trust = trust
        held = list(tokens)
        self._snapshot = StatusSnapshot(held)
        self._lines: dict[str, _Line] = {}
        self._of_list: dict[str, tuple[_Line, int]] = {}
        self._until = until
        for token in held:
            issuer = next(entry for entry in trust.issuers if belongs_to(token.uri, entry.status_uri))
            line = self._lines.setdefault(issuer.issuer, _Line(until))
            line.add(token)
            head = issuer.status_uri.partition("{list}")[0]
            tail = len(issuer.status_uri) - len(head) - len("{list}")
            self._of_list[token.uri] = (line, int(token.uri[len(head) : len(token.uri) - tail]))

    @property
    def until(self) -> int:
        """NumericDate after which the first issuer's statuses are of no use any more."""
        with self._lock:
            return min((line.until for line in self._lines.values()), default=self._until)

    def lists(self) -> frozenset[str]:
        """The addresses of all lists that are here."""
        return frozenset(self._of_list)

    def places(self) -> Mapping[str, Place]:
        """By issuer, where its statuses stand; an issuer whose lists do not say is left out, and takes no delta."""
        with self._lock:
            return {issuer: place for issuer, line in self._lines.items() if (place := line.place) is not None}

    def apply(self, token: str, now: datetime) -> StatusDelta:
        """Take the next delta of an issuer. `now` is aware UTC.

        Raises what `accept_status_delta` raises, and `CheckFailed`: `delta_foreign` (no list of this issuer is
        here), `delta_repeated` (taken before), `delta_old` (before what is known), `delta_gap` (another one comes
        first), `delta_forked` (it follows another past). Whatever is raised, nothing has changed.
        """
        accepted = accept_status_delta(token, self._trust, now)
        delta = accepted.delta
        with self._lock:
            line = self._lines.get(delta.issuer)
            if line is None:
                raise CheckFailed("delta_foreign", "a delta of an issuer of whom no list is here")
            line.require_next(accepted)
            # A newer trust list may name a stolen key: then the one in hand is not made to last longer.
            extends = delta.trust_list <= self._trust.version
            line.take(accepted, min(delta.expires_at, self._trust.expires_at) if extends else 0)
        return delta

    def read(self, uri: str, index: int) -> StatusReading:
        """See `Statuses.read`."""
        base = self._snapshot.read(uri, index)
        line, list_id = self._of_list[uri]
        with self._lock:
            return line.reading(base, list_id * LIST_SIZE + index)

    def __len__(self) -> int:
        return len(self._snapshot)


class _Line:
    """One issuer's lists and deltas."""

    def __init__(self, until: int) -> None:
        self.until = until
        self.place: Place | None = None
        self._without = False  # a list does not say which events it knows of
        self._changes: dict[int, int] = {}

    def add(self, token: StatusToken) -> None:
        """A list more: what is known is what the one that knows least does."""
        if token.position is None or self._without:
            self._without, self.place = True, None
        elif self.place is None:
            self.place = Place(token.position, token.issued_at)
        else:
            known = self.place
            self.place = Place(min(known.position, token.position), min(known.as_of, token.issued_at))

    def require_next(self, accepted: AcceptedDelta) -> None:
        """Raises `CheckFailed` unless this is the delta that comes next."""
        delta, place = accepted.delta, self.place
        if place is None:
            raise CheckFailed("delta_gap", "the lists do not say which events they know of")
        if place.number == 0:
            if delta.after > place.position:
                raise CheckFailed("delta_gap", "events are missing before this delta")
            if delta.upto < place.position:
                raise CheckFailed("delta_old", "the lists know more than this delta")
            return
        if accepted.digest == place.digest:
            raise CheckFailed("delta_repeated", "this delta was taken before")
        if delta.number < place.number:
            raise CheckFailed("delta_old", "a delta from before the last one taken")
        if delta.number > place.number + 1:
            raise CheckFailed("delta_gap", "a delta is missing before this one")
        if delta.number == place.number or delta.previous != place.digest or delta.after != place.position:
            raise CheckFailed("delta_forked", "the delta follows another past than the one taken")
        if delta.as_of < place.as_of:
            raise CheckFailed("delta_forked", "the delta knows less than the one before it")

    def take(self, accepted: AcceptedDelta, until: int) -> None:
        """The changes, and where they lead to."""
        delta = accepted.delta
        for list_id, index, value in delta.changes:
            place = list_id * LIST_SIZE + index
            if self._changes.get(place) != _INVALID:  # final, in whatever order an issuer may ever say otherwise
                self._changes[place] = value
        self.place = Place(delta.upto, delta.as_of, delta.number, accepted.digest)
        self.until = max(self.until, until)

    def reading(self, base: StatusReading, place: int) -> StatusReading:
        """What a list says of an entry, and what the deltas say since.

        A list knows some events that are yet to come in deltas. Once these have reached its own time, their last word
        is the latest; before that nobody can tell which is, and the stricter one holds.
        """
        known = self.place
        if known is None or known.number == 0:
            return StatusReading(base.value, base.as_of, min(base.expires_at or self.until, self.until))
        value = self._changes.get(place)
        if value is None or base.value == _INVALID:
            value = base.value
        elif known.as_of < base.as_of and value != _INVALID:
            value = max(value, base.value)
        return StatusReading(value, max(base.as_of, known.as_of), self.until)
