"""An opening of payment and settlement for one e-card, and the port that keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Closing(StrEnum):
    """Why it was closed. The values stand in the database."""

    HOLDER = "holder"  # the holder wished it
    RELEASE = "release"  # 解除关联: the e-card was taken out of an app for good


@dataclass(frozen=True, slots=True)
class OpeningRow:
    """`opening` counts those of an e-card from 1. `consent` names the text that the holder agreed to."""

    ecard_id: str
    opening: int
    opened_at: datetime
    opened_by: str  # the caller
    ground: str
    mandate_id: str | None
    consent: str
    closed_at: datetime | None = None
    closed_by: str | None = None
    closing: Closing | None = None


class Openings(Protocol):
    """At most one opening of an e-card is open, by a key of the store. Any verb raises `Unavailable`."""

    def current(self, ecard_id: str) -> OpeningRow | None:
        """The one that is open."""
        ...

    def of_ecard(self, ecard_id: str) -> tuple[OpeningRow, ...]:
        """All of them, oldest first."""
        ...

    def open(
        self, ecard_id: str, *, now: datetime, caller: str, ground: str, mandate_id: str | None, consent: str
    ) -> OpeningRow:
        """The next opening; where one is open already, that one. Of many at once one is stored, and all get it."""
        ...

    def close(self, ecard_id: str, *, now: datetime, caller: str, closing: Closing) -> OpeningRow | None:
        """Close the one that is open; None where none is."""
        ...
