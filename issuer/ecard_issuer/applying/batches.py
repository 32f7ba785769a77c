"""Applications in batches, by employers, communities and schools: each person's consent recorded, an outcome per row.

A batch is sent in pieces. The agency chooses its id and numbers its rows, so any piece may be sent again after a cut:
rows that are known answer as before, and nothing is made twice.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from ecard_card.acting import Act, Acting, Channel, Ground
from ecard_card.age import is_under
from ecard_card.errors import Conflict, InvalidInput, RuleViolation
from ecard_card.identity_document import number_of
from ecard_issuer.applying.desk import Applying, Draft
from ecard_issuer.applying.values import ApplicationRow, NewApplication
from ecard_issuer.card_effect import PolicyOf
from ecard_issuer.mandates.desk import Mandates, proof_context, proof_json
from ecard_issuer.mandates.values import MAX_EVIDENCE, AgentRelation, MandateCause, MandateRow, Proof
from ecard_issuer.people import People
from ecard_issuer.rows import HolderRow

#: Rows in one piece; a piece fits into the bound of a request's body.
MOST_ROWS: Final = 200
MAX_ROW: Final = 10_000_000
#: How long a consent to an agency's application holds. The record must say an end.
CONSENT_LIFE: Final = timedelta(days=365)
ACCEPTED: Final = "accepted"


@dataclass(frozen=True, slots=True)
class AgencyRow:
    """One person of a batch. `wish.acting` is a placeholder: the consent becomes the mandate."""

    number: int
    wish: NewApplication = field(repr=False)
    consent: Proof = field(repr=False)
    may_collect: bool = False


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What became of a row: `accepted`, or the code of what refused it."""

    row: int
    outcome: str
    application_id: str | None = None
    mandate_id: str | None = None


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """A row's outcome as kept."""

    batch_ref: str
    row: int
    content_mac: str = field(repr=False)
    outcome: str
    application_id: str | None
    mandate_id: str | None
    recorded_at: datetime

    def told(self) -> RowOutcome:
        return RowOutcome(self.row, self.outcome, self.application_id, self.mandate_id)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A row that may be stored."""

    number: int
    content_mac: str = field(repr=False)
    application: ApplicationRow
    mandate: MandateRow


class BatchStore(Protocol):
    """Keeps batches."""

    def known(self, batch_ref: str, rows: Collection[int]) -> dict[int, OutcomeRow]:
        """Those of `rows` that have an outcome."""
        ...

    def known_people(self, holder_refs: Collection[str]) -> set[str]:
        """Those of whom the register knows anything."""
        ...

    def enter(self, people: Sequence[HolderRow]) -> tuple[HolderRow, ...]:
        """Store people, and return them as stored: under the data key of whoever came first."""
        ...

    def record(
        self, batch_ref: str, accepted: Sequence[Accepted], refused: Sequence[OutcomeRow], now: datetime
    ) -> tuple[OutcomeRow, ...]:
        """Store, in one transaction, consents and applications, and the outcome of each row; a row that got one
        meanwhile keeps it. A person with another open application is `application_open`."""
        ...

    def outcomes(self, batch_ref: str, after: int, limit: int) -> tuple[OutcomeRow, ...]:
        """By number, from the one after `after`."""

    def counts(self, batch_ref: str) -> dict[str, int]:
        """How many rows have which outcome."""
        ...


@dataclass(frozen=True, slots=True)
class _Prepared:
    row: AgencyRow
    content_mac: str = field(repr=False)
    mandate_id: str
    draft: Draft


class AgencyBatches:
    """Takes the pieces of batches."""

    def __init__(
        self,
        store: BatchStore,
        people: People,
        applying: Applying,
        mandates: Mandates,
        policy_of: PolicyOf,
    ) -> None:
        self._store = store
        self._people = people
        self._applying = applying
        self._mandates = mandates
        self._policy_of = policy_of

    def submit(self, batch_id: str, rows: Sequence[AgencyRow], agency: str, now: datetime) -> tuple[RowOutcome, ...]:
        """Take a piece; one outcome for each of its rows, in their order.

        Raises `InvalidInput` `bad_batch` for no rows, too many, or a number given twice. What is wrong with one row is
        that row's outcome."""
        numbers = [row.number for row in rows]
        if not 1 <= len(rows) <= MOST_ROWS or len(set(numbers)) != len(rows):
            raise InvalidInput("bad_batch", f"want 1 to {MOST_ROWS} rows, each with a number of its own")
        batch_ref = self.ref(batch_id, agency)
        known = self._store.known(batch_ref, numbers)
        met = self._met(rows)
        told: dict[int, RowOutcome] = {}
        prepared: list[_Prepared] = []
        refused: list[OutcomeRow] = []
        for row in rows:
            content_mac = self._people.references.content(_content(row))
            before = known.get(row.number)
            if before is not None:
                same = before.content_mac == content_mac
                told[row.number] = before.told() if same else RowOutcome(row.number, "batch_row_differs")
                continue
            try:
                prepared.append(self._prepare(batch_id, row, content_mac, agency, met, now))
            except (InvalidInput, RuleViolation, Conflict) as error:
                refused.append(OutcomeRow(batch_ref, row.number, content_mac, error.code, None, None, now))
        accepted = self._seal(prepared, agency, now)
        for outcome in self._store.record(batch_ref, accepted, refused, now):
            told[outcome.row] = outcome.told()
        return tuple(told[number] for number in numbers)

    def ref(self, batch_id: str, agency: str) -> str:
        """Under what a batch is kept: two agencies' ids do not meet."""
        return self._people.references.request("batch", agency, batch_id)

    def outcomes(self, batch_id: str, agency: str, after: int, limit: int) -> tuple[RowOutcome, ...]:
        """A page of outcomes, from the row after `after`; an unknown batch has none."""
        return tuple(row.told() for row in self._store.outcomes(self.ref(batch_id, agency), after, limit))

    def counts(self, batch_id: str, agency: str) -> dict[str, int]:
        """How many rows have which outcome."""
        return self._store.counts(self.ref(batch_id, agency))

    def _met(self, rows: Sequence[AgencyRow]) -> set[str]:
        """Of whom the register knows something: nobody else needs to be looked up, row by row."""
        numbers = []
        for row in rows:
            with suppress(InvalidInput):
                numbers.append(number_of(row.wish.document, row.wish.id_number))
        return self._store.known_people({self._people.references.holder(number) for number in numbers})

    def _prepare(
        self,
        batch_id: str,
        row: AgencyRow,
        content_mac: str,
        agency: str,
        met: set[str],
        now: datetime,
    ) -> _Prepared:
        proof = row.consent
        if not 1 <= len(proof.reference.strip()) <= MAX_EVIDENCE:
            raise InvalidInput("consent_missing", "name the paper or record of the consent")
        if not now - CONSENT_LIFE < proof.given_at <= now:
            raise RuleViolation("consent_too_old", "given in the future, or more than a year ago")
        mandate_id = self._people.references.request("consent", agency, f"{batch_id}/{row.number}")
        wish = replace(row.wish, acting=Acting(Ground.AGENCY, mandate_id), channel=Channel.WEBSITE)
        draft = self._applying.draft(f"{batch_id}/{row.number}", wish, agency, now)
        known = draft.row.holder_ref in met
        if known:
            self._applying.require_possible(draft, wish)
        born = draft.details.holder.birth_date
        guarded = (born is not None and is_under(born, self._policy_of(wish.region, now).family.of_age, now)) or (
            known and self._mandates.incapable(draft.row.holder_ref, now)
        )
        if guarded and proof.given_by != "guardian":
            raise RuleViolation("guardian_needed", "a guardian consents for this person")
        return _Prepared(row, content_mac, mandate_id, draft)

    def _seal(self, prepared: Sequence[_Prepared], agency: str, now: datetime) -> list[Accepted]:
        people = [self._people.draft(item.draft.details.holder) for item in prepared]
        stored = self._store.enter(people)
        return [
            Accepted(
                number=item.row.number,
                content_mac=item.content_mac,
                application=self._applying.sealed(item.draft, person),
                mandate=self._consent(item, person, agency, now),
            )
            for item, person in zip(prepared, stored, strict=True)
        ]

    def _consent(self, item: _Prepared, person: HolderRow, agency: str, now: datetime) -> MandateRow:
        acts = {Act.APPLY, Act.COLLECT} if item.row.may_collect else {Act.APPLY}
        proof = item.row.consent
        return MandateRow(
            mandate_id=item.mandate_id,
            holder_ref=person.holder_ref,
            agent_ref=None,
            agency=agency,
            ground=Ground.AGENCY,
            cause=MandateCause.CONSENT,
            relation=AgentRelation.ORGANISATION,
            acts=tuple(sorted(acts)),
            starts_at=proof.given_at,
            closes_at=proof.given_at + CONSENT_LIFE,
            sealed=self._people.seal_of(person).seal(proof_json(proof), proof_context(item.mandate_id)),
            content_mac=item.content_mac,
            checked_by=agency,
            created_at=now,
        )


def _content(row: AgencyRow) -> bytes:
    """All that a row says, in one order."""
    wish = row.wish
    said = [
        wish.document.kind,
        wish.document.number,
        wish.document.country,
        wish.id_number.text if wish.id_number else None,
        wish.name,
        wish.born.isoformat() if wish.born else None,
        wish.region,
        wish.residency,
        wish.entitlement,
        wish.household_register,
        wish.phone,
        proof_json(row.consent).decode(),
        row.may_collect,
    ]
    return json.dumps(said, ensure_ascii=False).encode()
