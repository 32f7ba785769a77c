"""The register's contract, part three: what happens to a card, and what follows for its e-card."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecard_card.card import ChipAssurance
from ecard_card.errors import Conflict, EcardError, InvalidInput, NotFound, RuleViolation
from ecard_card.status import ALLOWED_CHANGES, CardChange, CardStatus
from ecard_issuer.ports import Register
from ecard_issuer.rows import ChangeResult
from ecard_issuer.states import BindingState, CredentialState, OutboxKind
from tests.contracts.register_world import LATER, NOW, World, ref, refused

LOSS, FOUND, CANCEL, ENABLE = CardChange.REPORT_LOSS, CardChange.RELEASE, CardChange.CANCEL, CardChange.ENABLE


class ChangesContract:
    def test_lost_suspends_found_revives_cancelled_ends(self, register: Register, world: World) -> None:
        card = world.card()
        first = world.issue(card)
        second = world.renew(card, first.ecard_id)
        world.outbox()
        lost = world.change(card, LOSS)
        assert lost.applied
        assert {(entry.index, entry.value) for entry in lost.entries} == {(first.index, 2), (second.index, 2)}
        (told,) = world.outbox()
        assert (told.kind, told.body["sequence"], told.body["status"]) == (OutboxKind.STATUS, 1, 2)
        assert [entry["value"] for entry in told.body["entries"]] == [2, 2]  # type: ignore[attr-defined]
        world.change(card, FOUND)
        assert world.value(first.list_id, first.index) == world.value(second.list_id, second.index) == 0
        world.change(card, CANCEL)
        assert world.value(first.list_id, first.index) == world.value(second.list_id, second.index) == 1
        assert {item.state for item in register.credentials_of(card.card_ref)} == {CredentialState.ENDED}
        assert register.find_binding(card.card_ref) is None
        (ended,) = register.ended_bindings(card.card_ref)
        assert (ended.ecard_id, ended.ended_at) == (first.ecard_id, LATER)
        stored = register.get_card(card.card_ref)
        assert (stored.status, stored.sequence, stored.updated_at) == (CardStatus.CANCELLED, 3, LATER)
        assert [event.change for event in register.events_of(card.card_ref)] == [LOSS, FOUND, CANCEL]
        with refused(RuleViolation, "card_change_impossible"):
            world.change(card, FOUND)

    def test_an_ended_ecard_is_never_bound_again(self, register: Register, world: World) -> None:
        card, other = world.card(), world.card()
        ended = world.issue(card)
        world.change(card, CANCEL)
        with refused(Conflict, "ecard_already_bound"):
            register.plan_issuance(world.draft(other, world.prove(other), ended.ecard_id), NOW)

    def test_a_change_between_plan_and_commit_reaches_the_new_entry(self, register: Register, world: World) -> None:
        card = world.card(CardStatus.SEALED)
        plan = world.plan(card)
        world.commit(plan)
        assert world.value(plan.list_id, plan.index) == 2
        world.change(card, ENABLE)
        assert world.value(plan.list_id, plan.index) == 0

    def test_a_repeated_event_changes_nothing(self, register: Register, world: World) -> None:
        card = world.card()
        first = world.change(card, LOSS, 1, "e1", source="s")
        world.change(card, FOUND, 2, "e2", source="s")
        for number in (1, None):
            repeated = world.change(card, LOSS, number, "e1", source="s")
            assert repeated == ChangeResult(applied=False, event=first.event)
        assert world.change(card, LOSS, 1, "another id", source="s").applied is False
        assert register.get_card(card.card_ref).status is CardStatus.NORMAL
        for change, sequence, event_id in ((FOUND, 1, "e1"), (LOSS, 2, "e1"), (FOUND, 1, "e9")):
            with refused(Conflict, "card_event_differs"):
                world.change(card, change, sequence, event_id, source="s")

    def test_an_older_event_never_undoes_a_newer_one(self, register: Register, world: World) -> None:
        card = world.card()
        jumped = world.change(card, LOSS, 5, source="s")
        assert (jumped.applied, jumped.event.missed, jumped.event.sequence) == (True, 4, 1)
        for late in (1, 4):
            with refused(RuleViolation, "card_change_superseded"):
                world.change(card, FOUND, late, source="s")
        assert register.get_card(card.card_ref).status is CardStatus.LOST
        found = world.change(card, FOUND)
        assert (found.event.sequence, found.event.source, found.event.source_sequence) == (2, "", None)

    def test_each_sender_counts_its_own_numbers(self, register: Register, world: World) -> None:
        card = world.card()
        world.change(card, LOSS)  # at our own desk, which uses up nobody's number
        first = world.change(card, FOUND, 1, "e", source="s")
        assert (first.applied, first.event.missed, first.event.sequence) == (True, 0, 2)
        other = world.change(card, LOSS, 1, "e", source="t")
        assert (other.applied, other.event.sequence) == (True, 3)
        assert world.change(card, FOUND, 1, "e", source="s") == ChangeResult(applied=False, event=first.event)
        assert [(event.source, event.source_sequence) for event in register.events_of(card.card_ref)] == [
            ("", None),
            ("s", 1),
            ("t", 1),
        ]

    def test_a_sender_that_tells_what_is_known_is_recorded_and_changes_nothing(
        self, register: Register, world: World
    ) -> None:
        card = world.card()
        issued = world.issue(card)
        world.change(card, LOSS)
        world.outbox()
        echo = world.change(card, LOSS, 3, source="s")
        assert (echo.applied, echo.entries, echo.event.missed) == (True, (), 2)
        assert (echo.event.previous, echo.event.status, echo.event.sequence) == (CardStatus.LOST, CardStatus.LOST, 2)
        (told,) = world.outbox()
        assert (told.body["sequence"], told.body["entries"]) == (2, [])
        assert world.value(issued.list_id, issued.index) == 2
        with refused(RuleViolation, "card_change_impossible"):
            world.change(card, LOSS)  # at our own desk it is a mistake, and somebody should see it
        world.change(card, CANCEL)
        assert world.change(card, CANCEL, 4, source="s").event.previous is CardStatus.CANCELLED
        assert len(register.ended_bindings(card.card_ref)) == 1

    def test_between_origins_an_old_event_does_not_free_a_card_and_a_strict_one_is_taken(
        self, register: Register, world: World
    ) -> None:
        card, early = world.card(), NOW - timedelta(hours=1)
        world.change(card, CardChange.REPORT_TEMPORARY_LOSS)
        for number in (7, None):
            with refused(RuleViolation, "card_change_superseded"):
                world.change(card, FOUND, number, source="s", at=early)
        assert world.change(card, LOSS, 8, source="s", at=early).event.status is CardStatus.LOST
        with refused(RuleViolation, "card_change_superseded"):  # the newest counts, not the last that came
            world.change(card, FOUND, 1, source="t", at=NOW - timedelta(minutes=1))
        assert world.change(card, FOUND, 9, source="s", at=NOW).event.status is CardStatus.NORMAL

    def test_an_event_from_the_future_is_refused(self, register: Register, world: World) -> None:
        card = world.card()
        for source in ("", "s"):
            with refused(RuleViolation, "card_event_from_future"):
                world.change(card, LOSS, source=source, at=LATER + timedelta(minutes=5, seconds=1))
        assert world.change(card, LOSS, source="s", at=LATER + timedelta(minutes=5)).applied

    def test_hostile_changes_are_refused_and_leave_nothing(self, register: Register, world: World) -> None:
        card = world.card()
        for sequence in (0, -1, 2**53, 2**80, 1_000_001):
            with refused(InvalidInput, "bad_card_sequence"):
                world.change(card, LOSS, sequence, source="s")
        with refused(InvalidInput, "bad_card_sequence"):
            world.change(card, LOSS, 1)  # whose number?
        with refused(RuleViolation, "card_change_impossible"):
            world.change(card, FOUND)
        with refused(RuleViolation, "replacement_needs_new_card"):
            world.change(card, CardChange.REPLACE)
        with refused(NotFound, "card_unknown"):
            register.apply_change(ref(), LOSS, event_id="e", occurred_at=NOW, now=NOW)
        assert register.get_card(card.card_ref) == card
        assert register.events_of(card.card_ref) == ()
        assert world.outbox() == []

    @settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    @given(
        events=st.lists(
            st.tuples(
                st.sampled_from(["", "s", "t"]),
                st.integers(1, 4),
                st.integers(0, 3),
                st.sampled_from([LOSS, FOUND, CANCEL, CardChange.LOCK, CardChange.UNLOCK]),
            ),
            min_size=1,
            max_size=8,
        )
    )
    def test_any_order_of_events_from_any_origin_ends_as_the_model_says(
        self, world: World, events: list[tuple[str, int, int, CardChange]]
    ) -> None:
        card = world.card()
        credential = world.issue(card)
        model = Model()
        for source, number, minute, change in events:
            sequence = number if source else None
            try:
                result = world.change(card, change, sequence, source=source, at=NOW + timedelta(minutes=minute))
                outcome = "applied" if result.applied else "repeated"
            except EcardError as error:
                outcome = error.code
            assert outcome == model.take(source, sequence, minute, change)
        stored = world.register.get_card(card.card_ref)
        assert (stored.status, stored.sequence) == (model.status, model.count)
        assert world.value(credential.list_id, credential.index) == model.value


class Model:
    """What design says of a card's events, without a database."""

    def __init__(self) -> None:
        self.status, self.count = CardStatus.NORMAL, 0
        self.seen: dict[tuple[str, int], CardChange] = {}
        self.times: list[tuple[str, int]] = []

    def take(self, source: str, number: int | None, minute: int, change: CardChange) -> str:
        if number is not None:
            if (source, number) in self.seen:
                return "repeated" if self.seen[source, number] is change else "card_event_differs"
            if any(sender == source and number < seen for sender, seen in self.seen):
                return "card_change_superseded"
        origins, target = ALLOWED_CHANGES[change]
        if not (source and target is self.status):
            if self.status not in origins:
                return "card_change_impossible"
            newer = any(other != source and minute < at for other, at in self.times)
            if source and newer and target is CardStatus.NORMAL:
                return "card_change_superseded"
        if number is not None:
            self.seen[source, number] = change
        self.status, self.count = target, self.count + 1
        self.times.append((source, minute))
        return "applied"

    @property
    def value(self) -> int:
        return {CardStatus.NORMAL: 0, CardStatus.CANCELLED: 1}.get(self.status, 2)


