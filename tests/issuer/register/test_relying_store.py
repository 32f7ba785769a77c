"""`RelyingStore` and `AccountStore` on both engines: once, by keys of the store, however many ask at once."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event

from ecard_card.errors import CheckFailed, Conflict, EcardError, NotFound, RuleViolation
from ecard_issuer.accounts.sql import SqlAccounts
from ecard_issuer.accounts.values import AccountRow, PartnerBank
from ecard_issuer.register import SqlRegister
from ecard_issuer.relying.records import AccessRow, ConfirmationRow, SubjectRow, Used
from ecard_issuer.relying.sql import SqlRelying
from ecard_issuer.states import AccountState
from tests.contracts.register_world import LATER, NOW, World, ref, refused
from tests.issuer.relying.test_values import SERVICE


def access(holder_ref: str = "h", access_id: str = "a", request_hash: str = "r") -> AccessRow:
    return AccessRow(holder_ref, access_id, request_hash, b"sealed", NOW)


def outcomes(work: Callable[[int], object], people: int = 8) -> list[str]:
    """What each of several threads got: `ok`, or the code of its refusal."""

    def one(number: int) -> str:
        try:
            work(number)
        except EcardError as error:
            return error.code
        return "ok"

    with ThreadPoolExecutor(people) as pool:
        return sorted(pool.map(one, range(people)))


class StoreContract:
    def test_services_and_every_decision_about_them_are_kept(self, engine: Engine) -> None:
        store = SqlRelying(engine)
        assert store.find_service("jobs") is None
        store.save_service(SERVICE, "added", "anna", NOW)
        wider = replace(SERVICE, lines=(82, 83))
        store.save_service(wider, "changed", "ben", LATER)
        other = replace(SERVICE, service_id="pension")
        store.save_service(other, "added", "anna", NOW)
        assert store.find_service("jobs") == wider
        assert store.list_services() == (wider, other)
        assert store.list_services(after="jobs", limit=1) == (other,)
        assert [(item.number, item.action, item.changed_by) for item in store.service_changes("jobs")] == [
            (1, "added", "anna"),
            (2, "changed", "ben"),
        ]

    def test_of_many_changes_at_once_each_is_on_the_record(self, engine: Engine) -> None:
        store = SqlRelying(engine)
        got = outcomes(
            lambda number: store.save_service(replace(SERVICE, standing_days=number), "changed", f"p{number}", NOW)
        )
        assert got == ["ok"] * 8
        changes = store.service_changes("jobs")
        assert [item.number for item in changes] == [*range(1, 9)]
        assert changes[-1].service == store.find_service("jobs")

    def test_what_is_shown_is_used_once_and_a_repetition_changes_nothing(self, engine: Engine) -> None:
        store = SqlRelying(engine)
        used = Used("code", LATER)
        for _ in range(2):
            store.admit(access(), used, None)
        with refused(CheckFailed, "replayed"):
            store.admit(access(access_id="b", request_hash="other"), used, None)
        with refused(Conflict, "relying_request_differs"):
            store.admit(access(request_hash="other"), Used("another code", LATER), None)
        assert len(store.accesses_of("h")) == 1
        store.admit(access(access_id="c", request_hash="third"), Used("another code", LATER), None)  # was not used up

    def test_of_many_requests_with_one_code_one_is_admitted(self, engine: Engine) -> None:
        store = SqlRelying(engine)
        row = access()
        got = outcomes(
            lambda number: store.admit(
                replace(row, access_id=f"a{number}", request_hash=f"r{number}"), Used("code", LATER), None
            )
        )
        assert got == ["ok"] + ["replayed"] * 7
        assert len(store.accesses_of("h")) == 1

    def test_a_standing_permission_only_grows_and_is_forgotten_in_the_end(self, engine: Engine) -> None:
        store = SqlRelying(engine)
        row = SubjectRow("s", "jobs", "h", LATER)
        store.admit(access(), Used("one", NOW), row)
        store.admit(access(access_id="b"), Used("two", LATER), replace(row, until=NOW))
        assert store.find_subject("s") == row
        later = replace(row, until=LATER + timedelta(days=1))
        store.admit(access(access_id="c"), Used("three", LATER), later)
        assert store.subjects_of("h") == (later,)
        assert store.purge_used(LATER, 100) == 1  # one code
        assert store.purge_used(LATER + timedelta(days=2), 100) == 3
        assert store.find_subject("s") is None

    def test_accesses_are_forgotten_by_age_a_few_at_a_time(self, engine: Engine) -> None:
        store = SqlRelying(engine)
        for number in range(5):
            store.note(replace(access(access_id=str(number)), at=NOW + timedelta(days=number)))
        assert store.purge(NOW + timedelta(days=3), 2) == 2
        assert store.purge(NOW + timedelta(days=3), 2) == 1
        assert [row.access_id for row in store.accesses_of("h")] == ["3", "4"]

    def test_of_many_confirmations_of_one_id_one_stands(self, engine: Engine) -> None:
        store = SqlRelying(engine)
        stored: list[ConfirmationRow] = []
        got = outcomes(
            lambda number: stored.append(
                store.add_confirmation(ConfirmationRow("h", "c", f"token {number}".encode(), NOW), "pension")
            )
        )
        assert got == ["ok"] * 8
        assert len({row.sealed for row in stored}) == 1
        assert store.find_confirmation("c") == stored[0] == store.confirmations_of("h")[0]
        assert (store.confirmation_service("c"), store.find_confirmation("d")) == ("pension", None)

    def test_banks_are_kept(self, engine: Engine) -> None:
        store = SqlAccounts(engine)
        bank = PartnerBank("ICBC", "icbc", "工商银行", "ICBC")
        store.save_bank(bank, "anna", NOW)
        store.save_bank(replace(bank, caller="icbc 2"), "ben", LATER)
        assert store.list_banks() == (replace(bank, caller="icbc 2"),)
        assert store.find_bank("CCB") is None

    def test_a_card_has_one_account_and_an_account_one_card(self, engine: Engine) -> None:
        world, store = World(SqlRegister(engine)), SqlAccounts(engine)
        card, other = world.card(), world.card()
        row = AccountRow(card.card_ref, "ICBC", "mac", b"sealed", AccountState.NOT_ACTIVATED, 1, NOW)
        assert store.open_account(row, "e-1", "icbc") == row == store.open_account(row, "e-1", "icbc")
        with refused(Conflict, "account_exists"):
            store.open_account(replace(row, number_mac="mac 2"), "e-2", "icbc")
        with refused(Conflict, "account_of_other_card"):
            store.open_account(replace(row, card_ref=other.card_ref), "e-1", "icbc")
        with refused(NotFound, "card_unknown"):
            store.open_account(replace(row, card_ref=ref()), "e-1", "icbc")
        assert (store.account_of_card(card.card_ref), store.card_of_account("mac")) == (row, card.card_ref)

    def test_of_many_cards_that_claim_one_account_one_gets_it(self, engine: Engine) -> None:
        world, store = World(SqlRegister(engine)), SqlAccounts(engine)
        cards = [world.card() for _ in range(6)]
        row = AccountRow("", "ICBC", "mac", b"sealed", AccountState.NOT_ACTIVATED, 1, NOW)
        got = outcomes(lambda n: store.open_account(replace(row, card_ref=cards[n].card_ref), "e", "icbc"), 6)
        assert got == ["account_of_other_card"] * 5 + ["ok"]

    def test_a_state_changes_by_its_rules_once_for_each_event(self, engine: Engine) -> None:
        world, store = World(SqlRegister(engine)), SqlAccounts(engine)
        card = world.card()
        row = AccountRow(card.card_ref, "ICBC", "mac", b"sealed", AccountState.NOT_ACTIVATED, 1, NOW)
        store.open_account(row, "open", "icbc")

        def change(state: AccountState, event_id: str, mac: str | None = "mac") -> tuple[str, bool]:
            changed, applied = store.change_account(
                card.card_ref, state, event_id=event_id, changed_by="icbc", now=LATER, number_mac=mac
            )
            return changed.state.value, applied

        with refused(RuleViolation, "account_change_impossible"):
            change(AccountState.NOT_ACTIVATED, "e-0")
        assert change(AccountState.ACTIVE, "e-1") == ("active", True)
        assert change(AccountState.LOST, "e-2") == ("lost", True)
        assert change(AccountState.ACTIVE, "e-1") == ("lost", False)
        with refused(Conflict, "account_event_differs"):
            change(AccountState.CLOSED, "e-2")
        with refused(NotFound, "account_unknown"):
            change(AccountState.CLOSED, "e-3", "another")
        assert change(AccountState.CLOSED, "e-3", None) == ("closed", True)
        with refused(RuleViolation, "account_change_impossible"):
            change(AccountState.ACTIVE, "e-4")
        assert [item.state.value for item in store.account_changes(card.card_ref)] == [
            "not_activated",
            "active",
            "lost",
            "closed",
        ]
        new = replace(row, number_mac="mac 2", number=5, changed_at=LATER)
        assert store.open_account(new, "open 2", "icbc") == new

    def test_of_many_changes_at_once_every_one_has_its_own_number(self, engine: Engine) -> None:
        world, store = World(SqlRegister(engine)), SqlAccounts(engine)
        card = world.card()
        row = AccountRow(card.card_ref, "ICBC", "mac", b"sealed", AccountState.ACTIVE, 1, NOW)
        store.open_account(row, "open", "icbc")
        got = outcomes(
            lambda number: store.change_account(
                card.card_ref,
                AccountState.LOST if number % 2 else AccountState.CLOSED,
                event_id=f"e-{number % 4}",
                changed_by="icbc",
                now=LATER,
            )
        )
        numbers = [item.number for item in store.account_changes(card.card_ref)]
        assert numbers == [*range(1, len(numbers) + 1)]
        assert store.account_of_card(card.card_ref).number == numbers[-1]  # type: ignore[union-attr]
        assert set(got) <= {"ok", "account_change_impossible"}


class TestSqlite(StoreContract):
    @pytest.fixture
    def engine(self, sqlite_engine: Engine) -> Iterator[Engine]:
        """When the test is over, no statement that it ran may have needed a table scan."""
        seen: dict[str, Any] = {}

        @event.listens_for(sqlite_engine, "before_cursor_execute")
        def note(connection: object, cursor: object, statement: str, parameters: Any, *rest: Any) -> None:
            if statement.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE"):
                seen[statement] = parameters[0] if isinstance(parameters, list) else parameters

        yield sqlite_engine
        looker = sqlite3.connect(sqlite_engine.url.database or "")
        for statement, parameters in seen.items():
            for *_, step in looker.execute(f"EXPLAIN QUERY PLAN {statement}", parameters):
                constant = re.fullmatch(r"SCAN (\d+ )?CONSTANT ROWS?", step)
                assert constant or not step.startswith("SCAN"), (step, statement)
        looker.close()


@pytest.mark.postgres
class TestPostgres(StoreContract):
    @pytest.fixture
    def engine(self, postgres_engine: Engine) -> Engine:
        return postgres_engine
