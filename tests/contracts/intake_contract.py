"""One suite for every adapter of `ecard_issuer.intake.ports.IntakeStore`.

Use: subclass `IntakeContract` and give it fixtures `store` and `register` over one empty store.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from ecard_card.errors import Conflict, EcardError, NotFound
from ecard_card.status import CardChange, CardStatus
from ecard_issuer.change_order import Reported
from ecard_issuer.intake.ports import ExceptionRow, GapRow, IntakeStore, ReconciliationRow, RunRow
from ecard_issuer.intake.sources import SourceRow
from ecard_issuer.intake.states import ExceptionState
from ecard_issuer.ports import Register
from ecard_issuer.rows import CardEventRow, CardRow, ChangeResult, HolderRow
from tests.contracts.register_world import LATER, NOW, World, ref, refused
from tests.issuer.intake.kit import CardSystem

MINUTE = timedelta(minutes=1)


def exception(**changes: object) -> ExceptionRow:
    row = ExceptionRow(
        ref(), "county", "card_unknown", "e1", NOW, NOW, card_ref=ref(), number_mac=ref(), change=CardChange.LOCK,
        sequence=1, occurred_at=NOW, next_try_at=LATER,
    )  # fmt: skip
    return replace(row, **changes)  # type: ignore[arg-type]


def draft(holder: HolderRow | None = None, **changes: object) -> tuple[CardRow, HolderRow, CardEventRow | None]:
    person = holder or HolderRow(ref(), secrets.token_bytes(8), b"sealed person")
    row = CardRow(
        ref(), "350100", ref(), person.holder_ref, "gen3", b"sealed", CardStatus.NORMAL, NOW.date(),
        (NOW + timedelta(days=1)).date(), NOW, NOW,
    )  # fmt: skip
    return replace(row, **changes), person, None  # type: ignore[arg-type]


def reported(change: CardChange = CardChange.LOCK, sequence: int = 1) -> Reported:
    return Reported(change, f"e{sequence}", NOW, "county", sequence)


class SourcesContract:
    def test_a_source_is_kept_changed_and_ended(self, store: IntakeStore) -> None:
        first = SourceRow(CardSystem("county").source(), NOW, "admin", b"key", b"token")
        store.put_source(first, NOW, grant=None)
        assert store.get_source("county") == first
        second = SourceRow(CardSystem("county").source(regions=("330100",)), LATER, "other")
        store.put_source(second, LATER, grant=None)
        store.put_source(SourceRow(CardSystem("another").source(), NOW, "admin"), NOW, grant=None)
        assert [row.source.name for row in store.list_sources()] == ["another", "county"]
        assert store.get_source("county") == second
        store.end_source("county", LATER)
        with refused(NotFound, "source_unknown"):
            store.get_source("county")
        with refused(NotFound, "source_unknown"):
            store.end_source("county", LATER)
        store.put_source(second, LATER, grant=None)
        assert store.get_source("county") == second


class ExceptionsContract:
    def test_one_exception_is_one_row_however_often_it_comes(self, store: IntakeStore) -> None:
        row = exception()
        store.note(row)
        store.note(replace(row, last_seen=LATER, code="card_ambiguous", next_try_at=None))
        kept = store.get_exception(row.exception_ref)
        assert (kept.count, kept.first_seen, kept.last_seen, kept.code) == (2, NOW, LATER, "card_ambiguous")
        assert kept.next_try_at is None

    def test_what_was_dismissed_stays_so_and_what_was_resolved_opens_again(self, store: IntakeStore) -> None:
        for state, after in ((ExceptionState.DISMISSED, ExceptionState.DISMISSED), (ExceptionState.RESOLVED, "open")):
            row = exception()
            store.note(row)
            settled = store.settle(row.exception_ref, state, "admin", LATER, "why")
            assert (settled.state, settled.decided_by, settled.decision) == (state, "admin", "why")
            with refused(Conflict, "exception_settled"):
                store.settle(row.exception_ref, state, "admin", LATER, "why")
            store.note(row)
            assert store.get_exception(row.exception_ref).state == after
        with refused(NotFound, "exception_unknown"):
            store.settle(ref(), ExceptionState.RESOLVED, "admin", LATER, "")
        with refused(NotFound, "exception_unknown"):
            store.get_exception(ref())

    def test_open_ones_come_in_pages_and_are_counted(self, store: IntakeStore) -> None:
        rows = [exception(first_seen=NOW + n // 2 * MINUTE) for n in range(7)]
        for row in rows:
            store.note(row)
        found: list[ExceptionRow] = []
        while page := store.open_exceptions(
            (found[-1].first_seen, found[-1].exception_ref) if found else None, limit=2
        ):
            found += page
        assert found == sorted(rows, key=lambda row: (row.first_seen, row.exception_ref))
        assert store.counts() == {"card_unknown": 7}

    def test_what_is_due_and_what_waits_for_a_card(self, store: IntakeStore) -> None:
        late, early, never = (exception(next_try_at=when, sequence=n) for n, when in enumerate((LATER, NOW, None)))
        for row in (late, early, never):
            store.note(row)
        assert store.due_exceptions(NOW, 9) == (early,)
        assert store.due_exceptions(LATER, 9) == (early, late)
        store.tried(early.exception_ref, "card_ambiguous", None)
        again = store.get_exception(early.exception_ref)
        assert (again.tries, again.code, again.next_try_at) == (1, "card_ambiguous", None)
        assert store.waiting_for(str(late.card_ref), ref()) == (late,)
        assert store.waiting_for(ref(), str(never.number_mac)) == (never,)
        assert store.waiting_among([str(late.card_ref), ref()]) == {late.card_ref}
        store.settle(late.exception_ref, ExceptionState.RESOLVED, "", LATER, "")
        assert store.waiting_for(str(late.card_ref), str(late.number_mac)) == ()


class GapsContract:
    def test_a_gap_shrinks_with_each_late_arrival(self, store: IntakeStore) -> None:
        gap = GapRow(ref(), "county", 2, 5, NOW)
        store.open_gap(gap)
        for sequence, left in ((4, [(2, 3), (5, 5)]), (2, [(3, 3), (5, 5)]), (9, [(3, 3), (5, 5)]), (3, [(5, 5)])):
            store.close_gap(gap.card_ref, "county", sequence, LATER)
            assert sorted((row.first, row.last) for row in store.gaps("county")) == left
        store.open_gap(gap)  # what noticed it is repeated
        store.close_gap(gap.card_ref, "county", 5, LATER)
        assert store.gaps() == ()
        store.open_gap(replace(gap, source="other"))
        assert store.gaps("county") == ()
        assert len(store.gaps()) == 1


class RecordsContract:
    def test_runs_and_comparisons_are_kept(self, store: IntakeStore) -> None:
        run = RunRow(ref(), "cards", "county", 10, 1, "d", {"registered": 1}, False, NOW, NOW)
        store.save_run(run)
        further = replace(run, offset=20, counts={"registered": 2}, finished=True)
        store.save_run(further)
        store.save_run(replace(run, run_id=ref(), source="other"))
        assert store.runs_of("cards", "county") == (further,)
        report = ReconciliationRow(secrets.token_hex(32), "000000", 3, {"status_differs": 1}, NOW)
        store.save_reconciliation(report)
        store.save_reconciliation(replace(report, compared=9))
        assert store.get_reconciliation(report.report_digest) == report
        assert store.begin_repair(report.report_digest, "admin", LATER, grant=None)
        assert not store.begin_repair(report.report_digest, "other", LATER, grant=None)
        store.count_repairs(report.report_digest, {"repaired": 1})
        (kept,) = store.reconciliations()
        assert (kept.repaired_by, kept.repaired_at, kept.repairs) == ("admin", LATER, {"repaired": 1})
        with refused(NotFound, "report_unknown"):
            store.get_reconciliation("00")


class BulkContract:
    def test_many_cards_are_added_as_one_by_one(self, store: IntakeStore, register: Register) -> None:
        known, known_holder, _ = draft(chip_key_ref="k1")
        register.add_card(known, known_holder)
        person = HolderRow(ref(), b"key", b"sealed")
        drafts = [
            draft(person),
            draft(person, chip_key_ref="k2"),
            (known, known_holder, None),
            draft(chip_key_ref="k1"),
            draft(replace(known_holder, wrapped_data_key=b"another")),
            draft(chip_key_ref="k2"),
        ]
        drafts.append(drafts[0])
        run = RunRow(ref(), "cards", "county", 10, 1, "d", {}, False, NOW, NOW)
        seen: list[Sequence[object]] = []

        def checkpoint(outcomes: Sequence[object]) -> RunRow:
            seen.append(list(outcomes))
            return run

        outcomes = store.add_cards(drafts, checkpoint)
        assert outcomes == (
            "registered", "registered", "card_exists", "chip_key_taken", "holder_exists", "chip_key_taken",
            "card_exists",
        )  # fmt: skip
        assert seen == [list(outcomes)]
        assert store.runs_of("cards", "county") == (run,)
        assert register.get_card(drafts[1][0].card_ref) == drafts[1][0]
        assert register.card_of_chip_key("k2") == drafts[1][0].card_ref
        for row, _, _ in (drafts[3], drafts[4], drafts[5]):
            with refused(NotFound, "card_unknown"):
                register.get_card(row.card_ref)
        refs = [row.card_ref for row, _, _ in drafts]
        assert set(store.known_cards(refs)) == {refs[0], refs[1], refs[2]}
        assert store.known_holders([person.holder_ref, ref()]) == {person.holder_ref: person}
        assert store.known_numbers([known.number_mac]) == {known.number_mac: (known,)}
        assert [card.card_ref for card in store.all_cards()] == sorted(refs[:3])

    def test_many_changes_do_what_single_ones_do(self, store: IntakeStore, register: Register, world: World) -> None:
        cards = [world.card() for _ in range(3)]
        bound = world.card()
        world.issue(bound)
        world.outbox()
        batch = [(card.card_ref, reported()) for card in (*cards, bound)]
        batch[1] = (cards[1].card_ref, reported(CardChange.UNLOCK))
        batch[2] = (cards[2].card_ref, reported(CardChange.UNLOCK, 4))
        batch.append((ref(), reported()))
        first, echo, jump, with_ecard, unknown = store.apply_changes(batch, LATER)
        assert isinstance(first, ChangeResult)
        assert first.applied
        assert isinstance(echo, ChangeResult)
        assert echo.event.previous is echo.event.status
        assert isinstance(jump, ChangeResult)
        assert jump.event.missed == 3
        assert with_ecard is None
        assert unknown is None
        stored = register.get_card(cards[0].card_ref)
        assert (stored.status, stored.sequence, stored.updated_at) == (CardStatus.LOCKED, 1, LATER)
        assert register.events_of(cards[0].card_ref) == (first.event,)
        told = world.outbox()
        assert sorted(row.card_ref for row in told) == sorted(card.card_ref for card in cards)
        assert {row.ordinal for row in told} == {1}
        (again,) = store.apply_changes([(cards[0].card_ref, reported())], LATER)
        assert again == ChangeResult(False, first.event)
        late, impossible = store.apply_changes(
            [(cards[2].card_ref, reported(sequence=2)), (cards[0].card_ref, reported(CardChange.RELEASE, 2))], LATER
        )
        assert isinstance(late, EcardError)
        assert late.code == "card_change_superseded"
        assert isinstance(impossible, EcardError)
        assert impossible.code == "card_change_impossible"
        single = register.apply_change(
            cards[0].card_ref, CardChange.UNLOCK, event_id="own", occurred_at=LATER, now=LATER
        )
        assert single.event.sequence == 2
        assert register.get_card(bound.card_ref).status is CardStatus.NORMAL

    def test_rivals_register_each_card_once(self, store: IntakeStore, register: Register) -> None:
        drafts = [draft() for _ in range(40)]
        with ThreadPoolExecutor(4) as pool:
            outcomes = list(pool.map(lambda turn: store.add_cards(drafts[turn:] + drafts[:turn]), (0, 10, 20, 30)))
        assert sum(list(outcome).count("registered") for outcome in outcomes) == 40
        assert len(list(store.all_cards())) == 40


class IntakeContract(SourcesContract, ExceptionsContract, GapsContract, RecordsContract, BulkContract):
    @pytest.fixture
    def world(self, register: Register) -> World:
        return World(register)


__all__ = ["IntakeContract"]
