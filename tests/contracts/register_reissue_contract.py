"""The register's contract, part six: credentials made anew under another key."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from ecard_card.errors import Conflict, NotFound, RuleViolation
from ecard_card.status import CardChange
from ecard_issuer.ports import Register
from ecard_issuer.rows import CredentialRow, Grant, PlanRow, Reissuable, ReissueCount, ReissueRow, Successor
from ecard_issuer.states import CredentialState, OutboxKind, PlanState
from tests.contracts.register_race import race
from tests.contracts.register_world import LATER, NOW, World, credential_of, key_row, ref, refused

OTHER = "bbbb0000"


def issued(world: World, count: int) -> list[CredentialRow]:
    """Credentials of the first key, then another key made active; the outbox is empty."""
    kid = world.signing_key()
    rows = [world.issue(world.card()) for _ in range(count)]
    world.register.add_key(key_row(OTHER))
    world.register.activate_key("credential", OTHER, NOW)
    world.outbox()
    assert all(row.key_id == kid for row in rows)
    return sorted(rows, key=lambda row: (row.card_ref, row.credential_id))


def plans_for(register: Register, items: Sequence[Reissuable]) -> list[PlanRow]:
    return [
        PlanRow(
            card_ref=item.card.card_ref,
            plan_id=ref(),
            enrolment_id="",
            ecard_id=item.credential.ecard_id,
            card_status=item.card.status,
            profile="standard",
            profile_hash="00" * 32,
            list_id=slot.list_id,
            index=slot.index,
            credential_id=secrets.token_bytes(16),
            draft_hashes=("33" * 32, "44" * 32),
            key_id=OTHER,
            device_key_thumbprint=item.credential.device_key_thumbprint,
            owner="process-1",
            expires_at=NOW + timedelta(minutes=1),
            created_at=NOW,
            renewal=True,
            replaces=item.credential.credential_id,
        )
        for item, slot in zip(items, register.free_slots(len(items), NOW), strict=True)
    ]


def planned(register: Register, items: Sequence[Reissuable]) -> list[PlanRow]:
    plans = plans_for(register, items)
    assert register.plan_reissues(plans, NOW) == {}
    return plans


def successor_of(plan: PlanRow) -> CredentialRow:
    """What keeps the plan; the later its key, the later it was issued."""
    return replace(credential_of(plan), issued_at=NOW + timedelta(seconds=int(plan.key_id[0], 16)))


def commit(register: Register, plans: Sequence[PlanRow], *, end_replaced: bool = False) -> Mapping[str, str]:
    successors = [Successor(plan, successor_of(plan), {"credential_id": plan.credential_id.hex()}) for plan in plans]
    return register.commit_reissues(successors, LATER, end_replaced=end_replaced)


class ReissueContract:
    def test_credentials_of_a_key_are_replaced_and_told_of_it(self, register: Register, world: World) -> None:
        old = issued(world, 3)
        kid = old[0].key_id
        assert register.count_reissuable(kid, NOW) == ReissueCount(3, 0)
        items = register.to_reissue(kid, NOW)
        assert [item.credential for item in items] == old
        bindings = [register.find_binding(row.card_ref) for row in old]
        plans = planned(register, items)
        assert commit(register, plans) == {}
        for row, plan, binding in zip(old, plans, bindings, strict=True):
            before, after = register.credentials_of(row.card_ref)
            assert before == replace(row, replaced_by=plan.credential_id)
            assert after == successor_of(plan)
            assert register.find_credential(plan.credential_id) == after
            assert register.find_binding(row.card_ref) == binding
            assert register.get_plan(plan.card_ref, plan.plan_id).state is PlanState.COMMITTED
            assert world.value(plan.list_id, plan.index) == world.value(row.list_id, row.index) == 0
        assert register.count_reissuable(kid, NOW) == ReissueCount(0, 3)
        assert register.to_reissue(kid, NOW) == ()
        told = world.outbox()
        assert {(row.kind, row.body["credential_id"]) for row in told} == {
            (OutboxKind.ISSUED, plan.credential_id.hex()) for plan in plans
        }

    def test_pages_and_bounds_cover_each_once(self, register: Register, world: World) -> None:
        old = issued(world, 6)
        kid, found = old[0].key_id, []
        after: tuple[str, bytes] | None = None
        while page := register.to_reissue(kid, NOW, after=after, limit=2):
            found += [item.credential for item in page]
            after = (page[-1].card.card_ref, page[-1].credential.credential_id)
        assert found == old
        middle = old[3].card_ref
        for bounds, expected in ((("", middle), old[:3]), ((middle, None), old[3:])):
            assert [item.credential for item in register.to_reissue(kid, NOW, bounds=bounds)] == expected
            assert register.count_reissuable(kid, NOW, bounds=bounds) == ReissueCount(3, 0)
        assert register.to_reissue(kid, old[0].expires_at) == ()
        assert register.count_reissuable(kid, old[0].expires_at) == ReissueCount(0, 0)

    def test_free_slots_are_different_places_also_in_a_crowded_list(self, register: Register, world: World) -> None:
        for _ in range(3):
            slots = register.free_slots(20, NOW)
            assert len(set(slots)) == 20
            items = [(world.card(), slot) for slot in slots]
            for card, slot in items:
                plan = world.draft(card, world.prove(card))
                register.plan_issuance(replace(plan, list_id=slot.list_id, index=slot.index), NOW)

    def test_one_credential_has_one_open_plan(self, register: Register, world: World) -> None:
        issued(world, 2)
        items = register.to_reissue("00000000", NOW)
        first = planned(register, items[:1])
        second = plans_for(register, items)
        assert register.plan_reissues(second, NOW) == {second[0].plan_id: "issuance_in_progress"}
        assert register.void_plan(first[0].card_ref, first[0].plan_id, NOW)
        third = planned(register, items[:1])
        assert commit(register, [*first, *third, second[1]]) == {first[0].plan_id: "plan_voided"}
        fourth = plans_for(register, items[:1])
        assert register.plan_reissues(fourth, NOW) == {fourth[0].plan_id: "credential_already_replaced"}
        assert commit(register, third) == {third[0].plan_id: "plan_voided"}

    def test_a_voided_plan_leaves_the_binding_and_the_old_credential(self, register: Register, world: World) -> None:
        (old,) = issued(world, 1)
        binding = register.find_binding(old.card_ref)
        (plan,) = planned(register, register.to_reissue(old.key_id, NOW))
        assert register.stale_plans(plan.expires_at) == (plan,)
        assert register.void_plan(plan.card_ref, plan.plan_id, NOW)
        assert register.find_binding(old.card_ref) == binding
        assert register.credentials_of(old.card_ref) == (old,)
        assert world.value(plan.list_id, plan.index) == 1
        assert register.count_reissuable(old.key_id, NOW) == ReissueCount(1, 0)

    def test_a_taken_index_lets_no_plan_of_the_batch_stand(self, register: Register, world: World) -> None:
        old = issued(world, 2)
        plans = plans_for(register, register.to_reissue(old[0].key_id, NOW))
        plans[1] = replace(plans[1], list_id=old[0].list_id, index=old[0].index)
        with refused(Conflict, "status_index_taken"):
            register.plan_reissues(plans, NOW)
        assert register.stale_plans(LATER) == ()

    @pytest.mark.parametrize("when", ["planning", "committing"])
    def test_a_changed_card_is_judged_as_it_is_now(self, register: Register, world: World, when: str) -> None:
        old = issued(world, 3)
        items = register.to_reissue(old[0].key_id, NOW)
        cards = [item.card for item in items]
        plans = planned(register, items) if when == "committing" else plans_for(register, items)
        world.change(cards[0], CardChange.REPORT_LOSS)
        world.change(cards[1], CardChange.CANCEL)
        gone = {plans[1].plan_id: "card_status_differs"}
        if when == "planning":
            assert register.plan_reissues(plans, NOW) == gone
            del plans[1]
            assert commit(register, plans) == {}
        else:
            assert commit(register, plans) == gone
        assert [world.value(plan.list_id, plan.index) for plan in (plans[0], plans[-1])] == [2, 0]
        assert len(register.credentials_of(cards[1].card_ref)) == 1
        world.change(cards[0], CardChange.RELEASE)
        assert world.value(plans[0].list_id, plans[0].index) == 0

    def test_a_plan_is_refused_for_each_reason(self, register: Register, world: World) -> None:
        old = issued(world, 2)
        first, second = plans_for(register, register.to_reissue(old[0].key_id, NOW))
        for code, changes in (
            ("credential_unknown", {"replaces": secrets.token_bytes(16)}),
            ("credential_unknown", {"card_ref": ref()}),
            ("credential_unknown", {"replaces": second.replaces}),  # another card's
            ("ecard_not_bound_here", {"ecard_id": ref()}),
        ):
            wrong = replace(first, **changes)
            assert register.plan_reissues([wrong], NOW) == {wrong.plan_id: code}
        with refused(RuleViolation, "key_not_active"):
            register.plan_reissues([replace(first, key_id=old[0].key_id)], NOW)
        planned(register, register.to_reissue(old[0].key_id, NOW, limit=1))

    def test_a_commit_is_refused_off_plan_and_after_a_compromise(self, register: Register, world: World) -> None:
        old = issued(world, 1)
        (plan,) = planned(register, register.to_reissue(old[0].key_id, NOW))
        off = Successor(plan, replace(successor_of(plan), index=plan.index + 1), {})
        assert register.commit_reissues([off], NOW, end_replaced=False) == {plan.plan_id: "credential_off_plan"}
        register.compromise_key("credential", OTHER, None, NOW)
        with refused(RuleViolation, "key_not_active"):
            commit(register, [plan])
        assert register.get_plan(plan.card_ref, plan.plan_id).state is PlanState.PLANNED

    def test_the_old_one_ends_with_the_commit_where_that_is_wanted(self, register: Register, world: World) -> None:
        old = issued(world, 2)
        plans = planned(register, register.to_reissue(old[0].key_id, NOW))
        before = register.status_snapshot(old[0].list_id).version
        assert commit(register, plans, end_replaced=True) == {}
        assert all(world.value(row.list_id, row.index) == 1 for row in old)
        assert register.status_snapshot(old[0].list_id).version == before + 1
        assert all(register.credentials_of(row.card_ref)[0].state is CredentialState.ENDED for row in old)
        news = world.outbox()
        for row, plan in zip(old, plans, strict=True):
            told = [(item.kind, item.body["credential_id"]) for item in news if item.card_ref == row.card_ref]
            assert told == [
                (OutboxKind.ISSUED, plan.credential_id.hex()),
                (OutboxKind.ENDED, row.credential_id.hex()),
            ]

    def test_collecting_ends_the_whole_line_before_it(self, register: Register, world: World) -> None:
        (old,) = issued(world, 1)
        with refused(NotFound, "credential_unknown"):
            register.collect_successor(secrets.token_bytes(16), LATER)
        with refused(Conflict, "credential_not_replaced"):
            register.collect_successor(old.credential_id, LATER)
        (second,) = planned(register, register.to_reissue(old.key_id, NOW))
        commit(register, [second])
        register.add_key(key_row("cccc0000"))
        register.activate_key("credential", "cccc0000", NOW)
        (third,) = plans_for(register, register.to_reissue(OTHER, NOW))
        third = replace(third, key_id="cccc0000")
        assert register.plan_reissues([third], NOW) == {}
        commit(register, [third])
        world.outbox()
        for _ in range(2):
            assert register.collect_successor(old.credential_id, LATER) == successor_of(third)
        assert [row.state for row in register.credentials_of(old.card_ref)].count(CredentialState.ENDED) == 2
        assert world.value(old.list_id, old.index) == world.value(second.list_id, second.index) == 1
        assert world.value(third.list_id, third.index) == 0
        assert [row.body["credential_id"] for row in world.outbox()] == [
            old.credential_id.hex(),
            second.credential_id.hex(),
        ]
        assert register.collect_successor(second.credential_id, LATER) == successor_of(third)
        with refused(Conflict, "credential_not_replaced"):
            register.collect_successor(third.credential_id, LATER)
        world.change(register.get_card(old.card_ref), CardChange.CANCEL)
        with refused(RuleViolation, "card_not_issuable"):
            register.collect_successor(old.credential_id, LATER)

    def test_replaced_ones_are_ended_in_pieces_once(self, register: Register, world: World) -> None:
        old = issued(world, 3)
        kid = old[0].key_id
        commit(register, planned(register, register.to_reissue(kid, NOW, limit=2)))
        world.outbox()
        assert [register.end_replaced(kid, LATER, limit=1) for _ in range(3)] == [1, 1, 0]
        assert [row.kind for row in world.outbox()] == [OutboxKind.ENDED] * 2
        assert register.count_reissuable(kid, NOW) == ReissueCount(1, 0)
        assert world.value(old[2].list_id, old[2].index) == 0

    def test_a_permission_is_given_once_and_widened_once(self, register: Register, world: World) -> None:
        kid = world.signing_key()
        asked = ReissueRow(kid, False, "first", NOW)
        assert register.find_reissue(kid) is None
        with refused(NotFound, "key_unknown"):
            register.open_reissue(ReissueRow("ffffffff", False, "first", NOW))
        unusable = Grant("00" * 8, "00" * 32)
        with refused(RuleViolation, "approval_not_usable"):
            register.open_reissue(asked, grant=unusable)
        assert register.find_reissue(kid) is None
        assert register.open_reissue(asked) == asked
        assert register.open_reissue(replace(asked, opened_by="other"), grant=unusable) == asked
        wider = ReissueRow(kid, True, "second", LATER)
        with refused(RuleViolation, "approval_not_usable"):
            register.open_reissue(wider, grant=unusable)
        assert register.open_reissue(wider) == wider
        assert register.open_reissue(asked) == wider
        assert register.find_reissue(kid) == wider

    def test_a_credential_is_planned_by_exactly_one_of_many(self, register: Register, world: World) -> None:
        old = issued(world, 4)
        items = register.to_reissue(old[0].key_id, NOW)
        batches = [plans_for(register, items) for _ in range(6)]
        codes: list[str] = []

        def plan(batch: list[PlanRow]) -> None:
            codes.extend(register.plan_reissues(batch, NOW).values())

        ended = race(*(lambda batch=batch: plan(batch) for batch in batches))
        assert set(ended) <= {"won", "status_index_taken"}
        assert ended["won"] >= 1
        assert codes == ["issuance_in_progress"] * (4 * (ended["won"] - 1))
        assert len(register.stale_plans(LATER)) == 4

    def test_a_card_lost_while_being_reissued_never_leaves_a_usable_ecard(
        self, register: Register, world: World
    ) -> None:
        old = issued(world, 6)
        items = register.to_reissue(old[0].key_id, NOW)
        for item in items:
            (plan,) = planned(register, [item])
            ended = race(
                lambda plan=plan: commit(register, [plan], end_replaced=True),  # type: ignore[misc]
                lambda item=item: world.change(item.card, CardChange.REPORT_LOSS),  # type: ignore[misc]
            )
            assert ended == {"won": 2}
            assert world.value(plan.list_id, plan.index) == 2
            assert world.value(item.credential.list_id, item.credential.index) == 1

    def test_batches_and_changes_never_wait_in_a_circle(self, register: Register, world: World) -> None:
        """Suspended cards whose entries lie on several lists, ended and set by batches and by changes at once."""
        old = issued(world, 12)
        items = register.to_reissue(old[0].key_id, NOW)
        plans = planned(register, items)
        tasks = [lambda part=plans[n::3]: commit(register, part, end_replaced=True) for n in range(3)]
        changes = [lambda card=item.card: world.change(card, CardChange.REPORT_LOSS) for item in items]
        assert race(*tasks, *changes) == {"won": 15}
