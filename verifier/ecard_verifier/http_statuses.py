"""Status lists of issuers that are not followed: fetched when a card of theirs is shown, and kept for as long as told.

A list is at best as fresh as its `iat`: its host holds no key and may hand out yesterday's. So a reading is dated by
the list itself, and the policy says what that is worth. Not getting a list is never an answer about a card.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import httpx2

from ecard_card.errors import CheckFailed, EcardError, Unavailable
from ecard_card.status_token import LIMIT
from ecard_keys.status_uri import belongs_to
from ecard_keys.trust.trust import Trust
from ecard_verifier.config import FetchStatuses
from ecard_verifier.http_deadline import Deadline
from ecard_verifier.statuses import StatusReading, StatusSnapshot, accept_status_token
from ecard_verifier.trust_source import TrustProvider

MEDIA_TYPE: Final = "application/statuslist+jwt"
MAX_LISTS: Final = 256  # of 2^20 entries, two bits each: 64 MiB
MAX_FLIGHTS: Final = 8  # fetches at once
MAX_OF_ISSUER: Final = 4  # of these for one issuer: a host that hangs must not keep all others' lists away
TIMEOUT: Final = 2.0  # seconds for one step of a fetch, and for all of it together
COOL_DOWN: Final = 10.0  # seconds in which a list that could not be had is not asked for again
SHORTEST_TTL: Final = 5
LONGEST_TTL: Final = 900
_USUAL_TTL: Final = 300  # of a list that does not say


@dataclass(slots=True)
class _Held:
    """A list as fetched, read under a trust list; after a newer one it is judged anew."""

    token: str
    trust: Trust
    snapshot: StatusSnapshot
    issued_at: int


class _Place:
    """What is known of one address. `flight` is held by the one who fetches."""

    __slots__ = ("due", "error", "flight", "held")

    def __init__(self) -> None:
        self.flight = threading.Lock()
        self.held: _Held | None = None
        self.due = 0.0  # when it may be asked for again
        self.error = ""


class HttpStatuses:
    """Implements `Statuses` for every issuer on the trust list. Safe to use from several threads.

    Only addresses of the list's own templates are fetched, over https (`FetchStatuses.LOOPBACK` adds http to this
    machine), without following redirects. One fetch per address at a time, at most `MAX_FLIGHTS` in all
    and `MAX_OF_ISSUER` for one issuer.
    """

    def __init__(
        self,
        trust: TrustProvider,
        clock: Callable[[], datetime],
        *,
        allowed: FetchStatuses = FetchStatuses.HTTPS,
        max_lists: int = MAX_LISTS,
        monotonic: Callable[[], float] = time.monotonic,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._trust, self._clock, self._allowed = trust, clock, allowed
        self._max_lists, self._monotonic, self._transport = max_lists, monotonic, transport
        self._lock = threading.Lock()
        self._places: OrderedDict[str, _Place] = OrderedDict()
        self._flights = Counter[str]()  # by template

    def read(self, uri: str, index: int) -> StatusReading:
        """See `Statuses.read`. Raises `CheckFailed` `status_unknown` where no list can be had, `InvalidInput`
        `status_index_out_of_range`."""
        trust = self._trust.current()
        if trust is None or not any(belongs_to(uri, entry.status_uri) for entry in trust.issuers):
            raise CheckFailed("status_unknown", "no issuer on the trust list has this status list")
        if not may_fetch(uri, self._allowed):
            raise CheckFailed("status_unknown", "lists at such an address are not fetched here")
        place = self._place(uri)
        if self._monotonic() >= place.due:
            self._refresh(uri, place, trust)
        held = self._current(place, trust)
        if held is None:
            raise CheckFailed("status_unknown", f"the status list could not be had: {place.error or 'unknown'}")
        return held.snapshot.read(uri, index)

    def _place(self, uri: str) -> _Place:
        with self._lock:
            place = self._places.pop(uri, None) or _Place()
            self._places[uri] = place  # the one that was asked for last goes last
            while len(self._places) > self._max_lists:
                self._places.popitem(last=False)
            return place

    def _refresh(self, uri: str, place: _Place, trust: Trust) -> None:
        """Fetch the list, unless another thread just has: then its result is ours. Raises nothing."""
        if not place.flight.acquire(timeout=2 * TIMEOUT):
            place.error = "busy"
            return
        try:
            if self._monotonic() < place.due:
                return
            place.held, ttl = self._fetched(uri, place.held, trust)
            place.due, place.error = self._monotonic() + ttl, ""
        except EcardError as error:
            place.due, place.error = self._monotonic() + COOL_DOWN, error.code
        finally:
            place.flight.release()

    @contextmanager
    def _flight(self, template: str) -> Iterator[None]:
        """A place among those who fetch. Raises `Unavailable` `status_unavailable` where there is none left."""
        with self._lock:
            if self._flights.total() >= MAX_FLIGHTS or self._flights[template] >= MAX_OF_ISSUER:
                raise Unavailable("status_unavailable", "too many status lists are being fetched")
            self._flights[template] += 1
        try:
            yield
        finally:
            with self._lock:
                self._flights[template] -= 1
                self._flights += Counter()  # drops what is zero

    def _fetched(self, uri: str, held: _Held | None, trust: Trust) -> tuple[_Held, int]:
        """The newer of what is held and what the host has, and for how many seconds not to ask again."""
        with self._flight(next(entry.status_uri for entry in trust.issuers if belongs_to(uri, entry.status_uri))):
            token = self._get(uri)
        try:
            parsed = accept_status_token(token, trust, self._clock())
        except CheckFailed as error:
            newer = self._trust.current() if error.code == "unknown_key" and self._trust.refresh() else None
            if newer is None:
                raise
            trust, parsed = newer, accept_status_token(token, newer, self._clock())
        if parsed.uri != uri:
            raise CheckFailed("status_list_foreign", "the host gave another list than the one asked for")
        ttl = _USUAL_TTL if parsed.ttl is None else parsed.ttl
        ttl = max(SHORTEST_TTL, min(LONGEST_TTL, ttl))
        if held is not None and held.issued_at > parsed.issued_at:
            raise CheckFailed("status_list_rolled_back", "the host gave an older list than before")
        twin = held is not None and held.trust is trust and held.issued_at == parsed.issued_at
        snapshot = held.snapshot if held is not None and twin else StatusSnapshot()
        snapshot.put(parsed)
        return _Held(token, trust, snapshot, parsed.issued_at), ttl

    def _current(self, place: _Place, trust: Trust) -> _Held | None:
        """What is held, judged by the trust of now: its key may have been stolen since."""
        held = place.held
        if held is None or held.trust is trust:
            return held
        try:
            snapshot = StatusSnapshot([accept_status_token(held.token, trust, self._clock())])
        except EcardError as error:
            place.held, place.due, place.error = None, 0.0, error.code
            return None
        place.held = _Held(held.token, trust, snapshot, held.issued_at)
        return place.held

    def _get(self, uri: str) -> str:
        """Raises `Unavailable` `status_unavailable`."""
        deadline, headers = time.monotonic() + TIMEOUT, {"Accept": MEDIA_TYPE, "Accept-Encoding": "identity"}
        try:
            with (
                Deadline(TIMEOUT) as limit,
                httpx2.Client(
                    timeout=TIMEOUT, follow_redirects=False, trust_env=False, transport=self._transport
                ) as client,
                client.stream("GET", uri, headers=headers, extensions=limit.extensions) as response,
            ):
                media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
                if response.status_code != 200 or media != MEDIA_TYPE:
                    raise Unavailable("status_unavailable", f"the host of the list answered {response.status_code}")
                body = bytearray()
                for chunk in response.iter_raw():
                    body += chunk
                    if len(body) > LIMIT or time.monotonic() > deadline:
                        raise Unavailable("status_unavailable", "the list is too long, or its host too slow")
                return body.decode("ascii")
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError, ValueError) as error:
            raise Unavailable("status_unavailable", f"no status list: {type(error).__name__}") from None


def may_fetch(uri: str, allowed: FetchStatuses) -> bool:
    """Whether an address is one that this setting permits: https without a user, or http to this machine."""
    try:
        url = httpx2.URL(uri)
    except httpx2.InvalidURL:
        return False
    if allowed is FetchStatuses.NO or url.userinfo:
        return False
    if url.scheme == "https":
        return True
    return allowed is FetchStatuses.LOOPBACK and url.scheme == "http" and _is_loopback(url.host)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
