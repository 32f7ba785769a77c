"""Port `IssuingMany`: plans and credentials of many cards in one transaction, by the rules of `SqlIssuing`.

All cards are locked first, in the order of their references. Whatever changes a card's bindings, plans or proofs does
that too, so what is read after it stays true until the transaction ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from ecard_card.status import EcardStatus
from ecard_issuer.register import tables
from ecard_issuer.register.reissue_state import cards_of
from ecard_issuer.register.reissue_statements import News, proven_body, take_entries
from ecard_issuer.register.sql import among, columns, many, set_entries
from ecard_issuer.register.sql_keys import require_signing
from ecard_issuer.register.sql_reissue import SqlReissuing, holders_of
from ecard_issuer.register.sql_rows import insert_rows, update_rows
from ecard_issuer.rows import BindingRow, CardRow, EnrolmentRow, EntryChange, Issuable, PlanRow, Successor
from ecard_issuer.states import BindingState, EnrolmentState, OutboxKind, PlanState
from ecard_keys.key import KeyState

_plans, _bindings, _enrolments = tables.plan, tables.binding, tables.enrolment
_directory, _entries = tables.ecard_binding, tables.status_entry
_ENROLMENTS = select(_enrolments).where(among(_enrolments.c.enrolment_id, "ids"))
_BINDINGS = select(_bindings).where(among(_bindings.c.card_ref, "refs"))
_STATES = select(_plans.c.plan_id, _plans.c.state).where(
    among(_plans.c.card_ref, "refs"), among(_plans.c.plan_id, "ids")
)


@dataclass(frozen=True, slots=True)
class _Found:
    """What stands in the register of some plans, their cards locked."""

    cards: Mapping[str, CardRow]
    bindings: Mapping[str, BindingRow]
    enrolments: Mapping[str, EnrolmentRow]

    @classmethod
    def read(cls, connection: Connection, plans: Sequence[PlanRow]) -> _Found:
        cards = cards_of(connection, {plan.card_ref for plan in plans}, locked=True)
        return cls(
            cards,
            _bindings_of(connection, cards),
            _enrolments_of(connection, [plan.enrolment_id for plan in plans]),
        )

    def awaits(self, plan: PlanRow) -> bool:
        """Whether this e-card came to its card by a replacement, and waits for the chip to be proven."""
        bound = self.bindings.get(plan.card_ref)
        return bound is not None and bound.state is BindingState.AWAITING

    def refusal(self, plan: PlanRow, now: datetime) -> str | None:
        """Why a plan may not stand, apart from its card's status and binding."""
        enrolment = self.enrolments.get(plan.enrolment_id)
        if plan.card_ref not in self.cards:
            return "card_unknown"
        if enrolment is None:
            return "enrolment_unknown"
        if enrolment.state is EnrolmentState.ISSUED:
            return "enrolment_already_used"
        if enrolment.state is not EnrolmentState.PROVEN or enrolment.card_ref != plan.card_ref:
            return "enrolment_not_proven"
        return "enrolment_expired" if enrolment.expires_at <= now else None


