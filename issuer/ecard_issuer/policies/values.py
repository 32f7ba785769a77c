"""A region's policy as it was set, and port `PolicyLog`: where they are kept, in the order in which they were set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from ecard_card.status import CardStatus
from ecard_issuer.rows import Grant

#: How long before it takes effect a policy must have been set: every process has read it by then.
LEAD: Final = timedelta(minutes=1)
#: The furthest ahead that a policy may be set.
LONGEST_AHEAD: Final = timedelta(days=3660)


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """One policy of one region, as it was set. `number` counts all that were ever set here, from 1, without a gap."""

    number: int
    region: str
    effective_from: datetime
    document: str = field(repr=False)  # the TOML as given
    digest: str  # hex SHA-256 of the document
    set_by: str
    set_at: datetime


class PolicyLog(Protocol):
    """Appended to, never changed. Of two policies of a region for one moment the later one holds."""

    def after(self, number: int) -> tuple[PolicyRow, ...]:
        """All that were set since number `number`, in order."""
        ...

    def of_region(self, region: str) -> tuple[PolicyRow, ...]:
        """All that were ever set for exactly this region, in the order in which they were set."""
        ...

    def append(self, row: PolicyRow, *, grant: Grant | None = None) -> PolicyRow:
        """Store `row` under the next number, which is returned with it, and use the approval up, in one transaction.

        `RuleViolation` `approval_not_usable`."""
        ...

    def cards_in(self, region: str) -> Mapping[tuple[str, CardStatus], int]:
        """How many cards there are in the region and below it, by their own region and status. Reads all of them."""
        ...
