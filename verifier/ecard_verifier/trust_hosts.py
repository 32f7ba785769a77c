"""Hosts of trust lists and of the roots that sign them: over HTTP, or in the same process. None of them is believed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import httpx2

from ecard_card.errors import Unavailable
from ecard_verifier.http_deadline import Deadline

MAX_DOCUMENT: Final = 4 << 20
MAX_ROOT: Final = 1 << 20
LONGEST_FETCH: Final = 10.0  # seconds for a whole document: a host that drips would hold up the verifier


@runtime_checkable
class TrustHost(Protocol):
    """Serves one trust list and the chain of roots. Every verb raises only `EcardError`."""

    def __call__(self) -> bytes | None:
        """The list as signed, None where it is the one asked for before."""
        ...

    def root(self, version: int) -> bytes:
        """The signed root of a version from 2 on. Raises where this host has none."""
        ...

    def forget(self) -> None:
        """Give the whole list next time: the last one was not accepted."""
        ...


@dataclass(frozen=True, slots=True)
class LocalTrustHost:
    """The issuer in the same process."""

    document: Callable[[], bytes]
    root_document: Callable[[int], bytes]

    def __call__(self) -> bytes | None:
        return self.document()

    def root(self, version: int) -> bytes:
        return self.root_document(version)

    def forget(self) -> None:
        """It always gives the whole list."""


class HttpTrustList:
    """Fetches `{issuer}/.well-known/ecard-trust-list`, and `ecard-trust-roots/{n}` beside it.

    Raises `Unavailable` `trust_unavailable`. Redirects are not followed.
    """

    def __init__(self, url: str, *, timeout: float = 3, transport: httpx2.BaseTransport | None = None) -> None:
        self._url, self._timeout, self._transport = url, timeout, transport
        self._etag: str | None = None

    def __repr__(self) -> str:
        return f"HttpTrustList({self._url!r})"

    def __call__(self) -> bytes | None:
        fetched = self._get(self._url, self._etag, MAX_DOCUMENT)
        if fetched is None:
            return None
        document, self._etag = fetched
        return document

    def root(self, version: int) -> bytes:
        """See `TrustHost.root`."""
        fetched = self._get(f"{self._url.rpartition('/')[0]}/ecard-trust-roots/{version}", None, MAX_ROOT)
        if fetched is None:
            raise Unavailable("trust_unavailable", "the host says that a root is unchanged that it never gave")
        return fetched[0]

    def forget(self) -> None:
        self._etag = None

    def _get(self, url: str, etag: str | None, limit: int) -> tuple[bytes, str | None] | None:
        """Document and ETag; None for 304."""
        headers = {"Accept": "application/jose+json", "Accept-Encoding": "identity"}
        deadline = time.monotonic() + LONGEST_FETCH
        if etag:
            headers["If-None-Match"] = etag
        try:
            with (
                Deadline(LONGEST_FETCH) as whole,
                httpx2.Client(
                    timeout=self._timeout, follow_redirects=False, trust_env=False, transport=self._transport
                ) as client,
                client.stream("GET", url, headers=headers, extensions=whole.extensions) as response,
            ):
                if response.status_code == 304 and etag:
                    return None
                if response.status_code != 200:
                    raise Unavailable("trust_unavailable", f"the trust list's host answered {response.status_code}")
                document = bytearray()
                for chunk in response.iter_raw():
                    document += chunk
                    if len(document) > limit:
                        raise Unavailable("trust_unavailable", "the document is too long")
                    if time.monotonic() > deadline:
                        raise Unavailable("trust_unavailable", "the trust list's host is too slow")
                return bytes(document), response.headers.get("etag")
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError) as error:
            raise Unavailable("trust_unavailable", f"no trust list: {type(error).__name__}") from None
