"""The mandates of the register: granted with proof, asked before each step of a business, ended for good.

`Mandates` is the register's `ActingRules`. A mandate is judged anew at every step, so one that ends or is revoked in
the middle of a business refuses the next step by itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date, datetime

from ecard_card.acting import Act, Acting
from ecard_card.age import is_under, require_born
from ecard_card.card import Holder
from ecard_card.china import china_date
from ecard_card.errors import Conflict, InvalidInput, NotFound, RuleViolation
from ecard_card.life import LifeStatus
from ecard_card.region_policy import ANY_REGION
from ecard_issuer.card_effect import PolicyOf
from ecard_issuer.documents import require_copy
from ecard_issuer.mandates.rules import ALONE, require_grantable, require_live
from ecard_issuer.mandates.values import (
    Form,
    LifeRow,
    LifeStore,
    MandateCause,
    MandateDocumentRow,
    MandateRow,
    MandateStore,
    NewMandate,
    Proof,
)
from ecard_issuer.people import People
from ecard_issuer.rows import HolderRow


@dataclass(frozen=True, slots=True)
class OpenedMandate:
    """A mandate with the people and the proof in it, opened for one use."""

    row: MandateRow
    holder: Holder = field(repr=False)
    agent: Holder | None = field(repr=False)
    proof: Proof = field(repr=False)
    document: tuple[str, int] | None  # media type and bytes


class Lives:
    """What is known of people's lives. Nothing recorded means alive."""

    def __init__(self, store: LifeStore, people: People) -> None:
        self._store = store
        self._people = people

    def of(self, holder_ref: str) -> LifeStatus:
        row = self._store.find_life(holder_ref)
        return LifeStatus.NORMAL if row is None else row.life

    def record(self, holder: HolderRow, life: LifeStatus, since: date, by: str, now: datetime) -> LifeRow:
        """What `by` says of the person; it replaces what was said before, so that an error can be put right.

        Raises `InvalidInput` `life_bad_date` for a day to come, or before the birth."""
        born = self._people.person(holder).birth_date
        if since > china_date(now) or (born is not None and since < born):
            raise InvalidInput("life_bad_date", "the day is to come, or before the birth")
        return self._store.record_life(LifeRow(holder.holder_ref, life, since, by, now))


