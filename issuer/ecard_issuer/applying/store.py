"""Port `ApplicationStore`: what applying needs of the register."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ecard_card.acting import Acting
from ecard_card.region import EVERYWHERE
from ecard_issuer.applying.values import (
    AccessRow,
    ApplicationRow,
    ApplicationState,
    CopyMark,
    CopyRow,
    DocumentCopy,
    StepRow,
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of the work list begins: after this application."""

    region: str
    submitted_at: datetime
    application_id: str


@dataclass(frozen=True, slots=True)
class Move:
    """One step of an application, and what it changes besides the state. What is None stays as it is."""

    application_id: str
    origins: Collection[ApplicationState]
    target: ApplicationState
    by: str
    now: datetime
    reason: str | None = None
    sealed_note: bytes | None = None
    acting: Acting | None = None
    card_ref: str | None = None
    outlet: str | None = None


class ApplicationStore(Protocol):
    """Keeps applications."""

    def add(self, row: ApplicationRow) -> ApplicationRow:
        """Store an application as the person's open one, with its first step; the one stored before under the same id,
        if it says the same. `Conflict`: `application_differs`; `application_open` (the person has another open one)."""
        ...

    def find(self, application_id: str) -> ApplicationRow | None: ...

    def move(self, move: Move) -> ApplicationRow:
        """Take a step, and free the person for another application where it closes this one. `Conflict`
        `application_moved`: it is in none of `origins` any more. `NotFound` `application_unknown`."""
        ...

    def steps_of(self, application_id: str) -> tuple[StepRow, ...]:
        """In order."""

    def put_copy(self, row: CopyRow) -> None:
        """Put a copy, in place of one of its kind. `Conflict` `application_moved` once it is approved or closed;
        `NotFound` `application_unknown`."""

    def find_copy(self, application_id: str, kind: DocumentCopy) -> CopyRow | None: ...

    def copies_of(self, application_id: str) -> tuple[CopyMark, ...]:
        """Which copies are there."""

    def note_access(self, row: AccessRow) -> None:
        """That somebody opened an application with its names."""

    def accesses_of(self, application_id: str) -> tuple[AccessRow, ...]:
        """Oldest first; at most 1,000."""

    def of_holder(self, holder_ref: str) -> tuple[ApplicationRow, ...]:
        """Oldest first; at most 1,000."""

    def work(self, state: ApplicationState, region: str, after: Place | None, limit: int) -> tuple[ApplicationRow, ...]:
        """Applications of `region` and all below it in that state: by region, oldest first."""

    def purge(self, before: datetime, limit: int, *, region: str = EVERYWHERE, without: Collection[str] = ()) -> int:
        """Delete at most `limit` applications of `region` and all below it that closed before then, with all that
        belongs to them; none of the regions `without`, nor of those below."""
        ...
