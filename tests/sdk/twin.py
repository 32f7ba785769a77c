"""The asynchronous client with the synchronous one's verbs, so that one test tries both."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal

from ecard_sdk.aio.client import AsyncECardClient


class Blocking:
    """Anything of the asynchronous client's, called from where nothing is asynchronous."""

    def __init__(self, portal: BlockingPortal, inner: object) -> None:
        self._portal, self._inner = portal, inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, {"close": "aclose"}.get(name, name))
        if inspect.iscoroutinefunction(found):
            return lambda *args, **names: self._portal.call(lambda: found(*args, **names))
        if callable(found):
            return lambda *args, **names: self._wrapped(found(*args, **names))
        return self._wrapped(found)

    def __iter__(self) -> Iterator[Any]:
        inner: Any = self._inner

        async def everything() -> list[Any]:
            return [item async for item in inner]

        return iter(self._portal.call(everything))

    def __repr__(self) -> str:
        return repr(self._inner)

    def _wrapped(self, found: Any) -> Any:
        if type(found).__module__.startswith("ecard_sdk.aio") or hasattr(found, "__aiter__"):
            return Blocking(self._portal, found)
        return found


@contextmanager
def blocking(client: AsyncECardClient) -> Iterator[Any]:
    """`client`, as if it were an `ECardClient`."""
    with start_blocking_portal() as portal:
        yield Blocking(portal, client)
        portal.call(client.aclose)