class SqlIssuingMany(SqlReissuing):
    def issuable(self, enrolment_ids: Sequence[str]) -> Mapping[str, Issuable]:
        with self._reading() as connection:
            enrolments = _enrolments_of(connection, enrolment_ids)
            cards = cards_of(connection, {row.card_ref for row in enrolments.values() if row.card_ref}, locked=False)
            bindings, holders = _bindings_of(connection, cards), holders_of(connection, cards.values())
        found = {}
        for enrolment_id, enrolment in enrolments.items():
            card = cards.get(enrolment.card_ref or "")
            holder = None if card is None else holders.get(card.holder_ref)
            found[enrolment_id] = Issuable(enrolment, card, holder, bindings.get(enrolment.card_ref or ""))
        return found

    def proofs(self, enrolment_ids: Sequence[str]) -> Mapping[str, tuple[EnrolmentRow, CardRow | None]]:
        with self._reading() as connection:
            enrolments = _enrolments_of(connection, enrolment_ids)
            cards = cards_of(connection, {row.card_ref for row in enrolments.values() if row.card_ref}, locked=False)
        return {key: (row, cards.get(row.card_ref or "")) for key, row in enrolments.items()}

    def plan_issuances(self, plans: Sequence[PlanRow], now: datetime) -> Mapping[str, str]:
        refused: dict[str, str] = {}
        with self._writing() as connection:
            for key_id in sorted({plan.key_id for plan in plans}):
                require_signing(connection, key_id, {KeyState.ACTIVE})
            found, seen = _Found.read(connection, plans), set[str]()
            for plan in plans:
                code = found.refusal(plan, now)
                if code is None and not self._as_planned(found.cards[plan.card_ref], plan, now):
                    code = "card_status_differs"
                if code is None:
                    twice = plan.card_ref in seen and not plan.renewal
                    code = "issuance_in_progress" if twice else _unbindable(found, plan)
                if code is not None:
                    refused[plan.plan_id] = code
                seen.add(plan.card_ref)
            kept = [plan for plan in plans if plan.plan_id not in refused]
            if kept:
                self._reserve_all(connection, [plan for plan in kept if not plan.renewal], found, now)
                take_entries(connection, kept)
                insert_rows(connection, _plans, [columns(plan) for plan in kept])
        return refused

    def commit_issuances(self, kept: Sequence[Successor], now: datetime) -> Mapping[str, str]:
        refused: dict[str, str] = {}
        with self._writing() as connection:
            for key_id in sorted({item.plan.key_id for item in kept}):
                require_signing(connection, key_id, {KeyState.ACTIVE, KeyState.VERIFY_ONLY})
            found = _Found.read(connection, [item.plan for item in kept])
            states = _plan_states(connection, [item.plan for item in kept])
            for item in kept:
                code = _uncommittable(found, states.get(item.plan.plan_id), item, now)
                if code is None and not self._as_planned(found.cards[item.plan.card_ref], item.plan, now):
                    code = "card_status_differs"
                if code is not None:
                    refused[item.plan.plan_id] = code
            good = [item for item in kept if item.plan.plan_id not in refused]
            if good:
                _store(connection, good, found)
                entries = [
                    EntryChange(item.plan.list_id, item.plan.index, self._effect(found.cards[item.plan.card_ref], now))
                    for item in good
                ]
                set_entries(connection, entries)
                news: list[News] = [(item.plan.card_ref, OutboxKind.ISSUED, item.body) for item in good]
                awaited = {item.plan.card_ref: item.plan.ecard_id for item in good if found.awaits(item.plan)}
                news += [(ref, OutboxKind.REBOUND, proven_body(ecard_id)) for ref, ecard_id in awaited.items()]
                self._post_many(connection, news, now)
        return refused

    def _as_planned(self, card: CardRow, plan: PlanRow, now: datetime) -> bool:
        return card.status is plan.card_status and self._effect(card, now) is not EcardStatus.INVALID

    @staticmethod
    def _reserve_all(connection: Connection, plans: Sequence[PlanRow], found: _Found, now: datetime) -> None:
        if not plans:
            return
        proofs = [found.enrolments[plan.enrolment_id] for plan in plans]
        reserved = [
            {
                "card_ref": plan.card_ref,
                "ecard_id": plan.ecard_id,
                "assurance": proof.assurance,
                "evidence": proof.evidence,
                "plan_id": plan.plan_id,
                "state": BindingState.RESERVED,
                "created_at": now,
            }
            for plan, proof in zip(plans, proofs, strict=True)
        ]
        insert_rows(connection, _bindings, reserved)
        named = [{"ecard_id": plan.ecard_id, "card_ref": plan.card_ref} for plan in plans]
        insert_rows(connection, _directory, named)  # a random id that is taken: `register_conflict`, for all


