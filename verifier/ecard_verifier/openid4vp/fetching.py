"""Fetching what a foreign issuer publishes: over https, from a host that the operator named, bounded in all ways."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

import httpx2

from ecard_card.errors import Unavailable
from ecard_verifier.config import FetchStatuses
from ecard_verifier.http_deadline import Deadline
from ecard_verifier.http_statuses import may_fetch

TIMEOUT: Final = 2.0  # seconds for one step, and for all of it together


class Fetcher:
    """GETs without redirects, proxies, cookies or compressed answers. `allowed` says which schemes may be used."""

    def __init__(
        self, allowed: FetchStatuses = FetchStatuses.HTTPS, transport: httpx2.BaseTransport | None = None
    ) -> None:
        self._allowed, self._transport = allowed, transport

    def get(self, url: str, *, hosts: Collection[str], media_type: str, limit: int) -> bytes:
        """The body of a 200 of that type. `hosts` are host names, with a port where it is not the usual one.

        Raises `Unavailable` `foreign_issuer_unavailable`; also for another host, which is never asked.
        """
        if not self.permits(url, hosts):
            raise Unavailable("foreign_issuer_unavailable", "an address that may not be asked")
        deadline = time.monotonic() + TIMEOUT
        headers = {"Accept": media_type, "Accept-Encoding": "identity"}
        try:
            with (
                Deadline(TIMEOUT) as whole,
                httpx2.Client(
                    timeout=TIMEOUT, follow_redirects=False, trust_env=False, transport=self._transport
                ) as client,
                client.stream("GET", url, headers=headers, extensions=whole.extensions) as response,
            ):
                media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
                if response.status_code != 200 or media != media_type:
                    raise Unavailable("foreign_issuer_unavailable", f"its host answered {response.status_code}")
                body = bytearray()
                for chunk in response.iter_raw():
                    body += chunk
                    if len(body) > limit or time.monotonic() > deadline:
                        raise Unavailable("foreign_issuer_unavailable", "the answer is too long, or too slow")
                return bytes(body)
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError, ValueError) as error:
            raise Unavailable("foreign_issuer_unavailable", f"not to be had: {type(error).__name__}") from None

    def permits(self, url: str, hosts: Collection[str]) -> bool:
        """Whether this address would be asked."""
        try:
            return may_fetch(url, self._allowed) and urlsplit(url).netloc.lower() in hosts
        except ValueError:
            return False
