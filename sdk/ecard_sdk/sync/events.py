# Made from ecard_sdk/aio by `python -m tests.sdk.make_sync`: change that one.
"""What happened to the app's links: read in order, or waited for. Webhooks say the same."""

from __future__ import annotations

from ecard_sdk.core.call import Call
from ecard_sdk.events_models import ChannelEvent, EventBatch
from ecard_sdk.sync.pages import Pages
from ecard_sdk.sync.run import Run


class Events:
    """The app's own log, and no other's. `NotFoundError` `events_gone` where those after a cursor are no longer kept:
    ask for the state of the links and begin without one."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def list(self, *, cursor: str | None = None, limit: int = 50) -> Pages[ChannelEvent]:
        """All there are now, in order, after `cursor`; from the oldest that is kept without one."""
        query = {"limit": str(limit), **({} if cursor is None else {"cursor": cursor})}
        return Pages(self._run, "/v1/events", ChannelEvent, query)

    def wait(self, cursor: str | None = None, *, seconds: int = 25, limit: int = 50) -> EventBatch:
        """What comes next after `cursor`, as soon as there is something, else nothing after so many seconds (at most
        25). Keep the `cursor` of what comes."""
        query = {"limit": str(limit), "wait": str(seconds), **({} if cursor is None else {"cursor": cursor})}
        return self._run(Call("GET", "/v1/events", EventBatch.of, query=query, waits=float(seconds)))
