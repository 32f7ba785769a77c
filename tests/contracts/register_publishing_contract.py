"""The register's contract, part four: status lists, outbox and feed, operators."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from ecard_card.errors import Conflict, NotFound
from ecard_card.status import CardChange, EcardStatus
from ecard_issuer.ports import Register
from ecard_issuer.rows import FeedEntry, OperatorRow
from ecard_issuer.states import ListState
from tests.contracts.register_world import LATER, NOW, World, feed_entry, ref, refused

LEASE = timedelta(seconds=30)
#: The size of the lists that the register under test opens.
LIST_SIZE = 20


def source(seed: int) -> Callable[[int], int]:
    """A random source that repeats itself."""
    return random.Random(seed).randrange  # noqa: S311 - repeatable on purpose


class StatusListContract:
    def test_indexes_are_never_given_out_twice_and_lists_open_when_full(self, register: Register, world: World) -> None:
        slots = []
        for number in range(40):
            plan = world.plan(world.card())
            slots.append((plan.list_id, plan.index))
            if number % 3 == 0:
                register.void_plan(plan.card_ref, plan.plan_id, NOW)
        assert len(set(slots)) == 40
        lists = register.status_lists()
        assert [item.state for item in lists] == [ListState.FULL, ListState.FULL, ListState.OPEN]
        assert [item.size for item in lists] == [LIST_SIZE] * 3
        per_list = [sum(1 for list_id, _ in slots if list_id == item.list_id) for item in lists]
        assert per_list == [16, 16, 8]  # 80 % of 20
        voided = {slot for number, slot in enumerate(slots) if number % 3 == 0}
        found = {
            (item.list_id, index)
            for item in lists
            for index, value in register.status_snapshot(item.list_id).entries
            if value == 1
        }
        assert found == voided
        assert register.status_lists(after=lists[0].list_id, limit=1) == (lists[1],)

    def test_a_proposal_follows_the_callers_random_source(self, register: Register) -> None:
        first = register.free_slot(NOW, source(1))
        assert register.free_slot(NOW, source(1)) == first
        proposed = {register.free_slot(NOW, source(seed)).index for seed in range(30)}
        assert len(proposed) > 8

    def test_one_entry_says_what_its_card_says(self, register: Register, world: World) -> None:
        plan = world.plan(world.card())
        assert register.status_value(plan.list_id, plan.index) is EcardStatus.VALID
        register.void_plan(plan.card_ref, plan.plan_id, NOW)
        assert register.status_value(plan.list_id, plan.index) is EcardStatus.INVALID
        free = next(index for index in range(LIST_SIZE) if index != plan.index)
        for list_id, index in ((plan.list_id, free), (7, 0), (-1, 0), (2**70, 0), (plan.list_id, 2**70)):
            assert register.status_value(list_id, index) is None

    def test_an_unknown_list_is_not_found(self, register: Register) -> None:
        for list_id in (7, -1, 2**70):
            with refused(NotFound, "status_list_unknown"):
                register.status_snapshot(list_id)


class FeedContract:
    def test_a_cards_events_are_dispatched_in_order_one_at_a_time(self, register: Register, world: World) -> None:
        card, other = world.card(), world.card()
        for change in (CardChange.REPORT_LOSS, CardChange.RELEASE, CardChange.LOCK):
            world.change(card, change)
        world.change(other, CardChange.LOCK)
        first = register.claim_outbox(LATER, lease=LEASE)
        assert register.oldest_pending() == LATER
        assert {(row.card_ref, row.ordinal) for row in first} == {(card.card_ref, 1), (other.card_ref, 1)}
        assert register.claim_outbox(LATER, lease=LEASE) == ()
        again = register.claim_outbox(LATER + LEASE, lease=LEASE)
        assert again == first
        register.append_feed("s", 0, [feed_entry(row) for row in first], LATER)
        (second,) = register.claim_outbox(LATER, lease=LEASE)
        assert (second.card_ref, second.ordinal) == (card.card_ref, 2)

    def test_a_stream_has_no_gaps_and_settles_each_row_once(self, register: Register, world: World) -> None:
        for _ in range(3):
            world.change(world.card(), CardChange.LOCK)
        rows = register.claim_outbox(LATER, lease=LEASE)
        pair = [FeedEntry(rows[0].card_ref, rows[0].outbox_id, token) for token in ("a", "b")]
        appended = register.append_feed("s", 0, [*pair, feed_entry(rows[1])], LATER)
        assert [row.seq for row in appended] == [1, 2, 3]
        assert register.read_feed("s") == appended
        assert register.read_feed("s", after=1, limit=1) == appended[1:2]
        assert register.read_feed("s", after=3) == register.read_feed("s", after=2**70) == ()
        assert (register.feed_head("s"), register.feed_head("other")) == (3, 0)
        with refused(Conflict, "feed_moved"):
            register.append_feed("s", 0, [feed_entry(rows[2])], LATER)
        with refused(Conflict, "outbox_settled"):
            register.append_feed("s", 3, [feed_entry(rows[2]), feed_entry(rows[1])], LATER)
        assert register.feed_head("s") == 3
        assert register.append_feed("s", 3, [], LATER) == ()
        assert register.append_feed("s", 3, [feed_entry(rows[2])], LATER)[0].seq == 4
        assert register.claim_outbox(LATER + 2 * LEASE, lease=LEASE) == ()
        assert register.oldest_pending() is None


class OperatorsContract:
    def test_an_operator_is_known_until_revoked(self, register: Register) -> None:
        operator = OperatorRow(ref(), "first", "operator", NOW)
        assert register.has_operators() is False
        register.add_operator(operator)
        assert register.has_operators() is True
        assert register.find_operator(operator.token_hash) == operator
        assert register.find_operator(ref()) is None
        with refused(Conflict, "operator_exists"):
            register.add_operator(operator)
        for _ in range(2):
            register.revoke_operators([operator.token_hash], LATER)
        assert register.find_operator(operator.token_hash) is None
        younger = OperatorRow(ref(), "second", "verifier", LATER)
        register.add_operator(younger)
        assert register.list_operators() == (replace(operator, revoked_at=LATER), younger)
        with refused(NotFound, "operator_unknown"):
            register.revoke_operators([younger.token_hash, ref()], LATER)
        assert register.find_operator(younger.token_hash) == younger
