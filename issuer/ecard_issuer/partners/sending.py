"""One attempt at one receiver over HTTP: bounded in time and size, never redirected, TLS verified."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, Protocol

import httpx2

from ecard_card.errors import InvalidInput, Unavailable
from ecard_issuer.partners.schedule import Answer, retry_after
from ecard_issuer.partners.targets import Targets
from ecard_verifier.http_deadline import Deadline

TIMEOUT: Final = 5.0  # seconds for one step of an exchange
LONGEST: Final = 10.0  # seconds for all of it
_MAX_ANSWER: Final = 16_384  # bytes of an answer that are read
#: Statuses that speak of the receiver and not of the event. Other 4xx blame the event.
_RECEIVERS_OWN: Final = frozenset({401, 403, 404, 408, 421, 425, 429})


class Sender(Protocol):
    """Brings one message to one receiver."""

    def send(self, endpoint: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Raises nothing: what went wrong is an answer too."""
        ...


class HttpSender:
    """A `Sender` by HTTP POST. Safe in threads; each exchange has a connection of its own."""

    def __init__(
        self,
        targets: Targets,
        clock: Callable[[], datetime],
        *,
        timeout: float = TIMEOUT,
        longest: float = LONGEST,
        trusted: ssl.SSLContext | None = None,
    ) -> None:
        self._targets, self._clock = targets, clock
        self._timeout, self._longest = timeout, longest
        self._trusted = trusted or ssl.create_default_context()

    def send(self, endpoint: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """See `Sender.send`."""
        try:
            target = self._targets.resolve(endpoint)
        except (InvalidInput, Unavailable) as error:
            return Answer(taken=False, result=error.code)
        sent = {"User-Agent": "ecard", "Accept-Encoding": "identity", **headers, "Host": target.host}
        try:
            with (
                Deadline(self._longest) as deadline,
                httpx2.Client(
                    timeout=self._timeout, follow_redirects=False, trust_env=False, verify=self._trusted
                ) as client,
                client.stream(
                    "POST",
                    target.url,
                    content=body,
                    headers=sent,
                    extensions={**deadline.extensions, "sni_hostname": target.server_name},
                ) as response,
            ):
                read = 0
                for chunk in response.iter_raw():
                    read += len(chunk)
                    if read > _MAX_ANSWER:
                        break  # what it says beyond its status is of no use here
                return self._answer(response)
        except httpx2.TimeoutException:
            return Answer(taken=False, result="timeout")
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError, ValueError):
            return Answer(taken=False, result="no_answer")

    def _answer(self, response: httpx2.Response) -> Answer:
        status = response.status_code
        result = f"http_{status}"
        if 200 <= status < 300:
            return Answer(taken=True, result=result)
        if status == 410:
            return Answer(taken=False, result=result, gone=True)
        if status in (429, 503):
            asked = retry_after(response.headers.get("retry-after"), self._clock())
            return Answer(taken=False, result=result, retry_after=asked)
        return Answer(taken=False, result=result, blames_event=400 <= status < 500 and status not in _RECEIVERS_OWN)