class Mandates:
    """Grants and ends mandates, and says who may act (`ActingRules`)."""

    def __init__(self, store: MandateStore, people: People, lives: Lives, policy_of: PolicyOf) -> None:
        self._store = store
        self._people = people
        self._lives = lives
        self._policy_of = policy_of

    def require(self, acting: Acting, holder_ref: str, act: Act, now: datetime) -> None:
        """See `ActingRules.require`."""
        if self._lives.of(holder_ref) is LifeStatus.DEAD:
            raise RuleViolation("holder_dead", "nobody acts for the dead, nor do they")
        if acting.mandate_id is None:
            if act not in ALONE and self.needs_guardian(holder_ref, now):
                raise RuleViolation("guardian_needed", "a minor, or without full civil capacity")
            return
        row = self._store.find(acting.mandate_id)
        if row is None or row.holder_ref != holder_ref or row.ground is not acting.ground:
            raise RuleViolation("mandate_unknown", "no mandate of this holder has this id")
        require_live(row, act, now)
        if row.agent_ref is not None and self._lives.of(row.agent_ref) is LifeStatus.DEAD:
            raise RuleViolation("mandate_ended", "the agent is dead")

    def needs_guardian(self, holder_ref: str, now: datetime) -> bool:
        """Whether this person is under age, or a guardian acts for them because they lack full civil capacity. A birth
        date that nobody told makes nobody a minor."""
        born = self._people.person(self._people.get(holder_ref)).birth_date
        minor = born is not None and is_under(born, self._policy_of(ANY_REGION, now).family.of_age, now)
        return minor or self.incapable(holder_ref, now)

    def incapable(self, holder_ref: str, now: datetime) -> bool:
        """Whether a guardian acts for this person because they lack full civil capacity."""
        rows = self._store.of_holder(holder_ref)
        return any(row.cause is MandateCause.INCAPABLE and row.state_at(now) == "live" for row in rows)

    def grant(self, request_id: str, wish: NewMandate, by: str, now: datetime) -> MandateRow:
        """Record a mandate that `by` has checked; the one recorded before for the same request.

        Raises what `require_grantable` raises, `InvalidInput` `born_in_future`, `RuleViolation` `holder_dead`,
        `Conflict` `mandate_differs`.
        """
        for person in (wish.holder, wish.agent):
            require_born(person.birth_date, now)
        mandate_id = self._people.references.request("mandate", by, request_id)
        content_mac = self._people.references.content(_content(wish))
        before = self._store.find(mandate_id)
        if before is not None:
            if before.content_mac != content_mac:
                raise Conflict("mandate_differs", "this request was made before with other content")
            return before
        holder_ref = self._people.references.holder(wish.holder.id_number)
        agent_ref = self._people.references.holder(wish.agent.id_number)
        closes_at = require_grantable(
            wish,
            of_age=self._policy_of(wish.region, now).family.of_age,
            incapable=self.incapable(holder_ref, now),
            now=now,
        )
        if LifeStatus.DEAD in (self._lives.of(holder_ref), self._lives.of(agent_ref)):
            raise RuleViolation("holder_dead", "the dead give and have no mandates")
        holder, agent = self._people.enter(wish.holder), self._people.enter(wish.agent)
        row = MandateRow(
            mandate_id=mandate_id,
            holder_ref=holder.holder_ref,
            agent_ref=agent.holder_ref,
            agency=None,
            ground=wish.ground,
            cause=wish.cause,
            relation=wish.relation,
            acts=tuple(sorted(wish.acts)),
            starts_at=wish.starts_at,
            closes_at=closes_at,
            sealed=self._people.seal_of(holder).seal(proof_json(wish.proof), proof_context(mandate_id)),
            content_mac=content_mac,
            checked_by=by,
            created_at=now,
        )
        return self._store.add(row)

    def attach(self, mandate_id: str, media_type: str, content: bytes, now: datetime) -> MandateRow:
        """Put the scanned paper to a mandate. Raises `NotFound` `mandate_unknown`, and as `require_copy`."""
        require_copy(media_type, content)
        row = self.get(mandate_id)
        seal = self._people.seal_of(self._people.get(row.holder_ref))
        sealed = seal.seal(content, f"mandate-document/{mandate_id}")
        self._store.add_document(MandateDocumentRow(mandate_id, media_type, len(content), sealed, now))
        return row

    def get(self, mandate_id: str) -> MandateRow:
        """Raises `NotFound` `mandate_unknown`."""
        row = self._store.find(mandate_id)
        if row is None:
            raise NotFound("mandate_unknown", "no such mandate")
        return row

    def open(self, mandate_id: str) -> OpenedMandate:
        """Raises `NotFound` `mandate_unknown`."""
        row = self.get(mandate_id)
        holder = self._people.get(row.holder_ref)
        document = self._store.find_document(mandate_id)
        return OpenedMandate(
            row=row,
            holder=self._people.person(holder),
            agent=None if row.agent_ref is None else self._people.person(self._people.get(row.agent_ref)),
            proof=read_proof(self._people.seal_of(holder).open(row.sealed, proof_context(mandate_id))),
            document=None if document is None else (document.media_type, document.size),
        )

    def of_person(self, holder_ref: str) -> tuple[MandateRow, ...]:
        """Those that they gave, then those that they were given."""
        return (*self._store.of_holder(holder_ref), *self._store.of_agent(holder_ref))

    def revoke(self, mandate_id: str, by: str, now: datetime) -> MandateRow:
        """End a mandate, or withdraw a consent, now and for good. Raises `NotFound` `mandate_unknown`."""
        return self._store.revoke(mandate_id, by, now)

    def end_all(self, holder_ref: str, by: str, now: datetime) -> None:
        """End every mandate of a person who died: those that they gave and those that they were given."""
        for row in self.of_person(holder_ref):
            if row.state_at(now) in ("live", "waiting"):
                self._store.revoke(row.mandate_id, by, now)

    def purge(self, before: datetime, limit: int) -> int:
        """Delete at most `limit` mandates that closed before then; says how many."""
        return self._store.purge(before, limit)


def proof_context(mandate_id: str) -> str:
    """Under what a mandate's proof is sealed."""
    return f"mandate/{mandate_id}"


def proof_json(proof: Proof) -> bytes:
    """A proof as it is sealed."""
    return json.dumps(
        {
            "form": proof.form.value,
            "reference": proof.reference,
            "given_at": proof.given_at.isoformat(),
            "given_by": proof.given_by,
        },
        ensure_ascii=False,
    ).encode()


def read_proof(text: bytes) -> Proof:
    """Inverse of `proof_json`."""
    said = json.loads(text)
    return Proof(Form(said["form"]), said["reference"], datetime.fromisoformat(said["given_at"]), said["given_by"])


def _content(wish: NewMandate) -> bytes:
    """All that was asked, in one order."""
    parts: list[object] = [
        wish.holder.id_number.text,
        wish.holder.name,
        wish.agent.id_number.text,
        wish.agent.name,
        wish.ground.value,
        wish.cause.value,
        wish.relation.value,
        sorted(wish.acts),
        wish.starts_at.isoformat(),
        wish.ends_at.isoformat() if wish.ends_at else None,
        proof_json(wish.proof).decode(),
        wish.region,
    ]
    return json.dumps(parts, ensure_ascii=False).encode()
