"""What goes wrong beneath the register: a process killed at any statement, a database that does not answer."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, select, text

from ecard_card.errors import InvalidInput, Unavailable
from ecard_card.status import CardChange, EcardStatus
from ecard_issuer.register import SqlRegister, make_engine
from ecard_issuer.register import engine as engine_module
from ecard_issuer.register.engine import reading, writing
from ecard_issuer.register.schema import metadata
from ecard_issuer.register.sql import set_entries
from ecard_issuer.rows import EntryChange
from tests.contracts.register_approvals_contract import approved, asked, yes
from tests.contracts.register_contract import LIST_SIZE
from tests.contracts.register_world import LATER, NOW, World, credential_of, feed_entry, key_row, refused
from tests.postgres import PostgresServer

Verb = Callable[[SqlRegister], object]
#: No verb of the register needs more statements than this.
_MOST_STATEMENTS = 60


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest) -> Engine:
    engine: Engine = request.getfixturevalue(f"{request.param}_engine")
    return engine


def _content(engine: Engine) -> dict[str, list[Any]]:
    with reading(engine) as connection:
        return {name: sorted(map(repr, connection.execute(select(table)))) for name, table in metadata.tables.items()}


def _killed_at(url: Any, verb: Verb, statement: int) -> bool:
    """Run the verb in a child that kills itself before its n-th statement or the commit; False: it got through."""
    child = os.fork()
    if child == 0:
        try:
            engine = make_engine(url.render_as_string(hide_password=False))
            left = [statement]

            def strike(*_: object) -> None:
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

            event.listen(engine, "before_cursor_execute", strike)
            event.listen(engine, "commit", strike)
            verb(SqlRegister(engine, list_size=LIST_SIZE, open_lists=1))
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _verbs(world: World) -> dict[str, Verb]:
    card, lost, old = world.card(), world.card(), world.card()
    committed, voided = world.plan(world.card()), world.plan(world.card())
    world.issue(lost)
    world.issue(old)
    new = world.second_card(old)
    proof = world.prove(new)
    draft = world.draft(card, world.prove(card))  # last: its place on the list is not taken yet
    world.register.add_key(key_row("ffff0001", "active", "event"))
    world.register.add_key(key_row("ffff0002", "generated", "event"))
    grant = approved(world.register)
    asked_of = world.register.request_approval(asked(), NOW)
    head = world.register.feed_head("s")
    (row, *_) = world.register.claim_outbox(NOW, lease=timedelta(seconds=30))
    return {
        "plan": lambda register: register.plan_issuance(draft, NOW),
        "commit": lambda register: register.commit_issuance(
            committed.card_ref, committed.plan_id, credential_of(committed), {}, NOW
        ),
        "void": lambda register: register.void_plan(voided.card_ref, voided.plan_id, NOW),
        "change": lambda register: World(register).change(lost, CardChange.REPORT_LOSS, 1, "e1", source="s"),
        "replace": lambda register: register.replace_card(
            old.card_ref, new.card_ref, event_id="e2", occurred_at=NOW, now=LATER, enrolment_id=proof.enrolment_id
        ),
        "compromise": lambda register: register.compromise_key(
            "event", "ffff0001", NOW, LATER, successor="ffff0002", grant=grant
        ),
        "vote": lambda register: register.vote(yes(asked_of)),
        "feed": lambda register: register.append_feed("s", head, [feed_entry(row)], LATER),
    }


def test_a_process_killed_at_any_statement_leaves_nothing(engine: Engine) -> None:
    register = SqlRegister(engine, list_size=LIST_SIZE, open_lists=1)
    for name, verb in _verbs(World(register)).items():
        before = _content(engine)
        for statement in range(_MOST_STATEMENTS):
            if not _killed_at(engine.url, verb, statement):
                break
            assert _content(engine) == before, (name, statement)
        assert statement >= 4, name
        assert _content(engine) != before, name


def test_an_error_within_a_transaction_leaves_nothing(engine: Engine) -> None:
    before = _content(engine)

    def fail_halfway() -> None:
        with writing(engine) as connection:
            connection.execute(metadata.tables["feed_head"].insert().values(stream="s", seq=1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_halfway()
    assert _content(engine) == before


def test_an_invalid_entry_stays_invalid_whatever_asks(engine: Engine) -> None:
    world = World(SqlRegister(engine, list_size=LIST_SIZE, open_lists=1))
    plan = world.plan(world.card())
    world.register.void_plan(plan.card_ref, plan.plan_id, NOW)
    before = world.register.status_snapshot(plan.list_id)
    with writing(engine) as connection:
        for value in EcardStatus:
            assert set_entries(connection, [EntryChange(plan.list_id, plan.index, value)]) == ()
    assert world.register.status_snapshot(plan.list_id) == before


def test_values_that_a_database_cannot_hold_are_invalid_input(engine: Engine) -> None:
    world = World(SqlRegister(engine, list_size=LIST_SIZE, open_lists=1))
    with refused(InvalidInput, "register_bad_value"):
        world.register.get_card("\ud800")
    with refused(InvalidInput, "register_bad_value"):
        world.register.stale_plans(NOW.replace(tzinfo=None))


def test_a_writer_that_waits_too_long_is_told_so(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(SqlRegister(engine, list_size=LIST_SIZE, open_lists=1))
    card = world.card()
    monkeypatch.setattr(engine_module, "LOCK_WAIT_MS", 50)
    monkeypatch.setattr(engine_module, "ROW_WAIT_MS", 50)
    hasty = make_engine(engine.url.render_as_string(hide_password=False))
    with writing(engine) as connection:
        connection.execute(text("UPDATE card SET region = region WHERE card_ref = :ref"), {"ref": card.card_ref})
        with refused(Unavailable, "register_unavailable"):
            World(SqlRegister(hasty)).change(card, CardChange.LOCK)
        assert SqlRegister(hasty).get_card(card.card_ref) == card  # readers do not wait
    assert World(SqlRegister(hasty)).change(card, CardChange.LOCK).applied
    hasty.dispose()


def test_while_another_process_writes_writers_are_told_soon_and_readers_do_not_notice(sqlite_engine: Engine) -> None:
    register = SqlRegister(sqlite_engine, list_size=LIST_SIZE, open_lists=1)
    world = World(register)
    card = world.card()
    other = sqlite3.connect(sqlite_engine.url.database or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    def write(_: int) -> tuple[str, float]:
        start = time.monotonic()
        with refused(Unavailable, "register_unavailable") as told:
            world.change(card, CardChange.LOCK)
        return told.value.detail, time.monotonic() - start

    reads = 0
    with ThreadPoolExecutor(60) as pool:
        answers = [pool.submit(write, number) for number in range(60)]
        while not all(answer.done() for answer in answers):
            assert register.get_card(card.card_ref) == card
            reads += 1
    other.close()
    told, waits = zip(*(answer.result() for answer in answers), strict=True)
    assert Counter(told)["too many writers wait for the database"] >= 60 - engine_module.MOST_WAITING - 3
    assert max(waits) < 5  # 4 s at most, and some for a busy machine
    assert reads > 10
    assert world.change(card, CardChange.LOCK).applied


def test_writers_of_one_process_come_in_the_order_of_their_arrival() -> None:
    turns = engine_module._Turns(most=2, seconds=10)
    assert turns.take()
    came: list[int] = []

    def write(number: int) -> None:
        assert turns.take()
        came.append(number)
        turns.give()

    with ThreadPoolExecutor(2) as pool:
        for number in range(2):
            pool.submit(write, number)
            while len(turns._waiting) <= number:
                os.sched_yield()  # let it come to its place
        assert not turns.take()  # two wait already
        turns.give()
    assert came == [0, 1]
    assert turns.take()


def test_a_turn_that_does_not_come_in_time_is_given_up() -> None:
    turns = engine_module._Turns(most=2, seconds=0.01)
    assert turns.take()
    assert not turns.take()
    turns.give()
    assert turns.take()


def test_a_database_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path / 'no' / 'such.db'}", f"postgresql://nobody@/none?host={tmp_path}"):
        with refused(Unavailable, "register_unavailable"):
            SqlRegister(make_engine(url)).has_operators()


@pytest.mark.parametrize("url", ["", "sqlite://", "sqlite:///:memory:", "mysql://x/y", "nonsense", "postgresql//x"])
def test_other_databases_are_refused_at_once(url: str) -> None:
    with refused(InvalidInput, "bad_database_url"):
        make_engine(url)


def test_sqlite_is_opened_for_durability(sqlite_engine: Engine) -> None:
    names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    with reading(sqlite_engine) as connection:
        found = {name: connection.scalar(text(f"PRAGMA {name}")) for name in names}
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 1000}


@pytest.mark.postgres
def test_a_commit_that_no_standby_confirmed_is_not_a_success(
    postgres_engine: Engine, postgres_server: PostgresServer
) -> None:
    """PostgreSQL ends a cancelled wait for its standby with success and a mere warning."""
    world = World(SqlRegister(postgres_engine, list_size=LIST_SIZE, open_lists=1))
    card = world.card()
    helper: list[int] = []
    with postgres_server.connect() as admin:

        def cancel_when_waiting(*_: object) -> None:
            # The commit waits in the server; cancel it from a helper process as an operator would.
            helper.append(os.fork())
            if helper[0] == 0:
                try:
                    _cancel_waiting(postgres_server)
                finally:
                    os._exit(0)

        admin.execute("ALTER SYSTEM SET synchronous_standby_names = 'nowhere'")
        admin.execute("SELECT pg_reload_conf()")
        event.listen(postgres_engine, "commit", cancel_when_waiting)
        try:
            with refused(Unavailable, "outcome_unknown"):
                world.change(card, CardChange.LOCK, event_id="e")
            os.waitpid(helper[0], 0)
        finally:
            event.remove(postgres_engine, "commit", cancel_when_waiting)
            admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
            admin.execute("SELECT pg_reload_conf()")
    assert world.change(card, CardChange.LOCK, event_id="e").applied is False  # asked again: it was committed after all


def _cancel_waiting(server: PostgresServer) -> None:
    with server.connect() as admin:
        for _ in range(2000):
            waiting = admin.execute(
                "SELECT pg_cancel_backend(pid), pg_sleep(0.005) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            ).fetchall()
            if waiting:
                return
            admin.execute("SELECT pg_sleep(0.005)")


def test_a_database_that_was_never_migrated_is_unavailable(tmp_path: Path) -> None:
    create_engine(f"sqlite:///{tmp_path / 'empty.db'}").connect().close()
    with refused(Unavailable, "register_unavailable"):
        SqlRegister(make_engine(f"sqlite:///{tmp_path / 'empty.db'}")).has_operators()
