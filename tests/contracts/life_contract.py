"""What every store of cases and reviews keeps to: once, at once, after a crash, and beside the card's own changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, event

from ecard_card.acting import Channel, Ground
from ecard_card.errors import Conflict, NotFound, RuleViolation
from ecard_card.region_policy import STRICT, LossEnd, RegionPolicy
from ecard_card.status import CardChange, CardStatus, Effect
from ecard_issuer.life import rules
from ecard_issuer.life.reviews import SqlReviews
from ecard_issuer.life.rules import Decision
from ecard_issuer.life.sql import SqlCases
from ecard_issuer.life.values import CaseKind, CaseRow, CaseState, LossKind, ReplacementReason
from ecard_issuer.register import SqlRegister
from ecard_issuer.rows import CardRow, CredentialRow
from ecard_issuer.states import BindingState
from tests.contracts.register_race import race
from tests.contracts.register_world import LATER, NOW, World, ref, refused

LENIENT = RegionPolicy(effects={**STRICT.effects, CardStatus.TEMPORARILY_LOST: Effect.ALLOW})


@dataclass
class Book:
    """A policy for all regions, and when it became that."""

    policy: RegionPolicy = STRICT
    since: datetime = NOW

    def policy_of(self, region: str, now: datetime) -> RegionPolicy:
        return self.policy if now >= self.since else STRICT

    def changes(self, since: datetime, until: datetime) -> list[str]:
        return ["350000"] if since < self.since <= until else []


@dataclass
class Store:
    engine: Engine
    book: Book
    world: World
    cases: SqlCases
    reviews: SqlReviews

    def draft(self, card: CardRow, kind: CaseKind = CaseKind.LOSS, case_id: str | None = None) -> CaseRow:
        return CaseRow(
            card_ref=card.card_ref,
            case_id=case_id or ref(),
            kind=kind,
            state=CaseState.DONE,
            why="temporary",
            fingerprint="f",
            caller="desk",
            channel=Channel.DESK,
            ground=Ground.OWN,
            mandate_id=None,
            applied=False,
            opened_at=NOW,
            changed_at=NOW,
        )

    def lose(self, card: CardRow, days: int = 10, end: LossEnd = LossEnd.ESCALATE) -> CaseRow:
        due = NOW + timedelta(days=days)
        decision = Decision(CaseState.OPEN, CardChange.REPORT_TEMPORARY_LOSS, due_at=due, due_end=end)
        return self.cases.open_case(self.draft(card), lambda card, policy: decision, NOW).case

    def order(self, card: CardRow, reason: ReplacementReason = ReplacementReason.DAMAGE) -> CaseRow:
        draft = self.draft(card, CaseKind.REPLACEMENT)
        return self.cases.open_case(draft, lambda c, policy: rules.order(reason, c, policy, NOW), NOW).case

    def status(self, card: CardRow) -> CardStatus:
        return self.world.register.get_card(card.card_ref).status

    def value(self, credential: CredentialRow) -> int:
        return self.world.value(credential.list_id, credential.index)


def store_over(engine: Engine, list_size: int) -> Store:
    book = Book()
    register = SqlRegister(engine, policy_of=book.policy_of, list_size=list_size)
    cases, reviews = SqlCases(engine, policy_of=book.policy_of), SqlReviews(engine, policy_of=book.policy_of)
    return Store(engine, book, World(register), cases, reviews)


class LifeContract:
    def test_a_case_is_opened_once_and_says_what_it_did(self, store: Store) -> None:
        card = store.world.card()
        credential = store.world.issue(card)
        case = store.lose(card)
        assert (case.state, case.applied, case.due_end) == (CaseState.OPEN, True, LossEnd.ESCALATE)
        assert (store.status(card), store.value(credential)) == (CardStatus.TEMPORARILY_LOST, 2)
        again = store.cases.open_case(store.draft(card, case_id=case.case_id), lambda c, p: Decision(), LATER)
        assert again.case == case == store.cases.find_case(case.case_id)
        assert store.cases.cases_of(card.card_ref) == (case,)
        other = replace(store.draft(card, case_id=case.case_id), fingerprint="g")
        with refused(Conflict, "request_differs"):
            store.cases.open_case(other, lambda c, p: Decision(), NOW)
        with refused(Conflict, "request_differs"):  # of another card: its own place is not looked at
            store.cases.open_case(
                replace(store.draft(store.world.card(), case_id=case.case_id), fingerprint="g"),
                lambda c, p: Decision(),
                NOW,
            )
        assert store.cases.find_case(ref()) is None
        with refused(NotFound, "card_unknown"):
            store.cases.open_case(replace(store.draft(card), card_ref=ref()), lambda c, p: Decision(), NOW)

    def test_what_the_judge_refuses_leaves_nothing(self, store: Store) -> None:
        card = store.world.card(CardStatus.CANCELLED)
        draft = store.draft(card)
        with refused(RuleViolation, "card_change_impossible"):
            store.cases.open_case(draft, lambda c, p: rules.loss(LossKind.FORMAL, c, p, NOW), NOW)
        assert store.cases.find_case(draft.case_id) is None

    @pytest.mark.parametrize(
        ("end", "status"),
        [
            (LossEnd.RELEASE, CardStatus.NORMAL),
            (LossEnd.ESCALATE, CardStatus.LOST),
            (LossEnd.CANCEL, CardStatus.CANCELLED),
        ],
    )
    def test_terms_end_once_by_whichever_worker(self, store: Store, end: LossEnd, status: CardStatus) -> None:
        cards = [store.world.card() for _ in range(3)]
        for card in cards:
            store.lose(card, end=end)
        assert store.cases.end_due(NOW + timedelta(days=9)) == 0
        late = NOW + timedelta(days=400)
        race(*[lambda: store.cases.end_due(late)] * 4)
        for card in cards:
            assert store.status(card) is status
            assert len(store.world.register.events_of(card.card_ref)) == 2
        assert store.cases.end_due(late) == 0

    def test_a_loss_that_something_else_ended_is_left_alone(self, store: Store) -> None:
        card = store.world.card()
        first = store.lose(card, days=1)
        store.world.change(card, CardChange.RELEASE)
        second = store.lose(card, days=5)
        ended = store.cases.find_case(first.case_id)
        assert ended is not None
        assert (ended.state, ended.due_at) == (CaseState.ENDED, None)
        assert store.cases.end_due(NOW + timedelta(days=2)) == 0
        assert store.status(card) is CardStatus.TEMPORARILY_LOST
        store.world.change(card, CardChange.REPORT_LOSS, source="s", at=NOW)
        assert store.cases.end_due(NOW + timedelta(days=6)) == 1
        assert store.status(card) is CardStatus.LOST
        assert len(store.world.register.events_of(card.card_ref)) == 4
        assert getattr(store.cases.find_case(second.case_id), "state", None) is CaseState.ENDED

    def test_twenty_reports_at_once_and_one_replacement(self, store: Store) -> None:
        card = store.world.card()

        def report(kind: LossKind) -> Callable[[], object]:
            draft = store.draft(card)
            return lambda: store.cases.open_case(draft, lambda c, p: rules.loss(kind, c, p, NOW), NOW)

        assert race(*[report(LossKind.FORMAL) for _ in range(20)]) == {"won": 20}
        (event_,) = store.world.register.events_of(card.card_ref)
        assert event_.change is CardChange.REPORT_LOSS
        assert [case.applied for case in store.cases.cases_of(card.card_ref)].count(True) == 1
        reason = ReplacementReason.LOSS
        ended = race(*[lambda: store.order(card, reason)] * 6)
        assert ended == {"won": 1, "replacement_under_way": 5}

    def test_the_ecard_waits_on_a_cancelled_card_for_the_new_one(self, store: Store) -> None:
        world, register = store.world, store.world.register
        old = world.card()
        before = world.issue(old)
        world.change(old, CardChange.REPORT_LOSS)
        case = store.order(old, ReplacementReason.LOSS)
        assert (store.status(old), store.value(before)) == (CardStatus.CANCELLED, 1)
        bound = register.find_binding(old.card_ref)
        assert bound is not None
        new = world.second_card(old, CardStatus.SEALED)
        with refused(RuleViolation, "replacement_step_impossible"):
            store.cases.collect(case.case_id, None, None, "desk", NOW)
        with refused(RuleViolation, "replacement_of_other_holder"):
            store.cases.advance(case.case_id, CaseState.MADE, "s", NOW, new_card_ref=world.card().card_ref)
        with refused(RuleViolation, "replacement_needs_new_card"):
            store.cases.advance(case.case_id, CaseState.MADE, "s", NOW, new_card_ref=old.card_ref)
        store.cases.advance(case.case_id, CaseState.MADE, "s", NOW, new_card_ref=new.card_ref)
        with refused(Conflict, "request_differs"):
            other = world.second_card(old).card_ref
            store.cases.advance(case.case_id, CaseState.MADE, "s", NOW, new_card_ref=other)
        done = race(*[lambda: store.cases.collect(case.case_id, None, None, "desk", NOW)] * 4)
        assert done == {"won": 4}
        assert register.find_binding(old.card_ref) is None
        moved = register.find_binding(new.card_ref)
        assert moved is not None
        assert (moved.ecard_id, moved.state) == (before.ecard_id, BindingState.AWAITING)
        assert store.status(new) is CardStatus.NORMAL
        assert [e.change for e in register.events_of(old.card_ref)] == ["report_loss", "cancel", "replace"]
        assert register.get_card(old.card_ref).replacing is False

    def test_a_phone_goes_on_with_the_new_card_once(self, store: Store) -> None:
        world, register = store.world, store.world.register
        old = world.card()
        before = world.issue(old)
        new = world.second_card(old)
        plain = world.draft(new, world.open(), before.ecard_id)
        follower = replace(
            plain,
            enrolment_id="",
            renewal=True,
            replaces=before.credential_id,
            device_key_thumbprint=before.device_key_thumbprint,
        )
        with refused(Conflict, "ecard_not_bound_here"):
            register.plan_issuance(follower, NOW)
        world.replaced(old, new)
        with refused(Conflict, "ecard_not_bound_here"):  # awaits a proof of the new chip
            register.plan_issuance(follower, NOW)
        world.renew(new, before.ecard_id)
        slot = register.free_slot(NOW)  # what was free before may have been taken since
        follower = replace(follower, list_id=slot.list_id, index=slot.index)
        stolen = replace(follower, device_key_thumbprint=b"x" * 32)
        with refused(Conflict, "credential_not_replaced"):
            register.plan_issuance(stolen, NOW)
        with refused(NotFound, "credential_unknown"):
            register.plan_issuance(replace(follower, replaces=b"y" * 16), NOW)
        register.plan_issuance(follower, NOW)
        slot = register.free_slot(NOW)
        rival = replace(follower, plan_id=ref(), list_id=slot.list_id, index=slot.index)
        with refused(Conflict, "issuance_in_progress"):
            register.plan_issuance(rival, NOW)
        fresh = world.commit(follower)
        assert [row.credential_id for row in register.line_of(before.credential_id)] == [
            before.credential_id,
            fresh.credential_id,
        ]
        assert register.collect_successor(before.credential_id, LATER) == fresh
        with refused(Conflict, "credential_already_replaced"):
            register.plan_issuance(rival, NOW)
        assert (store.value(before), store.value(fresh)) == (1, 0)

    def test_a_cancellation_of_the_whole_person_ends_what_waits(self, store: Store) -> None:
        world, register = store.world, store.world.register
        first = world.card()
        issued = world.issue(first)
        second = world.second_card(first)
        gone = world.second_card(first, CardStatus.CANCELLED)
        world.change(first, CardChange.REPORT_LOSS)
        order = store.order(first, ReplacementReason.LOSS)
        draft = store.draft(second, CaseKind.CANCELLATION)
        outcome = store.cases.open_case(draft, lambda c, p: rules.cancel(c), NOW, whole_person=True)
        assert outcome.also == (first.card_ref,)
        assert {store.status(card) for card in (first, second, gone)} == {CardStatus.CANCELLED}
        assert register.find_binding(first.card_ref) is None
        assert register.ended_bindings(first.card_ref)[0].ecard_id == issued.ecard_id
        assert getattr(store.cases.find_case(order.case_id), "state", None) is CaseState.WITHDRAWN
        with refused(RuleViolation, "replacement_step_impossible"):
            store.cases.advance(order.case_id, CaseState.READY, "s", NOW)

    def test_the_holders_word_and_time_bear_on_the_entries(self, store: Store) -> None:
        world = store.world
        card = world.card()
        credential = world.issue(card)
        for change, value in (
            (CardChange.HOLDER_LOCK, 2),
            (CardChange.REPORT_LOSS, 2),
            (CardChange.RELEASE, 2),
            (CardChange.HOLDER_UNLOCK, 0),
        ):
            world.change(card, change)
            assert store.value(credential) == value
        for change in (CardChange.HOLDER_UNLOCK, CardChange.WITHDRAW_CONSENT, CardChange.REVIEW):
            with refused(RuleViolation, "card_change_impossible"):
                world.change(card, change)
        with refused(RuleViolation, "card_change_impossible"):
            world.change(card, CardChange.HOLDER_LOCK, source="s")

    def test_expired_cards_are_reviewed_in_pieces_once(self, store: Store) -> None:
        world = store.world
        cards = [world.card() for _ in range(3)]
        credentials = [world.issue(card) for card in cards]
        last = datetime(2034, 1, 1, 15, 59, 59, tzinfo=NOW.tzinfo)
        assert store.reviews.review_expired(last) == 0
        after = last + timedelta(seconds=1)
        world.outbox()
        assert [store.reviews.review_expired(after, limit=2) for _ in range(3)] == [2, 1, 0]
        assert [store.value(credential) for credential in credentials] == [2, 2, 2]
        told = world.outbox(after)
        assert {(row.body["change"], row.body["sequence"]) for row in told} == {("review", 1)}
        assert len(told) == 3

    def test_a_new_policy_is_worked_in_piece_by_piece_and_goes_on_after_a_crash(self, store: Store) -> None:
        world = store.world
        cards = [world.card() for _ in range(5)]
        credentials = [world.issue(card) for card in cards]
        for card in cards:
            world.change(card, CardChange.REPORT_TEMPORARY_LOSS)
        while store.reviews.review_policies(store.book.changes, NOW):
            pass
        store.book.policy, store.book.since = LENIENT, NOW + timedelta(hours=1)
        at = NOW + timedelta(hours=2)
        assert store.reviews.review_policies(store.book.changes, NOW + timedelta(minutes=59)) == 0
        assert store.reviews.review_policies(store.book.changes, at, limit=2) == 2
        assert sorted(store.value(credential) for credential in credentials) == [0, 0, 2, 2, 2]
        with pytest.raises(ZeroDivisionError):  # in the middle of a piece
            crash(store.engine, lambda: store.reviews.review_policies(store.book.changes, at, limit=2))
        assert sorted(store.value(credential) for credential in credentials) == [0, 0, 2, 2, 2]
        store.book.policy = STRICT  # taken back while the walk is under way: noticed, and walked anew
        store.book.since = at + timedelta(minutes=1)
        more = at + timedelta(hours=1)
        assert [store.reviews.review_policies(store.book.changes, more, limit=2) for _ in range(3)] == [2, 1, 0]
        assert store.reviews.review_policies(store.book.changes, more, limit=10) == 5
        assert [store.value(credential) for credential in credentials] == [2] * 5
        assert store.reviews.review_policies(store.book.changes, more) == 0
        store.reviews.review_region("350100", more)
        assert store.reviews.review_policies(store.book.changes, more) == 5
        store.reviews.review_region("360000", more)
        assert store.reviews.review_policies(store.book.changes, more) == 0


def crash(engine: Engine, work: Callable[[], object]) -> None:
    """Do `work` and fail where it would write down how far it has come."""

    def strike(connection: object, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE policy_review"):
            raise ZeroDivisionError

    event.listen(engine, "before_cursor_execute", strike)
    try:
        work()
    finally:
        event.remove(engine, "before_cursor_execute", strike)
