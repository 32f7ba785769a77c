"""The feed over HTTP: a long answer of server-sent events (WHATWG HTML §9.2), read with bounds on everything."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import httpx2

from ecard_card.errors import Unavailable
from ecard_verifier.feed import MAX_EVENT
from ecard_verifier.http_deadline import Deadline

#: Bytes of one line and of one message: a JWS and the field's name.
MAX_LINE: Final = MAX_EVENT + 64


class HttpFeed:
    """A `FeedSource` that asks `url` (the issuer's `/v1/feed`) with a bearer `token` of the role `verifier`.

    Times in seconds. A beat comes every second, so a line without a byte for `read_timeout`, or with bytes but no
    message for `longest_silence`, is broken. Redirects are not followed: nobody else's feed is ours.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        connect_timeout: float = 3,
        read_timeout: float = 4,
        longest_silence: float = 10,
        monotonic: Callable[[], float] = time.monotonic,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._url = url
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",
        }
        self._timeout = httpx2.Timeout(read_timeout, connect=connect_timeout)
        self._transport, self._longest_silence, self._monotonic = transport, longest_silence, monotonic

    def __repr__(self) -> str:
        return f"HttpFeed({self._url!r})"

    def events(self, since: int, /) -> Iterator[str]:
        """See `FeedSource.events`. The connection closes with the iterator."""
        try:
            with (
                Deadline(self._longest_silence) as deadline,
                httpx2.Client(
                    timeout=self._timeout, follow_redirects=False, trust_env=False, transport=self._transport
                ) as client,
                client.stream(
                    "GET",
                    self._url,
                    params={"since": since},
                    headers=self._headers,
                    extensions=deadline.extensions,
                ) as response,
            ):
                deadline.met()
                if response.status_code != 200:
                    raise Unavailable("feed_unavailable", f"the feed answered {response.status_code}")
                media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
                if media != "text/event-stream" or response.headers.get("content-encoding", "identity") != "identity":
                    raise Unavailable("feed_unavailable", "the feed's answer is not a plain event stream")
                heard = self._monotonic()

                def watched() -> Iterator[bytes]:
                    for chunk in response.iter_raw():
                        if self._monotonic() - heard > self._longest_silence:
                            raise Unavailable("feed_unavailable", "bytes, but no message")
                        yield chunk

                for message in read_messages(watched()):
                    heard = self._monotonic()
                    yield message
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError) as error:
            raise Unavailable("feed_unavailable", f"the feed broke off: {type(error).__name__}") from None


def read_messages(chunks: Iterable[bytes]) -> Iterator[str]:
    """The data of each `set` and `beat` message of an event stream; comments and other messages are left out.

    Raises `Unavailable` `feed_unavailable` for a line or message beyond `MAX_LINE` bytes, and for what is not UTF-8.
    """
    kind, size = "", 0
    data: list[str] = []
    for line in _lines(chunks):
        if not line:
            if data and kind in ("set", "beat"):
                yield "\n".join(data)
            kind, data, size = "", [], 0
            continue
        size += len(line)
        if size > 2 * MAX_LINE:
            raise Unavailable("feed_unavailable", "a message of the feed is too long")
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            data.append(value)


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Lines ended by LF, CRLF or CR, however the chunks cut them; an unfinished last line is dropped."""
    rest = b""
    after_cr = False
    for chunk in chunks:
        if after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        if chunk:
            after_cr = chunk.endswith(b"\r")
        pieces = (rest + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        rest = pieces.pop()
        if max(map(len, (rest, *pieces))) > MAX_LINE:
            raise Unavailable("feed_unavailable", "a line of the feed is too long")
        for piece in pieces:
            try:
                yield piece.decode()
            except UnicodeDecodeError:
                raise Unavailable("feed_unavailable", "the feed is not UTF-8") from None