class ReplacementContract:
    def test_the_same_ecard_moves_to_the_new_chip(self, register: Register, world: World) -> None:
        old = world.card()
        before = world.issue(old)
        new = world.second_card(old)
        proof = world.prove(new, ChipAssurance.SIGNATURE)
        world.outbox()
        result = world.replaced(old, new, proof.enrolment_id)
        assert (result.event.change, result.event.successor) == (CardChange.REPLACE, new.card_ref)
        assert register.get_card(old.card_ref).status is CardStatus.CANCELLED
        assert world.value(before.list_id, before.index) == 1
        assert register.card_of_ecard(before.ecard_id) == new.card_ref
        assert register.find_binding(old.card_ref) is None
        bound = register.find_binding(new.card_ref)
        assert bound is not None
        assert (bound.state, bound.ecard_id, bound.assurance) == (
            BindingState.LIVE,
            before.ecard_id,
            ChipAssurance.SIGNATURE,
        )
        assert sorted((row.kind, row.card_ref) for row in world.outbox()) == sorted(
            [(OutboxKind.STATUS, old.card_ref), (OutboxKind.REBOUND, new.card_ref)]
        )
        after = world.renew(new, before.ecard_id)
        assert world.value(after.list_id, after.index) == 0
        assert world.value(before.list_id, before.index) == 1

    def test_without_a_proof_the_new_binding_waits_for_one(self, register: Register, world: World) -> None:
        old = world.card()
        before = world.issue(old)
        new = world.second_card(old)
        world.replaced(old, new)
        bound = register.find_binding(new.card_ref)
        assert bound is not None
        assert bound.state is BindingState.AWAITING
        with refused(Conflict, "chip_already_bound"):
            world.plan(new)
        world.renew(new, before.ecard_id, ChipAssurance.READ)
        bound = register.find_binding(new.card_ref)
        assert bound is not None
        assert (bound.state, bound.assurance) == (BindingState.LIVE, ChipAssurance.READ)

    def test_a_repeated_replacement_changes_nothing(self, register: Register, world: World) -> None:
        old = world.card()
        world.issue(old)
        new, third = world.second_card(old), world.second_card(old)

        def replace_by(card_ref: str) -> ChangeResult:
            return register.replace_card(old.card_ref, card_ref, event_id="e", occurred_at=NOW, now=LATER)

        assert replace_by(new.card_ref).applied is True
        assert replace_by(new.card_ref).applied is False
        with refused(Conflict, "card_event_differs"):
            replace_by(third.card_ref)

    def test_a_sender_may_tell_of_a_replacement_that_we_know(self, register: Register, world: World) -> None:
        old = world.card()
        before = world.issue(old)
        new, third = world.second_card(old), world.second_card(old)
        world.replaced(old, new)
        with refused(RuleViolation, "card_change_impossible"):
            world.replaced(old, third, source="s")
        assert world.replaced(old, new, source="s").event.previous is CardStatus.CANCELLED
        assert register.card_of_ecard(before.ecard_id) == new.card_ref
        with refused(RuleViolation, "card_change_impossible"):
            world.replaced(old, new)

    def test_a_replacement_is_refused_for_each_reason(self, register: Register, world: World) -> None:
        old = world.card()
        issued = world.issue(old)
        bound = world.second_card(old)
        world.issue(bound)
        new = world.second_card(old)
        cases = [
            (RuleViolation, "replacement_of_other_holder", world.card(), None),
            (RuleViolation, "replacement_by_cancelled_card", world.second_card(old, CardStatus.CANCELLED), None),
            (RuleViolation, "replacement_needs_new_card", old, None),
            (Conflict, "chip_already_bound", bound, None),
            (NotFound, "enrolment_unknown", new, ref()),
            (RuleViolation, "enrolment_not_proven", new, world.open().enrolment_id),
            (RuleViolation, "enrolment_not_proven", new, world.prove(bound).enrolment_id),
        ]
        for kind, code, card, enrolment_id in cases:
            with refused(kind, code):
                world.replaced(old, card, enrolment_id)
        late = world.prove(new)
        with refused(RuleViolation, "enrolment_expired"):
            register.replace_card(
                old.card_ref,
                new.card_ref,
                event_id=ref(),
                occurred_at=NOW,
                now=NOW + timedelta(hours=1),
                enrolment_id=late.enrolment_id,
            )
        assert register.get_card(old.card_ref).status is CardStatus.NORMAL
        assert world.value(issued.list_id, issued.index) == 0
        with refused(RuleViolation, "card_change_impossible"):
            world.replaced(world.second_card(old, CardStatus.SEALED), new)

    def test_an_issuance_in_flight_on_the_old_card_ends(self, register: Register, world: World) -> None:
        old = world.card()
        plan = world.plan(old)
        new = world.second_card(old)
        world.replaced(old, new)
        with refused(RuleViolation, "card_status_differs"):
            world.commit(plan)
        assert register.void_plan(old.card_ref, plan.plan_id, LATER) is True
        assert register.find_binding(old.card_ref) is None
        assert register.card_of_ecard(plan.ecard_id) is None
        world.issue(new)
