"""Status lists as a publisher reads them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ecard_card.status import EcardStatus
from ecard_issuer.states import ListState


@dataclass(frozen=True, slots=True)
class StatusListRow:
    list_id: int
    size: int
    state: ListState
    version: int  # rises with every changed value
    created_at: datetime
    ends_at: datetime | None = None  # by then every credential on it has expired; known once it is full

    def ended(self, now: datetime) -> bool:
        """Whether nobody needs it any more."""
        return self.ends_at is not None and self.ends_at <= now


@dataclass(frozen=True, slots=True)
class StatusSnapshot:
    """A list with its non-zero entries; the values are at least as new as `version`."""

    list_id: int
    size: int
    version: int
    entries: tuple[tuple[int, EcardStatus], ...]
