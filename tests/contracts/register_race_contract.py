"""The register's contract, part five: many at once, each on a connection of its own."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

from ecard_card.card import ChipAssurance
from ecard_card.errors import Conflict
from ecard_card.status import CardChange, CardStatus
from ecard_issuer.ports import Register
from ecard_issuer.rows import FeedEntry, SigningKeyRow
from tests.contracts.register_race import race
from tests.contracts.register_world import LATER, NOW, World, feed_entry, key_row, ref

THREADS = 12


class RaceContract:
    def test_one_chip_is_bound_by_exactly_one_of_many(self, register: Register, world: World) -> None:
        card = world.card()
        plans = [world.draft(card, world.prove(card)) for _ in range(THREADS)]
        plans = [replace(plan, index=number) for number, plan in enumerate(plans)]
        ended = race(*(lambda plan=plan: register.plan_issuance(plan, NOW) for plan in plans))
        assert ended == {"won": 1, "chip_already_bound": THREADS - 1}

    def test_one_ecard_is_taken_by_exactly_one_of_many_chips(self, register: Register, world: World) -> None:
        ecard_id = ref()
        cards = [world.card() for _ in range(THREADS)]
        plans = [
            replace(world.draft(card, world.prove(card), ecard_id), index=number) for number, card in enumerate(cards)
        ]
        ended = race(*(lambda plan=plan: register.plan_issuance(plan, NOW) for plan in plans))
        assert ended == {"won": 1, "ecard_already_bound": THREADS - 1}
        assert sum(register.find_binding(card.card_ref) is not None for card in cards) == 1

    def test_one_status_index_goes_to_exactly_one_of_many(self, register: Register, world: World) -> None:
        cards = [world.card() for _ in range(THREADS)]
        plans = [replace(world.draft(card, world.prove(card)), index=3) for card in cards]
        ended = race(*(lambda plan=plan: register.plan_issuance(plan, NOW) for plan in plans))
        assert ended == {"won": 1, "status_index_taken": THREADS - 1}

    def test_many_issuances_at_once_get_distinct_indexes(self, register: Register, world: World) -> None:
        cards = [world.card() for _ in range(THREADS * 2)]
        proofs = [world.prove(card) for card in cards]
        world.signing_key()

        def issue(number: int) -> tuple[int, int]:
            while True:
                plan = world.draft(cards[number], proofs[number])
                try:
                    register.plan_issuance(plan, NOW)
                except Conflict as conflict:
                    if conflict.code != "status_index_taken":
                        raise
                    continue
                world.commit(plan)
                return plan.list_id, plan.index

        with ThreadPoolExecutor(THREADS) as pool:
            slots = list(pool.map(issue, range(len(cards))))
        assert len(set(slots)) == len(cards)

    def test_one_waiting_key_is_added_by_exactly_one_of_many(self, register: Register) -> None:
        keys = [
            SigningKeyRow("event", f"{number:08x}", "next", b"\x04" + bytes(64), "ES256", "local", NOW)
            for number in range(THREADS)
        ]
        ended = race(*(lambda key=key: register.add_key(key) for key in keys))
        assert ended == {"won": 1, "next_key_exists": THREADS - 1}
        assert len(register.list_keys(["event"])) == 1

    def test_a_key_is_not_taken_from_under_an_issuance(self, register: Register, world: World) -> None:
        """A key promoted and its predecessor retired, while issuances name that one: it stays as long as one does."""
        kid = world.signing_key()
        for number in range(6):
            old, new = kid, f"bbbb{number:04x}"
            cards = [world.card() for _ in range(3)]
            plans = [
                replace(world.draft(card, world.prove(card)), index=number * 3 + place)
                for place, card in enumerate(cards)
            ]
            register.add_key(key_row(new))

            def rotate(old: str = old, new: str = new) -> None:
                register.activate_key("credential", new, NOW)
                register.retire_key("credential", old, NOW)

            ended = race(rotate, *(lambda plan=plan: register.plan_issuance(plan, NOW) for plan in plans))
            assert set(ended) <= {"won", "key_not_active", "key_still_named"}
            planned = register.key_usage("credential", old, NOW).planned
            state = next(key.state for key in register.list_keys(["credential"]) if key.kid == old)
            assert (state == "retired") == (planned == 0) == (ended["key_still_named"] == 0)
            assert ended["key_not_active"] == 3 - planned
            kid = new

    def test_one_challenge_is_consumed_by_exactly_one_of_many(self, register: Register, world: World) -> None:
        card, enrolment = world.card(), world.open()

        def prove() -> None:
            register.prove_enrolment(
                enrolment.enrolment_id,
                card_ref=card.card_ref,
                assurance=ChipAssurance.READ,
                evidence=b"",
                now=NOW,
            )

        assert race(*[prove] * THREADS) == {"won": 1, "enrolment_already_used": THREADS - 1}

    def test_a_plan_is_committed_or_voided_never_both(self, register: Register, world: World) -> None:
        for _ in range(6):
            plan = world.plan(world.card())
            ended = race(
                lambda plan=plan: world.commit(plan),  # type: ignore[misc]
                lambda plan=plan: register.void_plan(plan.card_ref, plan.plan_id, NOW),  # type: ignore[misc]
            )
            kept = register.find_credential(plan.credential_id) is not None
            assert ended == {"won": 1, "plan_committed" if kept else "plan_voided": 1}
            assert world.value(plan.list_id, plan.index) == (0 if kept else 1)

    def test_a_card_lost_while_being_issued_never_leaves_a_usable_ecard(self, register: Register, world: World) -> None:
        for _ in range(6):
            card = world.card()
            plan = world.plan(card)
            ended = race(
                lambda plan=plan: world.commit(plan),  # type: ignore[misc]
                lambda card=card: world.change(card, CardChange.REPORT_LOSS),  # type: ignore[misc]
            )
            if register.find_credential(plan.credential_id) is None:
                assert ended == {"won": 1, "card_status_differs": 1}
            else:
                assert ended == {"won": 2}
                assert world.value(plan.list_id, plan.index) == 2

    def test_the_same_event_from_many_senders_is_applied_once(self, register: Register, world: World) -> None:
        card = world.card()
        with ThreadPoolExecutor(THREADS) as pool:
            results = list(
                pool.map(
                    lambda _: world.change(card, CardChange.REPORT_LOSS, 1, "e", source="s").applied, range(THREADS)
                )
            )
        assert sorted(results) == [False] * (THREADS - 1) + [True]
        assert len(world.outbox()) == 1

    def test_crossed_replacements_do_not_lock_each_other_out(self, register: Register, world: World) -> None:
        for _ in range(4):
            first = world.card()
            second = world.second_card(first)
            ended = race(
                lambda first=first, second=second: world.replaced(first, second),  # type: ignore[misc]
                lambda first=first, second=second: world.replaced(second, first),  # type: ignore[misc]
            )
            assert ended in ({"won": 1, "card_change_impossible": 1}, {"won": 1, "replacement_by_cancelled_card": 1})
            states = {register.get_card(card.card_ref).status for card in (first, second)}
            assert states == {CardStatus.NORMAL, CardStatus.CANCELLED}

    def test_workers_share_the_outbox_without_loss_or_repetition(self, register: Register, world: World) -> None:
        cards = [world.card() for _ in range(8)]
        for card in cards:
            for change in (CardChange.REPORT_LOSS, CardChange.RELEASE, CardChange.LOCK):
                world.change(card, change)
        taken: list[tuple[str, int]] = []

        def append(entries: Sequence[FeedEntry]) -> None:
            while True:
                try:
                    register.append_feed("s", register.feed_head("s"), entries, LATER)
                    return
                except Conflict as conflict:
                    if conflict.code != "feed_moved":
                        raise

        def work(worker: int) -> None:
            # A rival may hold all that can be taken now; what it settles frees the next of that card.
            for _ in range(2000):
                if register.feed_head("s") == 24:
                    return
                rows = register.claim_outbox(LATER, lease=timedelta(minutes=1), limit=3)
                taken.extend((row.card_ref, row.ordinal) for row in rows)
                append([feed_entry(row) for row in rows])

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        assert len(taken) == len(set(taken)) == 24
        feed = register.read_feed("s")
        assert [row.seq for row in feed] == list(range(1, 25))
        for card in cards:
            assert [ordinal for card_ref, ordinal in taken if card_ref == card.card_ref] == [1, 2, 3]
