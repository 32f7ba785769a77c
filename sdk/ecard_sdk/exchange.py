"""One HTTP exchange with a service: bounded, strict, and repeated only where repeating is harmless.

What was never sent may always be sent again. What may have arrived is sent again only when the caller says that the
service treats a repetition as the same request (`safe`), which for a plain POST it does not.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx2

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_sdk import errors

ATTEMPTS: Final = 4
MAX_ANSWER: Final = 64 << 20
_FIRST_PAUSE: Final = 0.1  # seconds, doubled each time
_LONGEST_PAUSE: Final = 5.0
_REFERENCE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NEVER_SENT: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
_PASSING: Final = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, read."""

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)


class Exchange:
    """A connection pool to one service. Tokens are sent to `base_url` alone; redirects are not followed."""

    def __init__(
        self,
        base_url: str,
        token: str | None,
        *,
        timeout: float,
        transport: httpx2.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        if not base_url.startswith(("https://", "http://")):
            raise InvalidInput("bad_service_url", "want the http(s) URL of a service")
        if token is not None and not (token.isascii() and token.isprintable() and token):
            raise InvalidInput("bad_token", "a token is a line of ASCII characters")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._pause, self._jitter = pause, jitter
        try:
            self._http = httpx2.Client(
                base_url=base_url.rstrip("/"),
                headers={"Accept": "application/json", **headers},
                timeout=timeout,
                transport=transport,
                follow_redirects=False,
                trust_env=False,
            )
        except (httpx2.InvalidURL, ValueError):
            raise InvalidInput("bad_service_url", "want the http(s) URL of a service") from None

    def get_json(self, path: str) -> object:
        """The parsed body of a GET."""
        return _parsed(self.get(path))

    def get(self, path: str, accept: str = "application/json") -> Answer:
        """A successful answer to a GET, which is repeated after passing faults."""
        return self._send("GET", path, None, {"Accept": accept}, safe=True)

    def post(self, path: str, body: Mapping[str, object] | bytes, *, safe: bool = False) -> object:
        """The parsed body of a POST; None where the answer has none. `body` bytes are JSON already."""
        content = body if isinstance(body, bytes) else jose.dump_json(body)
        answer = self._send("POST", path, content, {"Content-Type": "application/json"}, safe=safe)
        return _parsed(answer) if answer.content else None

    def close(self) -> None:
        self._http.close()

    def _send(self, method: str, path: str, content: bytes | None, headers: Mapping[str, str], *, safe: bool) -> Answer:
        for attempt in range(1, ATTEMPTS + 1):
            last = attempt == ATTEMPTS
            wanted: float | None = None
            try:
                answer = self._once(method, path, content, headers)
            except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError) as error:
                if last or not (safe or isinstance(error, _NEVER_SENT)):
                    raise errors.ConnectionFailedError(
                        "service_unreachable", f"no answer: {type(error).__name__}"
                    ) from None
            else:
                if 200 <= answer.status < 300:
                    return answer
                fault = errors.of_answer(answer.status, _problem(answer), answer.headers)
                if last or not safe or answer.status not in _PASSING:
                    raise fault
                wanted = fault.retry_after
            self._wait(attempt, wanted)
        raise AssertionError  # the last attempt returned or raised

    def _once(self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]) -> Answer:
        with self._http.stream(method, path, content=content, headers=dict(headers)) as answer:
            body = b""
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER:
                    raise errors.ServerError("service_answer_unreadable", "the answer is larger than any of ours")
            return Answer(answer.status_code, answer.headers, body)

    def _wait(self, attempt: int, wanted: float | None) -> None:
        """Full jitter, so that a thousand clients of a service that comes back do not come back in step."""
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**attempt)
        self._pause(min(_LONGEST_PAUSE, wanted or 0.0) + longest * self._jitter())


def reference(value: str) -> str:
    """A part of a path. What is not a reference would change the path."""
    if not _REFERENCE.fullmatch(value):
        raise InvalidInput("bad_reference", "a reference has 1 to 64 letters, digits, - and _")
    return value


def _parsed(answer: Answer) -> object:
    try:
        return jose.parse_json(answer.content, limit=MAX_ANSWER)
    except InvalidInput:
        raise errors.ServerError(
            "service_answer_unreadable", "the answer is not JSON", http_status=answer.status
        ) from None


def _problem(answer: Answer) -> object:
    try:
        return jose.parse_json(answer.content, limit=65536)
    except InvalidInput:
        return None
