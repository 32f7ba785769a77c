"""Rows of cards: many at once into the register, each person's data sealed under the person's own key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Final

from ecard_card.errors import EcardError, NotAllowed
from ecard_card.status import CardChange, CardStatus
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.intake.files.importing import Verdict, verdict_of
from ecard_issuer.intake.files.meaning import CardRecord, card_of
from ecard_issuer.intake.files.rows import Row
from ecard_issuer.intake.ports import Bulk, RunRow
from ecard_issuer.people import Seal
from ecard_issuer.rows import CardEventRow, CardRow, HolderRow

#: The change that a status is the outcome of, for the event that a row with a sequence already contains.
_LED_TO: Final = MappingProxyType(
    {
        CardStatus.NORMAL: CardChange.ENABLE,
        CardStatus.LOST: CardChange.REPORT_LOSS,
        CardStatus.LOCKED: CardChange.LOCK,
        CardStatus.TEMPORARILY_LOST: CardChange.REPORT_TEMPORARY_LOSS,
        CardStatus.CANCELLED: CardChange.CANCEL,
    }
)


class CardRows:
    """Registers the cards of a file. `speaks_for` says for which regions the file counts."""

    def __init__(
        self,
        bulk: Bulk,
        desk: CardDesk,
        clock: Callable[[], datetime],
        source: str,
        *,
        speaks_for: Callable[[str], bool] = lambda region: True,
        profile: str | None = None,
        dry_run: bool = False,
    ) -> None:
        self._bulk, self._desk, self._clock, self._source = bulk, desk, clock, source
        self._speaks_for, self._profile, self._dry_run = speaks_for, profile, dry_run

    def take(
        self, batch: Sequence[Row], checkpoint: Callable[[Sequence[Verdict]], RunRow]
    ) -> tuple[list[Verdict], bool]:
        """See `importing.TakeBatch`."""
        now = self._clock()
        verdicts: list[Verdict] = [Verdict("") for _ in batch]
        read = self._read(batch, verdicts)
        known = self._bulk.known_cards(list(read))
        for ref in known:
            verdicts[read[ref][0]] = Verdict("card_exists")
        new = [(place, record) for ref, (place, record) in read.items() if ref not in known]
        if self._dry_run:
            for place, _ in new:
                verdicts[place] = Verdict("registered")
            return verdicts, False
        drafts = self._draft([record for _, record in new], now)
        stored = False

        def store(outcomes: Sequence[object]) -> RunRow | None:
            nonlocal stored
            for (place, _), outcome in zip(new, outcomes, strict=True):
                verdicts[place] = Verdict(str(outcome), dead=outcome == "chip_key_taken")
            stored = "holder_exists" not in outcomes
            return checkpoint(verdicts) if stored else None

        while new:
            outcomes = self._bulk.add_cards(drafts, store)
            # Of these, somebody stored the person a moment ago: seal under the key they chose.
            new = [item for item, outcome in zip(new, outcomes, strict=True) if outcome == "holder_exists"]
            drafts = self._draft([record for _, record in new], now)
        return verdicts, stored

    def _read(self, batch: Sequence[Row], verdicts: list[Verdict]) -> dict[str, tuple[int, CardRecord]]:
        """The records by reference, the first of each; what cannot be read has its verdict."""
        read: dict[str, tuple[int, CardRecord]] = {}
        references = self._desk.references
        for place, row in enumerate(batch):
            if row.code:
                verdicts[place] = Verdict(row.code, dead=True)
                continue
            try:
                record = card_of(row.fields, self._profile)
                code = record.card.chip.identification_code
                if not self._speaks_for(code.region):
                    raise NotAllowed("region_not_of_source", "a card of a region that this source may not speak for")
            except EcardError as error:
                verdicts[place] = verdict_of(error)
                continue
            if read.setdefault(references.card(code), (place, record))[0] != place:
                verdicts[place] = Verdict("card_exists")
        return read

    def _draft(
        self, records: Sequence[CardRecord], now: datetime
    ) -> list[tuple[CardRow, HolderRow, CardEventRow | None]]:
        references, people = self._desk.references, self._desk.people
        refs = [references.holder(record.card.holder.id_number) for record in records]
        known = self._bulk.known_holders(sorted(set(refs)))
        opened: dict[str, tuple[HolderRow, Seal]] = {}
        drafts = []
        for ref, record in zip(refs, records, strict=True):
            if ref not in opened:
                held = known.get(ref)
                opened[ref] = (held, people.seal_of(held)) if held else people.draft_and_seal(record.card.holder)
            holder, seal = opened[ref]
            card = self._desk.draft(record.card, record.status, holder, now, seal)
            drafts.append(self._with_base(card, record, holder, now))
        return drafts

    def _with_base(
        self, card: CardRow, record: CardRecord, holder: HolderRow, now: datetime
    ) -> tuple[CardRow, HolderRow, CardEventRow | None]:
        """With the event that the row's status contains, so that an older one of the source undoes nothing."""
        change = _LED_TO.get(record.status)
        if not record.sequence or change is None:
            return card, holder, None
        base = CardEventRow(
            card_ref=card.card_ref,
            sequence=1,
            event_id=f"base:{record.sequence}",
            change=change,
            previous=record.status,
            status=record.status,
            missed=0,
            occurred_at=record.as_of,
            recorded_at=now,
            reason="",
            source=self._source,
            source_sequence=record.sequence,
        )
        return replace(card, sequence=1), holder, base
