# Made from ecard_sdk/aio by `python -m tests.sdk.make_sync`: change that one.
"""Lists that go on: `for` walks through all of it, `pages` one page at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from ecard_sdk.channel_models import Page, Told
from ecard_sdk.core.call import Call, Reply
from ecard_sdk.sync.run import Run

T = TypeVar("T", bound=Told)


class Pages(Generic[T]):
    """A list at `path`. Each walk asks anew; nothing is asked before the first item is wanted."""

    def __init__(self, run: Run, path: str, model: type[T], query: Mapping[str, str]) -> None:
        self._run, self._path, self._model, self._query = run, path, model, query

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page.data

    def pages(self) -> Iterator[Page[T]]:
        """Page after page. Raises an `ECardError`."""
        query, seen = dict(self._query), set[str]()
        while True:
            page = self._run(Call("GET", self._path, self._read, query=query))
            yield page
            if page.next_cursor is None or page.next_cursor in seen:
                return
            seen.add(page.next_cursor)
            query["cursor"] = page.next_cursor

    def _read(self, reply: Reply) -> Page[T]:
        return Page.of_items(reply, self._model)
