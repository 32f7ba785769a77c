"""What the intake needs of the store. Each verb is one transaction; all may raise `Unavailable`.

`tests/contracts/intake_contract.py` holds every adapter to this page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from ecard_card.errors import EcardError
from ecard_card.status import CardChange
from ecard_issuer.change_order import Reported
from ecard_issuer.intake.states import ExceptionState
from ecard_issuer.rows import CardEventRow, CardRow, ChangeResult, Grant, HolderRow

if TYPE_CHECKING:
    from ecard_issuer.intake.sources import SourceRow


@dataclass(frozen=True, slots=True)
class ExceptionRow:
    """Something from a source that a person must see. Cards and numbers stand by their keyed references only."""

    exception_ref: str
    source: str
    code: str
    event_id: str
    first_seen: datetime
    last_seen: datetime
    card_ref: str | None = None
    number_mac: str | None = None
    region: str | None = None
    change: CardChange | None = None
    sequence: int | None = None
    successor_ref: str | None = None
    successor_mac: str | None = None
    occurred_at: datetime | None = None
    count: int = 1
    state: ExceptionState = ExceptionState.OPEN
    next_try_at: datetime | None = None  # None: only a person can help
    tries: int = 0
    decided_by: str | None = None
    decided_at: datetime | None = None
    decision: str = ""


@dataclass(frozen=True, slots=True)
class GapRow:
    """Numbers `first` to `last` of a source's sequence for a card that were never seen."""

    card_ref: str
    source: str
    first: int
    last: int
    noticed_at: datetime
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunRow:
    """How far a file was read."""

    run_id: str
    kind: str
    source: str
    offset: int
    rows: int
    prefix_digest: str
    counts: Mapping[str, int]
    finished: bool
    started_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ReconciliationRow:
    """One comparison of the register with a snapshot; the report itself is a file, known by its digest."""

    report_digest: str
    region: str
    compared: int
    counts: Mapping[str, int]
    made_at: datetime
    repaired_at: datetime | None = None
    repaired_by: str | None = None
    repairs: Mapping[str, int] = field(default_factory=dict)


class SourceStore(Protocol):
    def put_source(self, row: SourceRow, now: datetime, *, grant: Grant | None) -> None:
        """Register or replace; uses `grant` up. `RuleViolation` `approval_not_usable`."""

    def get_source(self, name: str) -> SourceRow:
        """`NotFound` `source_unknown`, also for one that was ended."""

    def list_sources(self) -> tuple[SourceRow, ...]:
        """Those that were not ended, by name."""

    def end_source(self, name: str, now: datetime) -> None:
        """`NotFound` `source_unknown`."""


class ExceptionStore(Protocol):
    def note(self, row: ExceptionRow) -> None:
        """Keep it; of one that is known the count rises and `last_seen` moves. What was dismissed stays dismissed;
        what was resolved opens again."""

    def get_exception(self, exception_ref: str) -> ExceptionRow:
        """`NotFound` `exception_unknown`."""

    def open_exceptions(self, after: tuple[datetime, str] | None = None, limit: int = 200) -> tuple[ExceptionRow, ...]:
        """Oldest first, from behind `after` (first_seen and reference)."""

    def waiting_for(self, card_ref: str, number_mac: str, limit: int = 1000) -> tuple[ExceptionRow, ...]:
        """Open ones about a card or its predecessor, by reference or number, in order of source and sequence."""

    def waiting_among(self, card_refs: Sequence[str]) -> frozenset[str]:
        """Those of the cards that something open waits for."""

    def due_exceptions(self, now: datetime, limit: int) -> tuple[ExceptionRow, ...]:
        """Open ones whose next try has come."""

    def tried(self, exception_ref: str, code: str, next_try_at: datetime | None) -> None:
        """A try did not help: one more, with the code it now has."""

    def settle(self, exception_ref: str, state: ExceptionState, by: str, now: datetime, decision: str) -> ExceptionRow:
        """Close an open one. `NotFound` `exception_unknown`; `Conflict` `exception_settled`."""

    def counts(self) -> Mapping[str, int]:
        """How many are open, by code."""


class GapStore(Protocol):
    def open_gap(self, gap: GapRow) -> None:
        """Note it once: a gap that begins with the same number is known already, also when it was closed."""

    def close_gap(self, card_ref: str, source: str, sequence: int, now: datetime) -> None:
        """This number came after all; where it lay in the middle, two gaps are left."""

    def gaps(self, source: str | None = None, limit: int = 200) -> tuple[GapRow, ...]:
        """Open ones, oldest first."""


class Runs(Protocol):
    def runs_of(self, kind: str, source: str) -> tuple[RunRow, ...]: ...

    def save_run(self, run: RunRow) -> None: ...


#: Says from the outcomes of a batch how far the file is read, to be stored with them; None: nothing is stored yet.
CheckpointOf = Callable[[Sequence[object]], RunRow | None]


class Bulk(Protocol):
    """Many rows of a file in one transaction, with the file's checkpoint."""

    def known_cards(self, card_refs: Sequence[str]) -> Mapping[str, CardRow]: ...

    def all_cards(self) -> Iterator[CardRow]:
        """Every card, in the order of references, in pages: what changes meanwhile is seen or not."""

    def known_holders(self, holder_refs: Sequence[str]) -> Mapping[str, HolderRow]: ...

    def known_numbers(self, number_macs: Sequence[str]) -> Mapping[str, tuple[CardRow, ...]]: ...

    def add_cards(
        self,
        batch: Sequence[tuple[CardRow, HolderRow, CardEventRow | None]],
        checkpoint: CheckpointOf = lambda outcomes: None,
    ) -> tuple[str, ...]:
        """Register those that are new, each with the event that its status already contains (an echo of its source).

        For each, in order: `registered`, or `card_exists`, `chip_key_taken`, `holder_exists` (stored meanwhile under
        another data key: seal again), as `Cards.add_card` means them."""

    def apply_changes(
        self,
        batch: Sequence[tuple[str, Reported]],
        now: datetime,
        checkpoint: CheckpointOf = lambda outcomes: None,
    ) -> tuple[ChangeResult | EcardError | None, ...]:
        """Apply one change to each of several cards, as `Changes.apply_change` does, each refusal in its place.

        None: that card is unknown, or has an e-card, whose lists its change must reach: change it by itself."""


class ReconciliationStore(Protocol):
    def save_reconciliation(self, row: ReconciliationRow) -> None:
        """Keep it; the same report again changes nothing."""

    def get_reconciliation(self, report_digest: str) -> ReconciliationRow:
        """`NotFound` `report_unknown`."""

    def reconciliations(self, limit: int = 100) -> tuple[ReconciliationRow, ...]:
        """Newest first."""

    def begin_repair(self, report_digest: str, by: str, now: datetime, *, grant: Grant | None) -> bool:
        """Uses `grant` up; False where the repair was begun before. `RuleViolation` `approval_not_usable`."""

    def count_repairs(self, report_digest: str, repairs: Mapping[str, int]) -> None: ...


class IntakeStore(SourceStore, ExceptionStore, GapStore, Runs, Bulk, ReconciliationStore, Protocol):
    """All of it."""
