# Made from ecard_sdk/aio by `python -m tests.sdk.make_sync`: change that one.
"""Tickets: what a page shows to open its session."""

from __future__ import annotations

from ecard_sdk.core.call import Call, link_path
from ecard_sdk.links_models import Ticket
from ecard_sdk.sync.run import Run


class Tickets:
    """One for each page that shows `<ecard-code>`: 30 seconds, once."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def create(self, link_id: str, *, origin: str | None = None, idempotency_key: str | None = None) -> Ticket:
        """A ticket for a page of `origin`, one of the app's registered ones; without, for a mini-program. Hand it over
        in the page's content or fragment, never in a query string."""
        return self._run(
            Call(
                "POST",
                link_path(link_id, "tickets"),
                Ticket.of,
                {} if origin is None else {"origin": origin},
                changes=True,
                idempotency_key=idempotency_key,
            )
        )
