"""Rows of changes: many cards in one transaction, each card's rows in order; what is refused is shown to people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from ecard_card.errors import EcardError, NotAllowed
from ecard_card.status import CardChange
from ecard_issuer.change_order import Reported
from ecard_issuer.intake.desk import Intake, exception_of
from ecard_issuer.intake.event import CardEvent, Outcome
from ecard_issuer.intake.files.importing import Verdict, verdict_of
from ecard_issuer.intake.files.meaning import change_of
from ecard_issuer.intake.files.rows import Row
from ecard_issuer.intake.ports import Bulk, ExceptionStore, RunRow
from ecard_issuer.people import References
from ecard_issuer.rows import ChangeResult

#: Changes that reach further than their own card's row.
_ALONE = frozenset({CardChange.REPLACE, CardChange.CANCEL})


class ChangeRows:
    """Applies the changes of a file as the word of `source`. `wake` is called after what was stored."""

    def __init__(
        self,
        bulk: Bulk,
        exceptions: ExceptionStore,
        intake: Intake,
        references: References,
        clock: Callable[[], datetime],
        source: str,
        *,
        speaks_for: Callable[[str], bool] = lambda region: True,
        wake: Callable[[], None] = lambda: None,
        dry_run: bool = False,
    ) -> None:
        self._bulk, self._exceptions, self._intake, self._references = bulk, exceptions, intake, references
        self._clock, self._source, self._speaks_for = clock, source, speaks_for
        self._wake, self._dry_run = wake, dry_run

    def take(
        self, batch: Sequence[Row], checkpoint: Callable[[Sequence[Verdict]], RunRow]
    ) -> tuple[list[Verdict], bool]:
        """See `importing.TakeBatch`. The checkpoint is never before its rows: they are known by their event ids, so
        that rows which are read twice change nothing."""
        now = self._clock()
        verdicts: list[Verdict] = [Verdict("") for _ in batch]
        events = self._read(batch, verdicts)
        refs = self._resolve(events)
        if self._dry_run:
            known = self._bulk.known_cards(sorted(ref for ref in refs.values() if ref is not None))
            for place in events:
                verdicts[place] = Verdict("readable" if refs[place] in known else "card_unknown")
            return verdicts, False
        alone: set[int] = set()
        waves: list[dict[str, int]] = []
        self._sort(events, refs, waves, alone)
        moved: set[str] = set()
        for wave in waves:
            self._wave(wave, events, verdicts, alone, moved, now)
        for place in sorted(alone):
            receipt = self._intake.take(self._source, events[place], now, speaks_for=self._speaks_for)
            shown = receipt.outcome is Outcome.SHOWN
            verdicts[place] = Verdict(receipt.code if shown else receipt.outcome.value, dead=shown)
        for card_ref in self._exceptions.waiting_among(sorted(moved)):
            self._intake.retry_waiting(card_ref, now)
        self._wake()
        return verdicts, False

    def _read(self, batch: Sequence[Row], verdicts: list[Verdict]) -> dict[int, CardEvent]:
        events: dict[int, CardEvent] = {}
        for place, row in enumerate(batch):
            if row.code:
                verdicts[place] = Verdict(row.code, dead=True)
                continue
            try:
                event = change_of(row.fields, self._source)
                if not all(self._speaks_for(part.region) for part in (event.subject, event.successor) if part):
                    raise NotAllowed("region_not_of_source", "a card of a region that this source may not speak for")
                events[place] = event
            except EcardError as error:
                verdicts[place] = verdict_of(error)
        return events

    def _resolve(self, events: dict[int, CardEvent]) -> dict[int, str | None]:
        """The card of each event; None where its number does not lead to exactly one."""
        references = self._references
        numbers = {
            place: references.card_number(event.subject.number)
            for place, event in events.items()
            if event.subject.number is not None
        }
        numbered = self._bulk.known_numbers(sorted(set(numbers.values()))) if numbers else {}
        refs: dict[int, str | None] = {}
        for place, event in events.items():
            if event.subject.code is not None:
                refs[place] = references.card(event.subject.code)
            else:
                cards = [c for c in numbered.get(numbers[place], ()) if c.region == event.subject.region]
                refs[place] = cards[0].card_ref if len(cards) == 1 else None
        return refs

    def _sort(
        self, events: dict[int, CardEvent], refs: dict[int, str | None], waves: list[dict[str, int]], alone: set[int]
    ) -> None:
        """Into waves with one event for each card, and those that must go by themselves: from a card's first such
        event on all of its later ones."""
        depth: dict[str, int] = {}
        by_itself: set[str] = set()
        for place, event in events.items():
            ref = refs[place]
            if ref is None or ref in by_itself or event.change in _ALONE:
                alone.add(place)
                if ref is not None:
                    by_itself.add(ref)
                continue
            level = depth[ref] = depth.get(ref, -1) + 1
            if level == len(waves):
                waves.append({})
            waves[level][ref] = place

    def _wave(
        self,
        wave: dict[str, int],
        events: dict[int, CardEvent],
        verdicts: list[Verdict],
        alone: set[int],
        moved: set[str],
        now: datetime,
    ) -> None:
        batch: list[tuple[str, Reported]] = []
        places: list[int] = []
        for ref, place in wave.items():
            event = events[place]
            try:
                reported = Reported(event.change, event.event_id, event.occurred_at, self._source, event.sequence)
            except EcardError as error:
                verdicts[place] = self._refused(event, error, now)
                continue
            batch.append((ref, reported))
            places.append(place)
        for (ref, _), place, outcome in zip(batch, places, self._bulk.apply_changes(batch, now), strict=True):
            if outcome is None:
                alone.add(place)
            elif isinstance(outcome, ChangeResult):
                verdicts[place] = Verdict((Outcome.APPLIED if outcome.applied else Outcome.REPEATED).value)
                self._intake.mind_gap(ref, outcome, now)
                moved.add(ref)
            else:
                verdicts[place] = self._refused(events[place], outcome, now)

    def _refused(self, event: CardEvent, error: EcardError, now: datetime) -> Verdict:
        self._intake.show(exception_of(self._source, event, self._references, now), error.code, now)
        return verdict_of(error)