def _enrolments_of(connection: Connection, ids: Sequence[str]) -> dict[str, EnrolmentRow]:
    found = many(connection, EnrolmentRow, _ENROLMENTS, ids=sorted(set(ids)))
    return {row.enrolment_id: row for row in found}


def _bindings_of(connection: Connection, cards: Mapping[str, CardRow]) -> dict[str, BindingRow]:
    found = many(connection, BindingRow, _BINDINGS, refs=sorted(cards))
    return {row.card_ref: row for row in found}


def _plan_states(connection: Connection, plans: Sequence[PlanRow]) -> dict[str, PlanState]:
    refs, ids = sorted({plan.card_ref for plan in plans}), sorted(plan.plan_id for plan in plans)
    return {plan_id: state for plan_id, state in connection.execute(_STATES, {"refs": refs, "ids": ids})}


def _unbindable(found: _Found, plan: PlanRow) -> str | None:
    bound = found.bindings.get(plan.card_ref)
    if not plan.renewal:
        return None if bound is None else "chip_already_bound"
    held = bound is not None and bound.ecard_id == plan.ecard_id and bound.state is not BindingState.RESERVED
    return None if held else "ecard_not_bound_here"


def _uncommittable(found: _Found, state: PlanState | None, item: Successor, now: datetime) -> str | None:
    """Why a credential may not be kept, apart from its card's status. That its proof ran out since it was planned is no
    reason."""
    if state is not PlanState.PLANNED:
        return "plan_unknown" if state is None else f"plan_{state.value}"
    if not item.on_plan:
        return "credential_off_plan"
    code = found.refusal(item.plan, now)
    if code is not None and code != "enrolment_expired":
        return code
    bound = found.bindings.get(item.plan.card_ref)
    if item.plan.renewal:
        return _unbindable(found, item.plan)
    own = bound is not None and bound.plan_id == item.plan.plan_id and bound.state is BindingState.RESERVED
    return None if own else "ecard_not_bound_here"


def _store(connection: Connection, good: Sequence[Successor], found: _Found) -> None:
    """Plans kept, proofs spent, bindings live, credentials stored, entries named."""
    plans = [item.plan for item in good]
    kept = [{"card_ref": plan.card_ref, "plan_id": plan.plan_id, "state": PlanState.COMMITTED} for plan in plans]
    update_rows(connection, _plans, kept, ("card_ref", "plan_id"))
    spent = [
        {"enrolment_id": plan.enrolment_id, "credential_id": plan.credential_id, "state": EnrolmentState.ISSUED}
        for plan in plans
    ]
    update_rows(connection, _enrolments, spent, ("enrolment_id",))
    by_strength = sorted(plans, key=lambda plan: found.enrolments[plan.enrolment_id].assurance or 0)
    alive = {plan.card_ref: given for plan in by_strength if (given := _stronger(found, plan)) is not None}
    if alive:  # of several of one card the strongest, which is the last
        update_rows(connection, _bindings, list(alive.values()), ("card_ref",))
    insert_rows(
        connection,
        tables.credential_directory,
        [{"credential_id": plan.credential_id, "card_ref": plan.card_ref} for plan in plans],
    )
    insert_rows(connection, tables.credential, [columns(item.credential) for item in good])
    named = [
        {"list_id": plan.list_id, "index": plan.index, "credential_id": plan.credential_id}
        for plan in sorted(plans, key=lambda plan: (plan.list_id, plan.index))
    ]
    update_rows(connection, _entries, named, ("list_id", "index"))


def _stronger(found: _Found, plan: PlanRow) -> Mapping[str, object] | None:
    """What a binding is given: a new one comes alive, a held one keeps the stronger of its proofs."""
    bound, proof = found.bindings[plan.card_ref], found.enrolments[plan.enrolment_id]
    if bound.state is BindingState.LIVE and (proof.assurance or 0) <= bound.assurance:
        return None
    return {
        "card_ref": plan.card_ref,
        "assurance": proof.assurance,
        "evidence": proof.evidence,
        "state": BindingState.LIVE,
    }
