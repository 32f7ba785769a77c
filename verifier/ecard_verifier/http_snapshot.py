"""Snapshots of the feed over HTTP, read with bounds on everything. Nothing that is fetched is believed here."""

from __future__ import annotations

from typing import Final

import httpx2

from ecard_card.errors import CheckFailed, InvalidInput, NotFound, Unavailable
from ecard_card.feed_snapshot import LIMIT, Chunk
from ecard_verifier.http_deadline import Deadline

_TIMEOUT: Final = 10.0  # seconds for one step
_LONGEST: Final = 120.0  # seconds for one answer


class HttpSnapshots:
    """A `SnapshotSource` that asks `url` (the issuer's `/v1/feed/snapshot`) with a bearer `token` of the role
    `verifier`. Redirects are not followed."""

    def __init__(
        self, url: str, token: str, *, longest: float = _LONGEST, transport: httpx2.BaseTransport | None = None
    ) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
        self._longest, self._transport = longest, transport
        self._trusted = httpx2.create_ssl_context(trust_env=False)  # once: it costs more than a chunk does

    def __repr__(self) -> str:
        return f"HttpSnapshots({self._url!r})"

    def manifest(self) -> str | None:
        """See `SnapshotSource.manifest`."""
        body = self._get(self._url, LIMIT)
        if body is None:
            return None
        if len(body) > LIMIT:
            raise InvalidInput("bad_feed_snapshot", "the manifest is too long")
        return body.decode("ascii", "replace")

    def chunk(self, number: int, place: int, chunk: Chunk, /) -> bytes:
        """See `SnapshotSource.chunk`."""
        body = self._get(f"{self._url}/{number}/chunks/{place}", chunk.length)
        if body is None:
            raise NotFound("feed_snapshot_gone", "the issuer no longer has this snapshot")
        if len(body) > chunk.length:
            raise CheckFailed("feed_snapshot_altered", "a chunk is longer than the manifest says")
        return body

    def _get(self, url: str, limit: int) -> bytes | None:
        """The answer, or more than `limit` bytes of one that is longer; None for 404."""
        body = bytearray()
        try:
            with (
                Deadline(self._longest) as end,
                httpx2.Client(
                    timeout=_TIMEOUT,
                    follow_redirects=False,
                    trust_env=False,
                    verify=self._trusted,
                    transport=self._transport,
                ) as client,
                client.stream("GET", url, headers=self._headers, extensions=end.extensions) as response,
            ):
                if response.status_code == 404:
                    return None
                if response.status_code != 200 or response.headers.get("content-encoding", "identity") != "identity":
                    raise Unavailable("feed_snapshot_unavailable", f"the issuer answered {response.status_code}")
                for piece in response.iter_raw():
                    body += piece
                    if len(body) > limit:
                        break
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError) as error:
            raise Unavailable("feed_snapshot_unavailable", f"no answer: {type(error).__name__}") from None
        return bytes(body)
