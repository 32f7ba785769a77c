"""Asking an OpenBao or Vault server within a deadline, reading its answer strictly, and what each failure means.

hvac 2.4 builds the requests. Left to itself it waits 30 s, reads VAULT_TOKEN, ~/.vault-token and proxies from the
environment, follows redirects, and lets two families of exceptions through (its own and those of `requests`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import requests
import urllib3
from hvac import adapters, exceptions, utils

from ecard_card import jose
from ecard_card.errors import InvalidInput, NotFound, Unavailable

#: Bytes of an answer; a batch of 496 signatures needs 80 kB.
MAX_ANSWER = 4 << 20
_CHUNK = 1 << 16
#: What OpenBao 2.7 says in a 400, or for one item of a batch, when version 1 of a key may not or cannot sign.
_ARCHIVED = ("minimum encryption key version", "no such key version")
#: What it says when there is no key of that name.
_NO_KEY = ("signing key not found", "no existing key named", "could not delete key; not found")


class Wire(adapters.JSONAdapter):  # type: ignore[misc]  # hvac carries no types
    """hvac's adapter for one piece of work: all its requests end by `deadline` on the clock `monotonic`.

    `pool` keeps the connections and is shared. Raises hvac's and `requests`' exceptions, for `translated` to catch;
    every answer that is not an error is a JSON object, or empty.
    """

    def __init__(
        self,
        pool: requests.Session,
        *,
        address: str,
        namespace: str | None,
        token: str,
        deadline: float,
        monotonic: Callable[[], float],
    ) -> None:
        super().__init__(base_uri=address, token=token, namespace=namespace, session=pool, allow_redirects=False)
        self.deadline = deadline
        self._monotonic = monotonic

    def request(
        self, method: str, url: str, headers: dict[str, str] | None = None, raise_exception: bool = True, **kwargs: Any
    ) -> dict[str, object]:
        """See `hvac.adapters.Adapter.request`; always raises for an error, whatever `raise_exception` says."""
        limit = urllib3.Timeout(total=self._left())
        response = adapters.RawAdapter.request(
            self, method, url, headers, raise_exception=False, stream=True, timeout=limit, **kwargs
        )
        with response:
            body = self._body(response)
        status = response.status_code
        if status >= 400:
            utils.raise_for_error(method, url, status, errors=_errors(body))
        if status not in (200, 204):
            raise Unavailable("key_home_answer_refused", f"status {status}: neither an answer nor an error")
        return _object(body) if body else {}

    def _left(self) -> float:
        """Seconds until the deadline."""
        left = self.deadline - self._monotonic()
        if left <= 0:
            raise requests.exceptions.Timeout("no time is left")
        return left

    def _body(self, response: requests.Response) -> bytes:
        """The whole body. A server that sends a little at a time gets no further time for that."""
        read = 0
        parts: list[bytes] = []
        while True:
            left, connection = self._left(), response.raw.connection
            if connection is not None and connection.sock is not None:
                connection.sock.settimeout(left)
            part = response.raw.read1(_CHUNK, decode_content=True)
            if not part:
                return b"".join(parts)
            parts.append(part)
            read += len(part)
            if read > MAX_ANSWER:
                raise Unavailable("key_home_answer_refused", "the answer is longer than any we asked for")


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Our errors instead of theirs. What the server wrote never becomes part of ours: it may repeat what we sent."""
    try:
        yield
    except exceptions.VaultError as error:
        raise _meaning(error) from None
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError):
        raise Unavailable("key_home_timeout", "the server did not answer in time") from None
    except requests.exceptions.SSLError:
        raise Unavailable("key_home_unavailable", "the server's certificate was refused") from None
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise Unavailable("key_home_unavailable", f"no connection: {type(error).__name__}") from None


def refusal_of(said: str) -> NotFound | Unavailable:
    """The error for what the server says of one request, or of one item in it."""
    if any(text in said for text in _ARCHIVED):
        return Unavailable("key_version_archived", "the server does not let version 1 of this key sign any more")
    if any(text in said for text in _NO_KEY):
        return NotFound("key_unknown", "the server has no such key")
    return Unavailable("key_home_answer_refused", "the server refused what we asked as badly asked")


def _meaning(error: exceptions.VaultError) -> NotFound | Unavailable:
    said = ", ".join(error.errors or ())
    match error:
        case exceptions.VaultNotInitialized():
            return Unavailable("key_home_sealed", "the server was never initialised")
        case exceptions.VaultDown() if "sealed" in said:
            return Unavailable("key_home_sealed", "the server is sealed: somebody must unseal it")
        case exceptions.Forbidden() | exceptions.Unauthorized():
            return Unavailable("key_home_forbidden", "the server's policy does not let us do this")
        case exceptions.InvalidPath() if error.errors == []:  # the server's own; a proxy's 404 has none
            return NotFound("key_unknown", "the server has no such key")
        case exceptions.InvalidRequest():
            return refusal_of(said)
        case exceptions.InvalidPath() | exceptions.UnsupportedOperation():
            return Unavailable("key_home_answer_refused", "the server has nothing at this path: is the mount right?")
        case _:  # 429, 500, 502, a 503 that is no seal: it is there, and cannot serve now
            return Unavailable("key_home_unavailable", f"the server failed: {type(error).__name__}")


def _object(body: bytes) -> dict[str, object]:
    with contextlib.suppress(InvalidInput):
        answer = jose.parse_json(body, limit=MAX_ANSWER)
        if isinstance(answer, dict):
            return answer
    raise Unavailable("key_home_answer_refused", "the answer is no JSON object")


def _errors(body: bytes) -> list[str] | None:
    """What the server says went wrong; None if it was not the server who spoke: a proxy, a page of HTML."""
    with contextlib.suppress(InvalidInput):
        match jose.parse_json(body, limit=MAX_ANSWER):
            case {"errors": list(said)} if all(isinstance(text, str) for text in said):
                return said
    return None
