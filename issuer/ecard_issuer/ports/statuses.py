"""Port `Statuses`: what a publisher of status lists reads."""

from __future__ import annotations

from typing import Protocol

from ecard_card.status import EcardStatus
from ecard_issuer.rows import StatusListRow, StatusSnapshot


class Statuses(Protocol):
    def status_lists(self, after: int = -1, limit: int = 1000) -> tuple[StatusListRow, ...]:
        """Lists in order of their id, those above `after`; compare `version` with what was last published."""

    def status_snapshot(self, list_id: int) -> StatusSnapshot:
        """`NotFound` `status_list_unknown`."""

    def status_value(self, list_id: int, index: int) -> EcardStatus | None:
        """What one entry says now; None where it was never given out."""
