"""Fetching what an issuer publishes for verifiers without the live feed: deltas, bundles, lists.

Nothing that is fetched is believed here: signatures say what it is worth. Bounded in size and time, without redirects.
"""

from __future__ import annotations

import time
from typing import Final

import httpx2

from ecard_card import jose
from ecard_card.errors import InvalidInput, NotFound, Unavailable
from ecard_card.status_token import LIMIT as MAX_LIST
from ecard_verifier.bundle import MAX_BUNDLE
from ecard_verifier.http_deadline import Deadline

_PAGE_LIMIT: Final = 64 << 20
_TIMEOUT: Final = 10.0  # seconds for one step
_LONGEST: Final = 120.0  # seconds for one document


class PublishedStatus:
    """The public routes of the issuer at `base`, scheme and host. Raises `InvalidInput` `bad_usage` for another URL."""

    def __init__(self, base: str, *, transport: httpx2.BaseTransport | None = None) -> None:
        if not base.startswith(("http://", "https://")):
            raise InvalidInput("bad_usage", "the issuer's address begins with https:// or http://")
        self._base = base.rstrip("/")
        self._transport = transport

    def deltas_from(self, position: int) -> list[str]:
        """The deltas that lead on from event `position` of the feed, as many as one answer holds.

        Raises `NotFound` `status_delta_gone`, `Unavailable` `published_unavailable`.
        """
        return self._deltas(f"position={position}")

    def deltas_since(self, number: int) -> list[str]:
        """The deltas after number `number`. Raises as `deltas_from` does."""
        return self._deltas(f"since={number}")

    def bundle(self) -> bytes:
        """A whole bundle. Raises `Unavailable` `published_unavailable`."""
        return self._get("/v1/bundle", MAX_BUNDLE)

    def status_list(self, list_id: int) -> str:
        """The token of a list, as JWT. Raises `Unavailable` `published_unavailable`."""
        return self._get(f"/status-lists/{list_id}", MAX_LIST).decode("ascii", "replace")

    def _deltas(self, query: str) -> list[str]:
        try:
            content = jose.parse_json(self._get(f"/v1/status-deltas?{query}", _PAGE_LIMIT), limit=_PAGE_LIMIT)
        except InvalidInput:
            content = None
        match content:
            case {"deltas": list(deltas)} if all(type(item) is str for item in deltas):
                return deltas
        raise Unavailable("published_unavailable", "the answer is no list of deltas")

    def _get(self, path: str, limit: int) -> bytes:
        deadline = time.monotonic() + _LONGEST
        try:
            with (
                Deadline(_LONGEST) as end,
                httpx2.Client(
                    timeout=_TIMEOUT, follow_redirects=False, trust_env=False, transport=self._transport
                ) as client,
                client.stream("GET", self._base + path, extensions=end.extensions) as response,
            ):
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > limit or time.monotonic() > deadline:
                        raise Unavailable("published_unavailable", "the document is too long, or its host too slow")
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError, ValueError) as error:
            raise Unavailable("published_unavailable", f"no answer: {type(error).__name__}") from None
        if response.status_code == 404 and b"status_delta_gone" in body[:4096]:
            raise NotFound("status_delta_gone", "the issuer keeps no delta from there on")
        if response.status_code != 200:
            raise Unavailable("published_unavailable", f"the issuer answered {response.status_code}")
        return bytes(body)
