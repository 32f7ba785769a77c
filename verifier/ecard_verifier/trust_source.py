"""Where a running verifier has its trust list from, and when it asks for a newer one.

It asks when the feed says that one was published, an hour after it last asked or when half of the list's life is
over, and when a key is unknown; never twice at once, and after a failure or for an unknown key not again within ten
seconds. A failed attempt keeps the last good list until that list's own expiry, and its code stands in `state`. A
list under a newer root than ours makes it walk the chain of roots. Keys that an issuer has denied stay denied.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from ecard_card.errors import CheckFailed, EcardError
from ecard_keys.trust.root_chain import open_root
from ecard_keys.trust.trust import DeniedKey, Trust
from ecard_keys.trust.trust_list import TrustList, TrustRoot, open_trust_list
from ecard_verifier.denials import Denials
from ecard_verifier.trust_cache import TrustCache
from ecard_verifier.trust_hosts import HttpTrustList, TrustHost

COOL_DOWN: Final = 10.0  # seconds between two attempts
FIRST_COOL_DOWN: Final = 0.5  # the same while there is no list at all
REFRESH_AFTER: Final = 3600.0  # seconds after which the list is asked for again, whatever its life
LONGEST_WAIT: Final = 2.0  # seconds that one waits for another's attempt
SHORTEST_WAIT: Final = 0.02  # the same where that attempt is old already; enough for one to begin
MOST_STEPS: Final = 32  # roots walked in one attempt: each is two requests and some signatures

__all__ = ["FixedTrust", "HttpTrustList", "TrustProvider", "TrustSource", "TrustState"]


class TrustProvider(Protocol):
    """Whom to believe now, three hints that there may be something newer, and one that takes trust away.

    No method raises.
    """

    def current(self) -> Trust | None:
        """The newest list accepted, also when it has expired since: whoever uses it looks at the time."""
        ...

    def refresh(self) -> bool:
        """A key is unknown: ask, if the cool-down allows. True if there is a newer list now."""
        ...

    def published(self, version: int) -> None:
        """A list of this version exists."""
        ...

    def maintain(self) -> None:
        """Called often: asks when the list is old, or missing."""
        ...

    def deny(self, issuer: str, keys: Collection[DeniedKey]) -> None:
        """`issuer` says that these keys of its own were stolen. Holds at once, and for every later list."""
        ...


class FixedTrust:
    """A trust list that nobody renews: from an offline bundle, or in a test."""

    def __init__(self, trust: Trust | None) -> None:
        self._trust = trust
        self._denials = Denials()

    def current(self) -> Trust | None:
        return self._trust

    def refresh(self) -> bool:
        return False

    def published(self, version: int) -> None:
        """Nothing to ask."""

    def maintain(self) -> None:
        """Nothing to ask."""

    def deny(self, issuer: str, keys: Collection[DeniedKey]) -> None:
        self._denials.add(issuer, keys)
        if self._trust is not None:
            self._trust = self._trust.denying(self._denials.against(self._trust.issuers))


@dataclass(frozen=True, slots=True)
class TrustState:
    """What an operator wants to see of trust. `age` is in whole seconds since a host last confirmed the list, None if
    none has since the start; `last_error` is the code of the last attempt's failure, None after a success."""

    version: int | None
    root_version: int
    age: int | None
    last_error: str | None


