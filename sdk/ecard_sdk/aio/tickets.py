"""Tickets: what a page shows to open its session."""

from __future__ import annotations

from ecard_sdk.aio.run import AsyncRun
from ecard_sdk.core.call import Call, link_path
from ecard_sdk.links_models import Ticket


class AsyncTickets:
    """One for each page that shows `<ecard-code>`: 30 seconds, once."""

    def __init__(self, run: AsyncRun) -> None:
        self._run = run

    async def create(self, link_id: str, *, origin: str | None = None, idempotency_key: str | None = None) -> Ticket:
        """A ticket for a page of `origin`, one of the app's registered ones; without, for a mini-program. Hand it over
        in the page's content or fragment, never in a query string."""
        return await self._run(
            Call(
                "POST",
                link_path(link_id, "tickets"),
                Ticket.of,
                {} if origin is None else {"origin": origin},
                changes=True,
                idempotency_key=idempotency_key,
            )
        )
