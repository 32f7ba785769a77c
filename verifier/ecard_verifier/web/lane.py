"""Short work in order of arrival, on one thread beside the event loop.

Judging a code is processor time under Python's one lock: several threads only take it from each other, and handing
each question to a thread of its own costs as much as the answer. On the loop itself a slow disk would hold up all.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from typing import Any, Final, TypeVar

Answer = TypeVar("Answer")
#: Done before the loop hears of it: each of them waits for the last.
MOST: Final = 32
_Asked = tuple[Callable[[], Any], asyncio.Future[Any]]


class Lane:
    """Who asks alone waits for nobody; what comes meanwhile is done next, and answered at one go. Safe for several
    loops."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._guard = Lock()
        self._waiting: list[_Asked] = []
        self._busy = False

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """What `work` returns or raises. It may wait for a file of this machine and for nothing else: whatever is
        behind it waits as well."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Answer] = loop.create_future()
        with self._guard:
            self._waiting.append((work, outcome))
            idle, self._busy = not self._busy, True
        if idle:
            loop.call_soon(self._thread.submit, self._work)  # not before the loop has read what else has come
        return await outcome

    def _work(self) -> None:
        while batch := self._next():
            ends = defaultdict[asyncio.AbstractEventLoop, list[Callable[[], None]]](list)
            for work, outcome in batch:
                ends[outcome.get_loop()].append(_done(work, outcome))
            for loop, its in ends.items():
                with suppress(RuntimeError):  # closed: nobody waits there any more
                    loop.call_soon_threadsafe(_settle, its)

    def _next(self) -> list[_Asked]:
        with self._guard:
            batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            self._busy = bool(batch)
        return batch


def _done(work: Callable[[], Any], outcome: asyncio.Future[Any]) -> Callable[[], None]:
    """Do it; what is left is to tell."""
    try:
        answer = work()
    except Exception as error:  # noqa: BLE001 - raised where it was asked for
        return lambda error=error: outcome.set_exception(error)  # type: ignore[misc]
    return lambda: outcome.set_result(answer)


def _settle(ends: Sequence[Callable[[], None]]) -> None:
    for end in ends:
        with suppress(asyncio.InvalidStateError):  # who asked has gone
            end()
