"""Takes the steps of a call: sends, waits, and lets one task at a time fetch what all share."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import anyio
import httpx2

from ecard_card.errors import EcardError, InvalidInput
from ecard_sdk.core.call import Alone, NoAnswer, Pause, Reply, Send, Step, Work
from ecard_sdk.core.reading import MAX_ANSWER

T = TypeVar("T")
_log: Final = logging.getLogger("ecard_sdk")


class AsyncDriver:
    """A connection pool to one authority. Redirects are not followed, so nothing is sent anywhere else.

    `timeout` is for connecting and for each pause in an answer, in seconds; a whole answer may take `longest`. A given
    `http_client` stays its owner's, who closes it, and whose proxies and certificates are used.
    """

    def __init__(
        self,
        http_client: httpx2.AsyncClient | None,
        timeout: tuple[float, float],
        *,
        longest: float = 60.0,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        self._owned = http_client is None
        self._http = http_client or httpx2.AsyncClient(follow_redirects=False, trust_env=False)
        self._timeout, self._longest, self._sleep, self._stopwatch = timeout, longest, sleep, stopwatch
        self._alone = anyio.Lock()

    async def aclose(self) -> None:
        """Give the connections back, unless they are another's."""
        if self._owned:
            await self._http.aclose()

    async def run(self, work: Work[T]) -> T:
        """The result of the work. Raises what it raises."""
        outcome: Any = None
        fault: NoAnswer | EcardError | None = None
        while True:
            try:
                step = work.send(outcome) if fault is None else work.throw(fault)
            except StopIteration as done:
                result: T = done.value
                return result
            outcome, fault = None, None
            try:
                outcome = await self._take(step)
            except (NoAnswer, EcardError) as error:  # the work decides
                fault = error

    async def _take(self, step: Step) -> object:
        match step:
            case Send():
                return await self._send(step)
            case Pause():
                await self._sleep(step.seconds)
                return None
            case Alone():
                async with self._alone:
                    return await self.run(step.work())

    async def _send(self, step: Send) -> Reply:
        began = self._stopwatch()
        connect, read = self._timeout
        try:
            request = self._http.build_request(
                step.method,
                step.url,
                headers={"Accept-Encoding": "identity", **step.headers},
                content=step.content,
                timeout=httpx2.Timeout(read, connect=connect, read=read + step.waits),
            )
            answer = await self._http.send(request, stream=True, follow_redirects=False)
            try:
                content = await self._read(answer, began + self._longest + step.waits)
            finally:
                await answer.aclose()
        except (httpx2.HTTPError, httpx2.StreamError, OSError) as error:
            _log.debug("%s %s: %s", step.method, request.url.path, type(error).__name__)
            raise NoAnswer(type(error).__name__) from None
        except httpx2.InvalidURL:
            raise InvalidInput("bad_service_url", "want the http(s) URL of a service") from None
        reply = Reply(answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, content)
        took = (self._stopwatch() - began) * 1000
        _log.debug("%s %s: %d, %.0f ms, %s", step.method, request.url.path, reply.status, took, reply.request_id)
        return reply

    async def _read(self, answer: httpx2.Response, until: float) -> bytes:
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise NoAnswer("the answer is packed, which was not asked for")  # and may unpack to anything
        content = bytearray()
        async for chunk in answer.aiter_bytes():
            content += chunk
            if len(content) > MAX_ANSWER:
                raise NoAnswer("the answer is larger than any of ours")
            if self._stopwatch() > until:
                raise NoAnswer("the answer takes longer than any of ours")
        return bytes(content)
