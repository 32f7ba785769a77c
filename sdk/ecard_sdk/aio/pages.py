"""Lists that go on: `async for` walks through all of it, `pages` one page at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Generic, TypeVar

from ecard_sdk.aio.run import AsyncRun
from ecard_sdk.channel_models import Page, Told
from ecard_sdk.core.call import Call, Reply

T = TypeVar("T", bound=Told)


class AsyncPages(Generic[T]):
    """A list at `path`. Each walk asks anew; nothing is asked before the first item is wanted."""

    def __init__(self, run: AsyncRun, path: str, model: type[T], query: Mapping[str, str]) -> None:
        self._run, self._path, self._model, self._query = run, path, model, query

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in page.data:
                yield item

    async def pages(self) -> AsyncIterator[Page[T]]:
        """Page after page. Raises an `ECardError`."""
        query, seen = dict(self._query), set[str]()
        while True:
            page = await self._run(Call("GET", self._path, self._read, query=query))
            yield page
            if page.next_cursor is None or page.next_cursor in seen:
                return
            seen.add(page.next_cursor)
            query["cursor"] = page.next_cursor

    def _read(self, reply: Reply) -> Page[T]:
        return Page.of_items(reply, self._model)
