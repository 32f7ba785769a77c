"""Port `SessionStore`: tickets and sessions, one row each."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from ecard_issuer.tickets.values import Ending, ShowSession


class SessionStore(Protocol):
    """Every verb raises `Unavailable` where the store does not answer. Each is one transaction."""

    def add(self, session: ShowSession) -> None:
        """Store a ticket's row, before anybody has the ticket."""
        ...

    def find(self, session_id: str) -> ShowSession | None:
        """As it is now."""
        ...

    def open(self, session_id: str, token_hash: str, now: datetime, until: datetime) -> bool:
        """Open it; of however many at once one is told True. False too where it has ended."""
        ...

    def end(self, session_id: str, ending: Ending, now: datetime) -> None:
        """End it, opened or not. What has ended stays as it was."""
        ...

    def shows(self, session_id: str, status_uri: str, status_index: int) -> None:
        """Remember which credential it shows."""
        ...

    def forget(self, before: datetime, limit: int) -> int:
        """Delete at most `limit` that were made before that time; says how many."""
        ...
