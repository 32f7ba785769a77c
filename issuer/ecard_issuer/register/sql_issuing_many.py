"""Port `IssuingMany`: plans and credentials of many cards in one transaction, by the rules of `SqlIssuing`.

All cards are locked first, in the order of their references. Whatever changes a card's bindings, plans or proofs does
that too, so what is read after it stays true until the transaction ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update

from ecard_card.status import EcardStatus
from ecard_issuer.register import tables
from ecard_issuer.register.reissue_state import cards_of
from ecard_issuer.register.reissue_statements import News, take_entries
from ecard_issuer.register.sql import columns, many, set_entries
from ecard_issuer.register.sql_keys import require_signing
from ecard_issuer.register.sql_reissue import SqlReissuing, holders_of
from ecard_issuer.rows import BindingRow, CardRow, EnrolmentRow, EntryChange, Issuable, PlanRow, Successor
from ecard_issuer.states import BindingState, EnrolmentState, OutboxKind, PlanState
from ecard_keys.key import KeyState

_plans, _bindings, _enrolments = tables.plan, tables.binding, tables.enrolment
_directory, _entries = tables.ecard_binding, tables.status_entry


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
                connection.execute(_plans.insert(), [columns(plan) for plan in kept])
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
        connection.execute(_bindings.insert(), reserved)
        named = [{"ecard_id": plan.ecard_id, "card_ref": plan.card_ref} for plan in plans]
        connection.execute(_directory.insert(), named)  # a random id that is taken: `register_conflict`, for all


def _enrolments_of(connection: Connection, ids: Sequence[str]) -> dict[str, EnrolmentRow]:
    found = many(connection, EnrolmentRow, select(_enrolments).where(_enrolments.c.enrolment_id.in_(sorted(set(ids)))))
    return {row.enrolment_id: row for row in found}


def _bindings_of(connection: Connection, cards: Mapping[str, CardRow]) -> dict[str, BindingRow]:
    found = many(connection, BindingRow, select(_bindings).where(_bindings.c.card_ref.in_(sorted(cards))))
    return {row.card_ref: row for row in found}


def _plan_states(connection: Connection, plans: Sequence[PlanRow]) -> dict[str, PlanState]:
    refs, ids = sorted({plan.card_ref for plan in plans}), sorted(plan.plan_id for plan in plans)
    these = select(_plans.c.plan_id, _plans.c.state).where(_plans.c.card_ref.in_(refs), _plans.c.plan_id.in_(ids))
    return {plan_id: state for plan_id, state in connection.execute(these)}


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
    connection.execute(
        update(_plans)
        .where(_plans.c.card_ref == bindparam("of_card"), _plans.c.plan_id == bindparam("of_plan"))
        .values(state=PlanState.COMMITTED),
        [{"of_card": item.plan.card_ref, "of_plan": item.plan.plan_id} for item in good],
    )
    connection.execute(
        update(_enrolments)
        .where(_enrolments.c.enrolment_id == bindparam("of_proof"))
        .values(state=EnrolmentState.ISSUED, credential_id=bindparam("given")),
        [{"of_proof": item.plan.enrolment_id, "given": item.plan.credential_id} for item in good],
    )
    by_strength = sorted(good, key=lambda item: found.enrolments[item.plan.enrolment_id].assurance or 0)
    changes = [change for item in by_strength if (change := _binding_change(found, item.plan)) is not None]
    alive = list({change["of_card"]: change for change in changes}.values())  # of several of one card the strongest
    if alive:
        connection.execute(
            update(_bindings)
            .where(_bindings.c.card_ref == bindparam("of_card"))
            .values(state=BindingState.LIVE, assurance=bindparam("how"), evidence=bindparam("proof")),
            alive,
        )
    connection.execute(
        tables.credential_directory.insert(),
        [{"credential_id": item.plan.credential_id, "card_ref": item.plan.card_ref} for item in good],
    )
    connection.execute(tables.credential.insert(), [columns(item.credential) for item in good])
    connection.execute(
        update(_entries)
        .where(_entries.c.list_id == bindparam("of_list"), _entries.c.index == bindparam("of_index"))
        .values(credential_id=bindparam("new")),
        [{"of_list": item.plan.list_id, "of_index": item.plan.index, "new": item.plan.credential_id} for item in good],
    )


def _binding_change(found: _Found, plan: PlanRow) -> dict[str, object] | None:
    """A new binding comes alive; a held one keeps the stronger of its proofs."""
    bound, proof = found.bindings[plan.card_ref], found.enrolments[plan.enrolment_id]
    if bound.state is BindingState.LIVE and (proof.assurance or 0) <= bound.assurance:
        return None
    return {"of_card": plan.card_ref, "how": proof.assurance, "proof": proof.evidence}
