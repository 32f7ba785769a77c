"""Comparing the register with a snapshot, and repairing what differs once another person has agreed to the report."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from ecard_card.errors import EcardError, InvalidInput, NotFound
from ecard_card.region import EVERYWHERE, is_region
from ecard_card.status import ALLOWED_CHANGES, CardChange, CardStatus
from ecard_issuer.approvals import Approvals, Change
from ecard_issuer.intake.files.layout import FileKind, layout_of
from ecard_issuer.intake.files.meaning import card_of
from ecard_issuer.intake.files.rows import Row, rows
from ecard_issuer.intake.ports import ReconciliationRow, ReconciliationStore
from ecard_issuer.intake.reconciling.compare import Difference, Kind, Tally, differences
from ecard_issuer.intake.reconciling.report import ReportWriter, digest_of, status_differences, taken_at
from ecard_issuer.intake.reconciling.snapshot import Snapshot
from ecard_issuer.lifecycle import LifeCycle
from ecard_issuer.people import References
from ecard_issuer.ports import Cards
from ecard_issuer.rows import CardRow

#: The source that repairs are recorded under.
SOURCE: Final = "reconciliation"


class Reconciliation:
    """`all_cards` streams the register in the order of references."""

    def __init__(
        self,
        cards: Cards,
        all_cards: Callable[[], Iterator[CardRow]],
        store: ReconciliationStore,
        lifecycle: LifeCycle,
        approvals: Approvals,
        references: References,
    ) -> None:
        self._cards, self._all_cards, self._store = cards, all_cards, store
        self._lifecycle, self._approvals, self._references = lifecycle, approvals, references

    def compare(
        self,
        snapshot: Path,
        report: Path,
        workplace: Path,
        now: datetime,
        *,
        as_of: datetime,
        region: str = EVERYWHERE,
        encoding: str | None = None,
        complete: bool = False,
        progress: Callable[[int, int, int], None] = lambda row, offset, size: None,
    ) -> ReconciliationRow:
        """Write every difference to `report`. `as_of` is when the snapshot was taken, which it does not say itself; of
        what happened to a card after that it knows nothing. `workplace` is a private folder with room for the
        snapshot.

        Raises `InvalidInput`: `bad_snapshot_time` (without a zone, or ahead of our clock), `bad_region`,
        `snapshot_cut` (the file ends inside of a row: whatever it lacks would look like a difference),
        `file_unreadable`, and as `layout_of`.
        """
        if not is_region(region):
            raise InvalidInput("bad_region", "a region is six digits")
        if as_of.tzinfo is None or as_of > now:
            raise InvalidInput("bad_snapshot_time", "want a time with its zone that is past")
        tally = Tally()
        taken = as_of.astimezone(UTC).isoformat()
        head = {"region": region, "snapshot": digest_of(snapshot), "as_of": taken, "made_at": now.isoformat()}
        with Snapshot(workplace, self._references) as there, ReportWriter(report, head) as writer:
            for unreadable in _fill(there, snapshot, encoding, complete, progress):
                writer.add(unreadable)
            for difference in differences(self._all_cards(), there.sorted(), region, tally):
                writer.add(difference)
            digest = writer.finish(tally.compared)
        row = ReconciliationRow(digest, region, tally.compared, dict(sorted(writer.counts.items())), now)
        self._store.save_reconciliation(row)
        return row

    def repair(self, report: Path, actor: str, now: datetime, *, approved: str | None = None) -> ReconciliationRow:
        """Bring the statuses of the report's cards to what the snapshot says, each as an event of its own, dated when
        the snapshot was taken: it undoes nothing that is newer.

        Only what this report says, only under an approval for this very report, and only for cards to which nothing
        has happened since. It may be called again after a crash. What is missing on either side, and expiry or holder
        that differ, are for people: no change of a card says such a thing. Raises `NotFound` `report_unknown`;
        `ApprovalNeeded` `approval_needed`; `InvalidInput` `bad_report` where `approved` names another request.
        """
        digest = digest_of(report)
        row = self._store.get_reconciliation(digest)
        if row.repaired_at is None:
            facts = {"region": row.region, "compared": row.compared, "counts": dict(row.counts)}
            grant = self._approvals.require(Change("reconciliation.repair", digest, facts), actor, now)
            if grant is not None and approved not in (None, grant.request_id):
                raise InvalidInput("bad_report", "the request is for another report")
            self._store.begin_repair(digest, actor, now, grant=grant)
        done: Counter[str] = Counter()
        as_of = taken_at(report)
        for card_ref, here, there, sequence in status_differences(report):
            path = way(CardStatus(here), CardStatus(there))
            done[self._repair_one(digest, card_ref, path, sequence, as_of, now)] += 1
        self._store.count_repairs(digest, done)
        return self._store.get_reconciliation(digest)

    def _repair_one(
        self,
        digest: str,
        card_ref: str,
        path: tuple[CardChange, ...] | None,
        sequence: int,
        as_of: datetime,
        now: datetime,
    ) -> str:
        """What was done: `repaired`, `moved_since`, `not_possible`, or the code of a refusal."""
        if path is None:
            return "not_possible"
        try:
            since = [event for event in self._cards.events_of(card_ref) if event.sequence > sequence]
            ours = [self._event_id(digest, card_ref, step) for step in range(len(path))]
            if [event.event_id for event in since] != ours[: len(since)]:
                return "moved_since"
            for step, change in enumerate(path):
                self._lifecycle.change(
                    card_ref,
                    change,
                    now,
                    source=SOURCE,
                    event_id=ours[step],
                    occurred_at=as_of,
                    reason=f"reconciliation {digest[:16]}",
                )
        except NotFound:
            return "card_unknown"
        except EcardError as error:
            if error.retryable:
                raise
            return error.code
        return "repaired"

    def _event_id(self, digest: str, card_ref: str, step: int) -> str:
        return hashlib.sha256(f"{digest}\n{card_ref}\n{step}".encode()).hexdigest()[:32]


@lru_cache(maxsize=64)
def way(here: CardStatus, there: CardStatus) -> tuple[CardChange, ...] | None:
    """The fewest changes that lead from one status to the other; None where none do."""
    ways: dict[CardStatus, tuple[CardChange, ...]] = {here: ()}
    waiting = deque([here])
    while waiting:
        status = waiting.popleft()
        for change, (origins, target) in ALLOWED_CHANGES.items():
            if change is not CardChange.REPLACE and status in origins and target not in ways:
                ways[target] = (*ways[status], change)
                waiting.append(target)
    return ways.get(there)


def _fill(
    there: Snapshot,
    path: Path,
    encoding: str | None,
    complete: bool,
    progress: Callable[[int, int, int], None],
) -> Iterator[Difference]:
    """Read the snapshot in; what of it cannot be read."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            layout = layout_of(file, FileKind.CARDS, encoding)
            for row in rows(file, layout, complete=complete):
                if row.cut:
                    raise InvalidInput("snapshot_cut", "the file ends inside of a row")
                if (code := _add(there, row)) is not None:
                    yield Difference(Kind.UNREADABLE, there=code, row=row.number)
                if row.number % 1000 == 0 or row.end >= size:
                    progress(row.number, row.end, size)
    except OSError:
        raise InvalidInput("file_unreadable", "the snapshot cannot be read") from None


def _add(there: Snapshot, row: Row) -> str | None:
    if row.code:
        return row.code
    try:
        there.add(card_of(row.fields, "-"), row.number)
    except EcardError as error:
        return error.code
    return None
