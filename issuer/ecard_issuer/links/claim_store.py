"""Port `ClaimStore`: identifications, tries at names, claims, statements used up, and how often a channel did what."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from ecard_issuer.links.values import ClaimRow, IdentificationRow


class ClaimStore(Protocol):
    """Any verb raises `Unavailable`. Each is one transaction, and settles races by a key."""

    def add_identification(self, row: IdentificationRow) -> None: ...

    def find_identification(self, identification_id: str) -> IdentificationRow | None: ...

    def take_try(self, person: str, limit: int, term: timedelta, now: datetime) -> bool:
        """Write one try at a person down, durably; False where `limit` were taken since the first of them less than
        `term` ago. `person` is a keyed hash, of a number that nobody may have."""
        ...

    def clear_tries(self, person: str) -> None:
        """Give them back, after a right one."""
        ...

    def count(self, app_id: str, what: str, span: timedelta, now: datetime) -> int:
        """One more in this hour or day (UTC), whichever `span` is; returns how many it are."""
        ...

    def counted(self, app_id: str, what: str, span: timedelta, now: datetime) -> int:
        """How many it are."""
        ...

    def add_claim(self, row: ClaimRow) -> None: ...

    def find_claim(self, claim_id: str) -> ClaimRow | None: ...

    def prove_claim(self, row: ClaimRow) -> ClaimRow:
        """From open to proven, with provider and method; whoever came first is kept, and comes back."""
        ...

    def finish_claim(self, claim_id: str, linked_id: str) -> None:
        """From proven to done."""
        ...

    def use_statement(self, statement: str, claim_id: str, expires_at: datetime) -> bool:
        """Take a statement (its hash) for one claim; False where another claim took it."""
        ...

    def forget(self, now: datetime, limit: int) -> int:
        """Delete identifications, claims, tries and statements that were over a day ago; returns how many."""
        ...