class TrustSource:
    """A `TrustProvider` that pins `root` and asks one or several hosts in turn; keeps the last good list in `cache`.

    A host is a `TrustHost`, or just what gives the list. `background` makes `maintain` ask in a thread of its own:
    whoever calls it has other things to do than to wait for a slow host. Safe from several threads.
    """

    def __init__(
        self,
        root: TrustRoot,
        hosts: Callable[[], bytes | None] | Sequence[Callable[[], bytes | None]],
        clock: Callable[[], datetime],
        *,
        cache: Path | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        refresh_after: float = REFRESH_AFTER,
        background: bool = False,
    ) -> None:
        self._hosts = tuple(hosts) if isinstance(hosts, Sequence) else (hosts,)
        self._clock, self._monotonic = clock, monotonic
        self._refresh_after, self._background = refresh_after, background
        self._cache = None if cache is None else TrustCache(cache)
        self._flight = threading.Lock()  # one attempt at a time; may be held for seconds
        self._held = threading.Lock()  # what is known; never held while waiting for anything
        self._root, self._walked = root, list[bytes]()
        self._list: TrustList | None = None
        self._trust: Trust | None = None
        self._denials = Denials()
        self._wanted = 0
        self._asked_at: float | None = None
        self._confirmed_at: float | None = None
        self.last_error: str | None = None
        if self._cache is not None:
            self._recall(self._cache)

    @property
    def state(self) -> TrustState:
        confirmed, trust = self._confirmed_at, self._trust
        age = None if confirmed is None else int(self._monotonic() - confirmed)
        return TrustState(None if trust is None else trust.version, self._root.version, age, self.last_error)

    @property
    def root(self) -> TrustRoot:
        """The root that is believed now: the pinned one, or the last that was walked to."""
        return self._root

    def current(self) -> Trust | None:
        return self._trust

    def refresh(self) -> bool:
        """See `TrustProvider.refresh`. Who comes while another asks waits for that answer, until `LONGEST_WAIT` after
        the question: a host that is slow shall not hold up every check that names an unknown key."""
        before = self._trust
        if not (self._flight.acquire(timeout=SHORTEST_WAIT) or self._flight.acquire(timeout=self._patience())):
            return False
        try:
            return self._trust is not before or self._attempt(forced=False)
        finally:
            self._flight.release()

    def _patience(self) -> float:
        """How many seconds the question that is under way is still waited for."""
        gone = 0.0 if self._asked_at is None else self._monotonic() - self._asked_at
        return max(0.0, LONGEST_WAIT - gone)

    def published(self, version: int) -> None:
        # Who announces lists that never come is asked after every half second, and not as often as it announces.
        outstanding = self._trust is not None and self._trust.version < self._wanted
        self._wanted = max(self._wanted, version)
        if self._trust is None or self._trust.version < version:
            with self._flight:
                if self._trust is None or self._trust.version < version:
                    self._attempt(forced=True, at_once=self.last_error is None and not outstanding)

    def maintain(self) -> None:
        if not self._due() or self._cooling(forced=False):
            return
        if self._background and self._trust is not None:
            threading.Thread(target=self._maintain, name="ecard-trust", daemon=True).start()
        else:
            self._maintain()

    def deny(self, issuer: str, keys: Collection[DeniedKey]) -> None:
        with self._held:
            if self._denials.add(issuer, keys) and self._trust is not None:
                self._trust = self._trust.denying(self._denials.against(self._trust.issuers))

    def _maintain(self) -> None:
        if self._flight.acquire(blocking=False):
            try:
                self._attempt(forced=False)
            finally:
                self._flight.release()

    def _due(self) -> bool:
        trust = self._trust
        if trust is None or trust.version < self._wanted or self._confirmed_at is None:
            return True
        middle = trust.issued_at + (trust.expires_at - trust.issued_at) // 2
        return self._clock().timestamp() >= middle or self._monotonic() - self._confirmed_at >= self._refresh_after

    def _cooling(self, *, forced: bool) -> bool:
        """Whether the last attempt is too recent; half a second is enough for a list that was just announced."""
        if self._asked_at is None:
            return False
        pause = FIRST_COOL_DOWN if self._trust is None or forced else COOL_DOWN
        return self._monotonic() - self._asked_at < pause

    def _attempt(self, *, forced: bool, at_once: bool = False) -> bool:
        """Ask the hosts in turn until one has the list that is wanted. True if there is a newer one now. `at_once`: the
        last list announced was there, so this one will be."""
        if self._cooling(forced=forced) and not at_once:
            return False
        self._asked_at = self._monotonic()  # a failure counts too
        before, confirmed, failure = self._trust, False, None
        for host in self._hosts:
            try:
                self._ask(host)
            except EcardError as error:
                failure = failure or error.code
                if isinstance(host, TrustHost):
                    host.forget()  # else it would say "unchanged" of what was never taken
                continue
            confirmed = True
            if self._trust is not None and self._trust.version >= self._wanted:
                break  # else this host does not have it yet; another may
        if confirmed:
            self._confirmed_at, failure = self._monotonic(), None
        self.last_error = failure
        return self._trust is not before

    def _ask(self, host: Callable[[], bytes | None]) -> None:
        document = host()
        if document is not None:
            self._accept(document, host)
            if self._cache is not None:
                self._cache.keep(document, self._walked)
                self._walked.clear()

    def _accept(self, document: bytes, host: Callable[[], bytes | None]) -> None:
        for step in range(MOST_STEPS + 1):
            try:
                opened = open_trust_list(document, self._root, now=int(self._clock().timestamp()), known=self._list)
                break
            except CheckFailed as error:
                if error.code != "trust_root_outdated" or not isinstance(host, TrustHost) or step == MOST_STEPS:
                    raise
            link = host.root(self._root.version + 1)
            self._root = open_root(link, self._root)
            self._walked.append(link)
        if self._trust is None or self._list is None or opened.digest != self._list.digest:
            self._take(opened)

    def _take(self, opened: TrustList) -> None:
        with self._held:
            self._list, self._trust = opened, Trust.of(opened, self._denials.against(opened.issuers))

    def _recall(self, cache: TrustCache) -> None:
        """Begin with what was kept. A list that has expired is not believed, and still bars every older one."""
        try:
            document = cache.document()
            chain = cache.chain(self._root)
            self._root = chain[-1]
            if document is None:
                return
            for root in reversed(chain):  # a list that came before the newest root stands until its successor comes
                try:
                    self._list = open_trust_list(document, root, now=None)
                    break
                except CheckFailed as error:
                    self.last_error = error.code
            else:
                return
            self._take(open_trust_list(document, root, now=int(self._clock().timestamp())))
            self.last_error = None
        except EcardError as error:
            self.last_error = error.code
        except OSError:
            self.last_error = "trust_unavailable"
