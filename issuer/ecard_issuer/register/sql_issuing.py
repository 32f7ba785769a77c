"""From a proven chip to a stored credential, by way of a plan: port `Issuing` (but for `free_slot`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from ecard_card.errors import Conflict, InvalidInput, NotFound, RuleViolation
from ecard_card.status import EcardStatus
from ecard_issuer.register import tables
from ecard_issuer.register.reissue_statements import proven_body
from ecard_issuer.register.sql import (
    Store,
    columns,
    fixed,
    insert_new,
    load_credential,
    lock_card,
    many,
    one,
    set_entries,
)
from ecard_issuer.register.sql_enrolments import load_enrolment, proven_enrolment
from ecard_issuer.register.sql_keys import require_signing
from ecard_issuer.rows import BindingRow, CardRow, CredentialRow, EnrolmentRow, EntryChange, PlanRow
from ecard_issuer.states import BindingState, CredentialState, EnrolmentState, OutboxKind, PlanState
from ecard_keys.key import KeyState

_plan, _binding, _directory = tables.plan, tables.binding, tables.ecard_binding


class SqlIssuing(Store):
    def plan_issuance(self, plan: PlanRow, now: datetime) -> None:
        with self._writing() as connection:
            card = lock_card(connection, plan.card_ref)
            self._require_status(card, plan, now)
            require_signing(connection, plan.key_id, {KeyState.ACTIVE})
            if plan.replaces is not None:
                self._require_follower(connection, plan)
            else:
                enrolment = proven_enrolment(connection, plan.enrolment_id, plan.card_ref, now)
                if plan.renewal:
                    self._bound_here(connection, plan)
                else:
                    self._reserve(connection, plan, enrolment, now)
            self._take_entry(connection, plan)
            if not insert_new(connection, _plan, **columns(plan)):
                if plan.replaces is not None:
                    raise Conflict("issuance_in_progress", "what follows this credential is being made now")
                raise Conflict("plan_exists", "a plan of this id was recorded before")

    def get_plan(self, card_ref: str, plan_id: str) -> PlanRow:
        with self._reading() as connection:
            return self._load_plan(connection, card_ref, plan_id)

    def commit_issuance(
        self, card_ref: str, plan_id: str, credential: CredentialRow, body: Mapping[str, object], now: datetime
    ) -> None:
        with self._writing() as connection:
            plan = self._load_plan(connection, card_ref, plan_id)
            card = lock_card(connection, card_ref)
            self._settle(connection, plan, PlanState.COMMITTED)
            self._require_status(card, plan, now)
            require_signing(connection, plan.key_id, {KeyState.ACTIVE, KeyState.VERIFY_ONLY})
            if any(
                getattr(credential, name) != getattr(plan, name)
                for name in ("card_ref", "credential_id", "ecard_id", "list_id", "index", "key_id")
            ) or (credential.device_key_thumbprint != plan.device_key_thumbprint):
                raise RuleViolation("credential_off_plan", "the credential is not the planned one")
            if plan.replaces is None:
                self._make_live(connection, plan, self._spend(connection, plan), now)
            else:
                self._tell_former(connection, plan)
            directory = tables.credential_directory
            if not insert_new(connection, directory, credential_id=plan.credential_id, card_ref=card_ref):
                raise Conflict("credential_exists", "a credential of this id was issued before")
            connection.execute(tables.credential.insert().values(columns(credential)))
            entry = tables.status_entry
            connection.execute(
                update(entry)
                .where(entry.c.list_id == plan.list_id, entry.c.index == plan.index)
                .values(credential_id=plan.credential_id)
            )
            set_entries(connection, [EntryChange(plan.list_id, plan.index, self._effect(card, now))])
            self._post(connection, card_ref, OutboxKind.ISSUED, body, now)

    def void_plan(self, card_ref: str, plan_id: str, now: datetime) -> bool:
        with self._writing() as connection:
            plan = self._load_plan(connection, card_ref, plan_id)
            lock_card(connection, card_ref)
            try:
                self._settle(connection, plan, PlanState.VOIDED)
            except Conflict as conflict:
                if conflict.code == "plan_voided":
                    return False
                raise
            freed = connection.execute(
                delete(_binding).where(
                    _binding.c.card_ref == card_ref,
                    _binding.c.plan_id == plan_id,
                    _binding.c.state == fixed(BindingState.RESERVED),
                )
            )
            if freed.rowcount == 1:
                connection.execute(
                    delete(_directory).where(_directory.c.ecard_id == plan.ecard_id, _directory.c.card_ref == card_ref)
                )
            ended = EntryChange(plan.list_id, plan.index, EcardStatus.INVALID)
            set_entries(connection, [ended])
            body = {
                "credential_id": plan.credential_id.hex(),
                "list_id": ended.list_id,
                "index": ended.index,
                "value": int(ended.value),
            }
            self._post(connection, card_ref, OutboxKind.ENDED, body, now)
            return True

    def stale_plans(self, now: datetime, owner: str | None = None, limit: int = 100) -> tuple[PlanRow, ...]:
        planned = select(_plan).where(_plan.c.state == fixed(PlanState.PLANNED)).limit(limit)
        with self._reading() as connection:
            found = many(connection, PlanRow, planned.where(_plan.c.expires_at <= now).order_by(_plan.c.expires_at))
            if owner is not None and len(found) < limit:
                found += many(connection, PlanRow, planned.where(_plan.c.owner == owner))
        return tuple({(plan.card_ref, plan.plan_id): plan for plan in found}.values())[:limit]

    def _require_status(self, card: CardRow, plan: PlanRow, now: datetime) -> None:
        if card.status is not plan.card_status or self._effect(card, now) is EcardStatus.INVALID:
            raise RuleViolation("card_status_differs", "the card's status is not, or no longer, the planned one")

    @staticmethod
    def _load_plan(connection: Connection, card_ref: str, plan_id: str) -> PlanRow:
        plan = one(connection, PlanRow, select(_plan).where(_plan.c.card_ref == card_ref, _plan.c.plan_id == plan_id))
        if plan is None:
            raise NotFound("plan_unknown", "no such plan")
        return plan

    @staticmethod
    def _reserve(connection: Connection, plan: PlanRow, enrolment: EnrolmentRow, now: datetime) -> None:
        if not insert_new(
            connection,
            _binding,
            card_ref=plan.card_ref,
            ecard_id=plan.ecard_id,
            assurance=enrolment.assurance,
            evidence=enrolment.evidence,
            plan_id=plan.plan_id,
            state=BindingState.RESERVED,
            created_at=now,
        ):
            raise Conflict("chip_already_bound", "this chip has an e-card")
        if not insert_new(connection, _directory, ecard_id=plan.ecard_id, card_ref=plan.card_ref):
            raise Conflict("ecard_already_bound", "this e-card has a chip, or has ended")

    @staticmethod
    def _bound_here(connection: Connection, plan: PlanRow) -> BindingRow:
        bound = one(connection, BindingRow, select(_binding).where(_binding.c.card_ref == plan.card_ref))
        if bound is None or bound.ecard_id != plan.ecard_id or bound.state is BindingState.RESERVED:
            raise Conflict("ecard_not_bound_here", "this chip does not carry that e-card")
        return bound

    def _require_follower(self, connection: Connection, plan: PlanRow) -> CredentialRow:
        """The credential that the plan's is to follow: ended on another card, of the same e-card and device key."""
        if self._bound_here(connection, plan).state is not BindingState.LIVE:
            raise Conflict("ecard_not_bound_here", "this chip was not proven yet")
        old = load_credential(connection, plan.replaces or b"")
        if old is None:
            raise NotFound("credential_unknown", "no credential has this id")
        if old.replaced_by is not None:
            raise Conflict("credential_already_replaced", "this credential has a successor")
        same = (old.ecard_id, old.device_key_thumbprint) == (plan.ecard_id, plan.device_key_thumbprint)
        if not same or old.state is not CredentialState.ENDED or old.card_ref == plan.card_ref:
            raise Conflict("credential_not_replaced", "that credential is not one of this e-card's former chip")
        return old

    def _tell_former(self, connection: Connection, plan: PlanRow) -> None:
        """Tell the credential of the former chip what follows it."""
        old, credential = self._require_follower(connection, plan), tables.credential
        told = connection.execute(
            update(credential)
            .where(
                credential.c.card_ref == old.card_ref,
                credential.c.credential_id == old.credential_id,
                credential.c.replaced_by.is_(None),
            )
            .values(replaced_by=plan.credential_id)
        )
        if told.rowcount != 1:
            raise Conflict("credential_already_replaced", "this credential has a successor")

    @staticmethod
    def _take_entry(connection: Connection, plan: PlanRow) -> None:
        lists = tables.status_list
        size = connection.scalar(select(lists.c.size).where(lists.c.list_id == plan.list_id))
        if size is None:
            raise NotFound("status_list_unknown", "no such status list")
        if not 0 <= plan.index < size:
            raise InvalidInput("status_index_out_of_range", "the status list has no such index")
        if not insert_new(
            connection,
            tables.status_entry,
            list_id=plan.list_id,
            index=plan.index,
            card_ref=plan.card_ref,
            plan_id=plan.plan_id,
            credential_id=None,
            value=EcardStatus.VALID,
        ):
            raise Conflict("status_index_taken", "this status index was given out before")

    @staticmethod
    def _settle(connection: Connection, plan: PlanRow, state: PlanState) -> None:
        """Move the plan out of `planned`, or say what became of it before."""
        this = (_plan.c.card_ref == plan.card_ref, _plan.c.plan_id == plan.plan_id)
        settled = connection.execute(
            update(_plan).where(*this, _plan.c.state == fixed(PlanState.PLANNED)).values(state=state)
        )
        if settled.rowcount == 1:
            return
        if connection.execute(select(_plan.c.state).where(*this)).scalar_one() is PlanState.VOIDED:
            raise Conflict("plan_voided", "this plan was given up")
        raise Conflict("plan_committed", "this plan was kept already")

    @staticmethod
    def _spend(connection: Connection, plan: PlanRow) -> EnrolmentRow:
        enrolment = tables.enrolment
        spent = connection.execute(
            update(enrolment)
            .where(
                enrolment.c.enrolment_id == plan.enrolment_id,
                enrolment.c.state == fixed(EnrolmentState.PROVEN),
            )
            .values(state=EnrolmentState.ISSUED, credential_id=plan.credential_id)
        )
        if spent.rowcount != 1:
            raise Conflict("enrolment_already_used", "this enrolment has led to a credential already")
        return load_enrolment(connection, plan.enrolment_id)

    def _make_live(self, connection: Connection, plan: PlanRow, proof: EnrolmentRow, now: datetime) -> None:
        """A new binding comes alive; a held one keeps the stronger of its proofs."""
        here = _binding.c.card_ref == plan.card_ref
        if not plan.renewal:
            done = connection.execute(
                update(_binding)
                .where(here, _binding.c.plan_id == plan.plan_id, _binding.c.state == fixed(BindingState.RESERVED))
                .values(state=BindingState.LIVE)
            )
            if done.rowcount != 1:
                raise Conflict("ecard_not_bound_here", "the plan's binding is gone")
            return
        bound = self._bound_here(connection, plan)
        if bound.state is BindingState.AWAITING or (proof.assurance or 0) > bound.assurance:
            connection.execute(
                update(_binding)
                .where(here)
                .values(state=BindingState.LIVE, assurance=proof.assurance, evidence=proof.evidence)
            )
        if bound.state is BindingState.AWAITING:
            self._post(connection, plan.card_ref, OutboxKind.REBOUND, proven_body(plan.ecard_id), now)
