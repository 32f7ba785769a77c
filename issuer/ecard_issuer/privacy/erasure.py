"""Erasing a person: their data key is destroyed and with it everything sealed under it, for good.

What was proven about cards stays: card, events, status entries, feed. It hangs on a tombstone, a random reference to
which no number and no name leads, so whoever comes back later begins anew. An erasure takes two people, a ground and
a paper, and no live card and no open business.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ecard_card.card import IdNumber
from ecard_card.errors import Conflict, EcardError, NotFound, RuleViolation
from ecard_issuer.approvals import Approvals, Change
from ecard_issuer.people import People
from ecard_issuer.ports import Cards
from ecard_issuer.privacy.values import (
    ErasedPerson,
    ErasureGround,
    ErasureRow,
    Erasures,
    OpenBusiness,
    key_mark,
)
from ecard_issuer.rows import HolderRow


@dataclass(frozen=True, slots=True)
class ErasureResult:
    """What was done. `applied` is False where this erasure was done before; `scrubbed` where the engine may still keep
    what it deleted: run `ecard privacy scrub` later."""

    row: ErasureRow
    applied: bool
    scrubbed: bool


@dataclass(frozen=True, slots=True)
class Repeated:
    """What came of a list of erased people. `waiting`: they have live cards or open business in this register."""

    erased: int
    absent: int
    waiting: int


class Erasing:
    """The use case. `business` are the rooms that are asked whether something is not finished."""

    def __init__(
        self,
        store: Erasures,
        register: Cards,
        people: People,
        approvals: Approvals,
        business: Sequence[OpenBusiness] = (),
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._register = register
        self._people = people
        self._approvals = approvals
        self._business = tuple(business)
        self._random = random

    def erase(
        self, erasure_id: str, id_number: IdNumber, ground: ErasureGround, proof: str, actor: str, now: datetime
    ) -> ErasureResult:
        """Erase the person with this number. The same `erasure_id` again, once they are gone, changes nothing.

        Raises `NotFound` `person_unknown`; `RuleViolation` `erasure_card_live`, `erasure_business_open` (its detail
        says which); `Conflict` `erasure_id_taken`; `InvalidInput` `bad_proof_reference`; `ApprovalNeeded`.
        """
        row = ErasureRow(erasure_id, ground, proof, actor, now)
        holder = self._people.find(id_number)
        before = self._store.find(erasure_id)
        if before is not None:
            if holder is not None:
                raise Conflict("erasure_id_taken", "an erasure of this id was done, and this person is here")
            return ErasureResult(before, applied=False, scrubbed=self._store.scrub())
        if holder is None:
            raise NotFound("person_unknown", "nobody of this number is in the register")
        self._require_finished(holder.holder_ref, now)
        facts = {
            "person": self._people.references.pairwise(f"erasure {erasure_id}", holder.holder_ref),
            "ground": ground.value,
            "proof": proof,
        }
        grant = self._approvals.require(Change("person.erase", erasure_id, facts), actor, now)
        self._store.erase(holder, self._random(16).hex(), row, grant=grant)
        return ErasureResult(row, applied=True, scrubbed=self._store.scrub())

    def repeat(self, people: Iterable[ErasedPerson], actor: str, now: datetime) -> Repeated:
        """Erase again whom an old backup brought back. Somebody who came anew after their erasure has another data key
        and is left alone. May be run again, when those who wait have no live card any more."""
        erased = absent = waiting = 0
        for person in people:
            holder = self._register.find_holder(person.former_ref)
            if holder is None or key_mark(holder.wrapped_data_key) != person.key_mark:
                absent += 1
            elif self._repeat(holder, person, actor, now):
                erased += 1
            else:
                waiting += 1
        self._store.scrub()
        return Repeated(erased, absent, waiting)

    def _repeat(self, holder: HolderRow, person: ErasedPerson, actor: str, now: datetime) -> bool:
        name = hashlib.sha256(f"{person.former_ref}\n{person.key_mark}".encode()).hexdigest()[:32]
        row = ErasureRow(f"repeated-{name}", ErasureGround.REPEATED, "the list of erased people", actor, now)
        try:
            self._require_finished(holder.holder_ref, now)
            self._store.erase(holder, self._random(16).hex(), row)
        except EcardError as error:
            if error.code not in ("erasure_card_live", "erasure_business_open"):
                raise
            return False
        return True

    def _require_finished(self, holder_ref: str, now: datetime) -> None:
        match self._store.hindrance(holder_ref):
            case "cards":
                raise RuleViolation("erasure_card_live", "a card of this person is not cancelled")
            case str(what):
                raise RuleViolation("erasure_business_open", what)
        for room in self._business:
            unfinished = room.open_business(holder_ref, now)
            if unfinished is not None:
                raise RuleViolation("erasure_business_open", unfinished)
