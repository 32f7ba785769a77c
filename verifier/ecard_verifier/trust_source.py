"""Where a running verifier has its trust list from, and when it asks for a newer one.

It asks when the feed says that one was published, when half of the list's life is over, and when a key is unknown;
never twice at once, and after a failure or for an unknown key not again within ten seconds. A failed attempt keeps
the last good list until that list's own expiry.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

import httpx2

from ecard_card.errors import CheckFailed, EcardError, Unavailable
from ecard_keys.trust import Trust
from ecard_keys.trust_list import TrustList, TrustRoot, open_trust_list

MAX_DOCUMENT: Final = 4 << 20
COOL_DOWN: Final = 10.0  # seconds between two attempts
LONGEST_FETCH: Final = 10.0  # seconds for a whole document: a host that drips would hold up the verifier
FIRST_COOL_DOWN: Final = 0.5  # the same while there is no list at all


class TrustProvider(Protocol):
    """Whom to believe now, and three hints that there may be something newer. No method raises."""

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


class FixedTrust:
    """A trust list that nobody renews: from an offline bundle, or in a test."""

    def __init__(self, trust: Trust | None) -> None:
        self._trust = trust

    def current(self) -> Trust | None:
        return self._trust

    def refresh(self) -> bool:
        return False

    def published(self, version: int) -> None:
        """Nothing to ask."""

    def maintain(self) -> None:
        """Nothing to ask."""


class HttpTrustList:
    """Fetches `{issuer}/.well-known/ecard-trust-list`: bytes, or None when the server says they are unchanged.

    Raises `Unavailable` `trust_unavailable`. Redirects are not followed.
    """

    def __init__(self, url: str, *, timeout: float = 3, transport: httpx2.BaseTransport | None = None) -> None:
        self._url, self._timeout, self._transport = url, timeout, transport
        self._etag: str | None = None

    def __call__(self) -> bytes | None:
        headers = {"Accept": "application/jose+json", "Accept-Encoding": "identity"}
        deadline = time.monotonic() + LONGEST_FETCH
        if self._etag:
            headers["If-None-Match"] = self._etag
        try:
            with (
                httpx2.Client(
                    timeout=self._timeout, follow_redirects=False, trust_env=False, transport=self._transport
                ) as client,
                client.stream("GET", self._url, headers=headers) as response,
            ):
                if response.status_code == 304:
                    return None
                if response.status_code != 200:
                    raise Unavailable("trust_unavailable", f"the trust list's host answered {response.status_code}")
                document = bytearray()
                for chunk in response.iter_raw():
                    document += chunk
                    if len(document) > MAX_DOCUMENT:
                        raise Unavailable("trust_unavailable", "the trust list is too long")
                    if time.monotonic() > deadline:
                        raise Unavailable("trust_unavailable", "the trust list's host is too slow")
                self._etag = response.headers.get("etag")
                return bytes(document)
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError) as error:
            raise Unavailable("trust_unavailable", f"no trust list: {type(error).__name__}") from None

    def forget(self) -> None:
        """Ask for the whole document next time: the last one was not accepted."""
        self._etag = None


class TrustSource:
    """A `TrustProvider` that pins `root` and asks `fetch`; keeps the last good document in the file `cache`, if any.

    `last_error` is the code of the last failure, None after a success.
    """

    def __init__(
        self,
        root: TrustRoot,
        fetch: Callable[[], bytes | None],
        clock: Callable[[], datetime],
        *,
        cache: Path | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root, self._fetch, self._clock, self._cache, self._monotonic = root, fetch, clock, cache, monotonic
        self._flight = threading.Lock()
        self._list: TrustList | None = None
        self._trust: Trust | None = None
        self._wanted = 0
        self._asked_at: float | None = None
        self.last_error: str | None = None
        if cache is not None and cache.exists():
            try:
                self._accept(cache.read_bytes())
            except (EcardError, OSError) as error:
                self.last_error = error.code if isinstance(error, EcardError) else "trust_unavailable"
                self._remember(cache)

    def current(self) -> Trust | None:
        return self._trust

    def refresh(self) -> bool:
        return self._ask(forced=False)

    def published(self, version: int) -> None:
        self._wanted = max(self._wanted, version)
        if self._trust is None or self._trust.version < version:
            self._ask(forced=True)

    def maintain(self) -> None:
        trust = self._trust
        if trust is not None and trust.version >= self._wanted:
            middle = trust.issued_at + (trust.expires_at - trust.issued_at) // 2
            if self._clock().timestamp() < middle:
                return
        self._ask(forced=False)

    def _ask(self, *, forced: bool) -> bool:
        """One attempt, unless one is under way or was made too recently."""
        if not self._flight.acquire(blocking=forced):
            return False
        try:
            moment = self._monotonic()
            pause = FIRST_COOL_DOWN if self._trust is None or forced else COOL_DOWN
            recent = self._asked_at is not None and moment - self._asked_at < pause
            if recent and not (forced and self.last_error is None):
                return False
            self._asked_at = moment
            before = self._trust
            document = self._fetch()
            if document is not None:
                self._accept(document)
                self._keep(document)
            self.last_error = None
            return self._trust is not before
        except EcardError as error:
            self.last_error = error.code
            if isinstance(error, CheckFailed) and isinstance(self._fetch, HttpTrustList):
                self._fetch.forget()
            return False
        finally:
            self._flight.release()

    def _accept(self, document: bytes) -> None:
        opened = open_trust_list(document, self._root, now=int(self._clock().timestamp()), known=self._list)
        if self._trust is None or self._list is None or opened.digest != self._list.digest:
            self._list, self._trust = opened, Trust.of(opened)

    def _remember(self, cache: Path) -> None:
        """A list that has expired is not believed, and still bars every older one."""
        with contextlib.suppress(EcardError, OSError):
            self._list = open_trust_list(cache.read_bytes(), self._root, now=None)

    def _keep(self, document: bytes) -> None:
        if self._cache is None:
            return
        with contextlib.suppress(OSError):  # the next start asks again
            handle, name = tempfile.mkstemp(dir=self._cache.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(document)
                os.replace(name, self._cache)
            except OSError:
                os.unlink(name)
                raise
