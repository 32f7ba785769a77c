"""What happened to the app's links: read in order, or waited for. Webhooks say the same."""

from __future__ import annotations

from ecard_sdk.aio.pages import AsyncPages
from ecard_sdk.aio.run import AsyncRun
from ecard_sdk.core.call import Call
from ecard_sdk.events_models import ChannelEvent, EventBatch


class AsyncEvents:
    """The app's own log, and no other's. `NotFoundError` `events_gone` where those after a cursor are no longer kept:
    ask for the state of the links and begin without one."""

    def __init__(self, run: AsyncRun) -> None:
        self._run = run

    def list(self, *, cursor: str | None = None, limit: int = 50) -> AsyncPages[ChannelEvent]:
        """All there are now, in order, after `cursor`; from the oldest that is kept without one."""
        query = {"limit": str(limit), **({} if cursor is None else {"cursor": cursor})}
        return AsyncPages(self._run, "/v1/events", ChannelEvent, query)

    async def wait(self, cursor: str | None = None, *, seconds: int = 25, limit: int = 50) -> EventBatch:
        """What comes next after `cursor`, as soon as there is something, else nothing after so many seconds (at most
        25). Keep the `cursor` of what comes."""
        query = {"limit": str(limit), "wait": str(seconds), **({} if cursor is None else {"cursor": cursor})}
        return await self._run(Call("GET", "/v1/events", EventBatch.of, query=query, waits=float(seconds)))
