"""The register's contract, part two: issuing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from ecard_card.card import ChipAssurance
from ecard_card.errors import Conflict, InvalidInput, NotFound, RuleViolation
from ecard_card.status import CardChange, CardStatus
from ecard_issuer.ports import Register
from ecard_issuer.states import BindingState, EnrolmentState, OutboxKind, PlanState
from tests.contracts.register_world import LATER, NOW, World, credential_of, ref, refused


class IssuingContract:
    def test_an_issuance_binds_stores_and_tells(self, register: Register, world: World) -> None:
        card = world.card()
        plan = world.plan(card)
        bound = register.find_binding(card.card_ref)
        assert bound is not None
        assert (bound.state, bound.plan_id, bound.ecard_id) == (BindingState.RESERVED, plan.plan_id, plan.ecard_id)
        assert register.get_plan(plan.card_ref, plan.plan_id) == plan
        credential = world.commit(plan)
        bound = register.find_binding(card.card_ref)
        assert bound is not None
        assert (bound.state, bound.assurance) == (BindingState.LIVE, ChipAssurance.CHALLENGE)
        assert register.card_of_ecard(plan.ecard_id) == card.card_ref
        assert register.find_credential(plan.credential_id) == credential
        assert register.credentials_of(card.card_ref) == (credential,)
        assert register.get_plan(plan.card_ref, plan.plan_id).state is PlanState.COMMITTED
        enrolment = register.get_enrolment(plan.enrolment_id)
        assert (enrolment.state, enrolment.credential_id) == (EnrolmentState.ISSUED, plan.credential_id)
        told = world.outbox()
        assert [(row.kind, row.card_ref, row.body) for row in told] == [
            (OutboxKind.ISSUED, card.card_ref, {"credential_id": plan.credential_id.hex()})
        ]

    def test_one_chip_one_ecard_each_way(self, register: Register, world: World) -> None:
        card, other = world.card(), world.card()
        first = world.plan(card)
        second = world.draft(card, world.prove(card))
        with refused(Conflict, "chip_already_bound"):
            register.plan_issuance(second, NOW)
        stolen = world.draft(other, world.prove(other), first.ecard_id)
        with refused(Conflict, "ecard_already_bound"):
            register.plan_issuance(stolen, NOW)
        assert register.find_binding(other.card_ref) is None

    def test_a_plan_is_refused_for_each_reason(self, register: Register, world: World) -> None:
        card = world.card()
        plan = world.draft(card, world.prove(card))
        strange = world.prove(world.card())
        cases = [
            (NotFound, "card_unknown", {"card_ref": ref()}),
            (NotFound, "enrolment_unknown", {"enrolment_id": ref()}),
            (NotFound, "status_list_unknown", {"list_id": 9999}),
            (InvalidInput, "status_index_out_of_range", {"index": 1 << 40}),
            (InvalidInput, "status_index_out_of_range", {"index": -1}),
            (RuleViolation, "card_status_differs", {"card_status": CardStatus.SEALED}),
            (RuleViolation, "enrolment_not_proven", {"enrolment_id": world.open().enrolment_id}),
            (RuleViolation, "enrolment_not_proven", {"enrolment_id": strange.enrolment_id}),
            (Conflict, "ecard_not_bound_here", {"renewal": True}),
        ]
        for kind, code, changes in cases:
            with refused(kind, code):
                register.plan_issuance(replace(plan, **changes), NOW)  # type: ignore[arg-type]
        with refused(RuleViolation, "enrolment_expired"):
            register.plan_issuance(plan, NOW + timedelta(hours=1))
        register.plan_issuance(plan, NOW)
        rival = world.card()
        with refused(Conflict, "status_index_taken"):
            register.plan_issuance(
                replace(world.draft(rival, world.prove(rival)), list_id=plan.list_id, index=plan.index), NOW
            )
        cancelled = world.card(CardStatus.CANCELLED)
        with refused(RuleViolation, "card_status_differs"):
            world.plan(cancelled)

    def test_a_voided_plan_frees_the_chip_and_burns_the_index(self, register: Register, world: World) -> None:
        card = world.card()
        plan = world.plan(card)
        before = register.status_snapshot(plan.list_id).version
        assert register.void_plan(plan.card_ref, plan.plan_id, LATER) is True
        assert register.void_plan(plan.card_ref, plan.plan_id, LATER) is False
        assert world.value(plan.list_id, plan.index) == 1
        assert register.status_snapshot(plan.list_id).version == before + 1
        assert register.find_binding(card.card_ref) is None
        assert register.card_of_ecard(plan.ecard_id) is None
        with refused(Conflict, "plan_voided"):
            world.commit(plan)
        told = world.outbox()
        assert [(row.kind, row.body["credential_id"], row.body["value"]) for row in told] == [
            (OutboxKind.ENDED, plan.credential_id.hex(), 1)
        ]
        again = replace(
            world.draft(card, register.get_enrolment(plan.enrolment_id)), list_id=plan.list_id, index=plan.index
        )
        with refused(Conflict, "status_index_taken"):
            register.plan_issuance(again, NOW)
        slot = register.free_slot(NOW)
        register.plan_issuance(replace(again, list_id=slot.list_id, index=slot.index), NOW)

    def test_a_commit_is_refused_for_each_reason(self, register: Register, world: World) -> None:
        card = world.card()
        plan = world.plan(card)
        credential = credential_of(plan)
        with refused(NotFound, "plan_unknown"):
            register.commit_issuance(card.card_ref, ref(), credential, {}, NOW)
        with refused(RuleViolation, "credential_off_plan"):
            register.commit_issuance(card.card_ref, plan.plan_id, replace(credential, index=plan.index + 1), {}, NOW)
        world.change(card, CardChange.REPORT_LOSS)
        with refused(RuleViolation, "card_status_differs"):
            world.commit(plan)
        world.change(card, CardChange.RELEASE)
        world.commit(plan)
        with refused(Conflict, "plan_committed"):
            world.commit(plan)
        with refused(Conflict, "plan_committed"):
            register.void_plan(plan.card_ref, plan.plan_id, NOW)
        with refused(NotFound, "plan_unknown"):
            register.void_plan(plan.card_ref, ref(), NOW)

    def test_an_ecard_gets_more_credentials_one_per_proof(self, register: Register, world: World) -> None:
        card = world.card()
        first = world.issue(card)
        second = world.renew(card, first.ecard_id)
        bound = register.find_binding(card.card_ref)
        assert bound is not None
        assert bound.assurance is ChipAssurance.CHALLENGE  # the weaker proof does not lower it
        world.renew(card, first.ecard_id, ChipAssurance.SIGNATURE)
        bound = register.find_binding(card.card_ref)
        assert bound is not None
        assert (bound.state, bound.assurance) == (BindingState.LIVE, ChipAssurance.SIGNATURE)
        assert len(register.credentials_of(card.card_ref)) == 3
        enrolment = world.prove(card)
        plans = []
        for _ in range(2):
            plans.append(replace(world.draft(card, enrolment, second.ecard_id), renewal=True))
            register.plan_issuance(plans[-1], NOW)
        world.commit(plans[0])
        with refused(Conflict, "enrolment_already_used"):
            world.commit(plans[1])
        register.void_plan(card.card_ref, plans[1].plan_id, NOW)
        assert register.find_binding(card.card_ref) is not None

    def test_stale_plans_are_those_expired_or_of_a_restarted_owner(self, register: Register, world: World) -> None:
        plan, done = world.plan(world.card()), world.plan(world.card())
        world.commit(done)
        assert register.stale_plans(NOW) == ()
        assert register.stale_plans(NOW, owner="process-2") == ()
        assert register.stale_plans(NOW, owner="process-1") == (plan,)
        assert register.stale_plans(plan.expires_at, owner="process-1") == (plan,)
        assert register.stale_plans(plan.expires_at) == (plan,)
