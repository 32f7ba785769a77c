"""Four eyes under attack: forged rows, floods, votes in flight, and what plain SQL may do."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url, text

from ecard_card.errors import ApprovalNeeded, Conflict, InvalidInput, NotAllowed, RuleViolation
from ecard_issuer.approvals import Approvals, Change
from ecard_issuer.operators import Desk
from ecard_issuer.register import SqlRegister
from ecard_issuer.register.engine import writing
from ecard_issuer.register.sql_approvals import MOST_OPEN
from ecard_issuer.rows import Grant, TrustRootRow, VoteRow
from ecard_issuer.states import ApprovalState
from ecard_verifier.callers import Role
from tests.contracts.register_approvals_contract import approved, asked, no, yes
from tests.contracts.register_contract import LIST_SIZE
from tests.contracts.register_race import race
from tests.contracts.register_world import LATER, NOW, World, key_row, refused
from tests.issuer.register.conftest import postgres_engine, sqlite_engine

__all__ = ["postgres_engine", "sqlite_engine"]

CHANGE = Change("key.promote", "aaaa0001", {"purpose": "credential", "despite_lead": False})
Sql = Callable[..., int]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest) -> Engine:
    engine: Engine = request.getfixturevalue(f"{request.param}_engine")
    return engine


@pytest.fixture
def register(engine: Engine) -> SqlRegister:
    return SqlRegister(engine, list_size=LIST_SIZE)


@pytest.fixture
def sql(engine: Engine) -> Sql:
    def run(statement: str, **values: object) -> int:
        with writing(engine) as connection:
            return connection.execute(text(statement), values).rowcount

    return run


def waiting(approvals: Approvals, change: Change = CHANGE, actor: str = "anna") -> str:
    with pytest.raises(ApprovalNeeded) as needed:
        approvals.require(change, actor, NOW)
    return needed.value.request_id


# Rows made by other means.


def test_a_request_that_shows_other_facts_than_it_grants_is_neither_agreed_to_nor_used(register: SqlRegister) -> None:
    """A row put into the table by hand: harmless facts for the eye, the digest of something else for the machine."""
    approvals = Approvals(register, needed=1)
    shown = replace(asked("anna"), facts={"purpose": "status"}, change_hash=CHANGE.digest)
    register.request_approval(shown, NOW)
    with refused(RuleViolation, "approval_not_usable"):
        approvals.decide(shown.request_id, "ben", approve=True, now=LATER)
    register.vote(yes(shown))  # even where somebody votes past the use case
    with refused(RuleViolation, "approval_not_usable"):
        approvals.require(CHANGE, "anna", LATER)
    assert register.get_approval(shown.request_id).state is ApprovalState.APPROVED


def test_a_forged_request_can_be_refused_and_then_asked_for_honestly(register: SqlRegister) -> None:
    approvals = Approvals(register, needed=1)
    forged = replace(asked("anna"), facts={}, change_hash=CHANGE.digest)
    register.request_approval(forged, NOW)
    approvals.decide(forged.request_id, "ben", approve=False, now=NOW)
    assert waiting(approvals) != forged.request_id


@pytest.mark.parametrize("actor", ["", "  ", "\u3000"])
def test_nobody_asks_without_a_name(register: SqlRegister, actor: str) -> None:
    """Everybody is another person than nobody: whoever slipped through without a name could agree with themselves."""
    with refused(InvalidInput, "bad_operator_name"):
        Approvals(register, needed=1).require(CHANGE, actor, NOW)


# Floods.


def test_nobodys_request_is_hidden_behind_those_of_another(register: SqlRegister) -> None:
    approvals = Approvals(register, needed=1)
    hidden = waiting(approvals, actor="ben")
    for number in range(MOST_OPEN):
        waiting(approvals, replace(CHANGE, subject=f"{number:08x}"))
    with refused(RuleViolation, "approval_too_many_open"):
        approvals.require(replace(CHANGE, subject="one more"), "ANNA", NOW)
    assert hidden in {row.request_id for row in approvals.list(NOW)}
    assert waiting(approvals, replace(CHANGE, subject=f"{0:08x}")), "asking again is no new request"
    assert waiting(approvals, replace(CHANGE, subject="one more"), actor="carla")
    late = NOW + timedelta(days=1)
    with pytest.raises(ApprovalNeeded):
        approvals.require(replace(CHANGE, subject="tomorrow"), "anna", late)


def test_what_was_decided_does_not_push_out_what_waits(register: SqlRegister) -> None:
    """The list of 200 used to be cut before those that are over were left out."""
    approvals = Approvals(register, needed=1)
    hidden = waiting(approvals)
    for number in range(210):
        later = replace(asked("dora"), created_at=NOW + timedelta(seconds=number + 1))
        register.request_approval(later, NOW)
        register.vote(no(later))
    assert [row.request_id for row in approvals.list(NOW)] == [hidden]
    assert len(approvals.list(NOW, every=True)) == 200


# People.


def test_a_vote_in_flight_ends_with_its_voter(register: SqlRegister) -> None:
    """Whoever was let in before their revocation does not vote after it."""
    approvals = Approvals(register, needed=2)
    desk = Desk(register, approvals=None)
    for name in ("anna", "ben", "carla"):
        desk.add(name, Role.OPERATOR, NOW)
    request_id = waiting(approvals)
    desk.revoke("ben", NOW)
    for spelling in ("ben", "Ben ", "BEN"):
        with refused(NotAllowed, "not_allowed"):
            register.vote(VoteRow(request_id, spelling, True, LATER))
    assert approvals.votes(request_id) == ()
    desk.add("ben", Role.OPERATOR, LATER)
    approvals.decide(request_id, "ben", approve=True, now=LATER)


def test_a_vote_races_its_voters_revocation(register: SqlRegister) -> None:
    """Whichever comes first: nothing stays approved by somebody who was shut out."""
    desk = Desk(register, approvals=None)
    for number in range(8):
        name = f"voter {number}"
        desk.add(name, Role.OPERATOR, NOW)
        request = register.request_approval(asked("anna"), NOW)
        ended = race(
            lambda request=request, name=name: register.vote(yes(request, name)),  # type: ignore[misc]
            lambda name=name: desk.revoke(name, LATER),  # type: ignore[misc]
        )
        state = register.get_approval(request.request_id).state
        assert state is not ApprovalState.APPROVED, ended
        register.vote(no(request, "dora")) if state is ApprovalState.PENDING else None


def test_a_second_token_of_a_known_name_is_shown_as_one(register: SqlRegister) -> None:
    """Whoever asks is handed the token: agreeing to `ben` once more is handing out ben's voice."""
    approvals = Approvals(register, needed=1)
    desk = Desk(register, approvals=approvals)
    for name in ("anna", "ben"):
        desk.add(name, Role.OPERATOR, NOW)
    facts = []
    for name in ("ben", "carla"):
        with pytest.raises(ApprovalNeeded) as needed:
            desk.add(name, Role.OPERATOR, NOW, actor="anna")
        facts.append(dict(approvals.get(needed.value.request_id).facts))
    assert [fact["further_token_of_a_known_caller"] for fact in facts] == [True, False]


# Races.


def test_two_who_hold_one_approval_use_it_once_and_a_refusal_may_come_first(register: SqlRegister) -> None:
    for number in range(1, 6):
        grant = approved(register)
        use = lambda grant=grant, version=number: register.add_trust_root(  # noqa: E731
            TrustRootRow(version, b"root", LATER), grant=grant
        )
        refuse = lambda grant=grant: register.vote(  # noqa: E731
            VoteRow(grant.request_id, "carla", False, LATER)
        )
        ended = race(use, use, refuse)
        state = register.get_approval(grant.request_id).state
        made = len(register.trust_roots()) == number
        assert made == (state is ApprovalState.USED), ended
        if not made:
            register.add_trust_root(TrustRootRow(number, b"root", LATER))


def test_an_approval_ends_with_its_last_second(register: SqlRegister) -> None:
    grant = approved(register)
    end = register.get_approval(grant.request_id).expires_at
    with refused(RuleViolation, "approval_not_usable"):
        register.add_trust_root(TrustRootRow(1, b"root", end), grant=grant)
    with refused(RuleViolation, "approval_not_usable"):
        register.add_trust_root(TrustRootRow(1, b"root", LATER), grant=Grant(grant.request_id, "0" * 64))
    register.add_trust_root(TrustRootRow(1, b"root", end - timedelta(microseconds=1)), grant=grant)


# Plain SQL.


@pytest.mark.parametrize(
    "change",
    [
        "kid = 'ffff0000', state = 'retired'",
        "purpose = 'status', state = 'retired'",
        "kid = 'ffff0000'",
        "state = 'generated'",
        "state = 'next'",
        "state = 'active'",
        "user_id = public",
        "algorithm = 'SM2'",
    ],
)
def test_a_key_in_use_is_not_renamed_exchanged_or_sent_back(register: SqlRegister, sql: Sql, change: str) -> None:
    """A key that live credentials name could be retired under another name, or made `generated` and then deleted."""
    world = World(register)
    kid = world.signing_key()
    world.commit(world.plan(world.card()))
    register.add_key(key_row("bbbb0001"))
    register.activate_key("credential", "bbbb0001", NOW)
    with refused(Conflict, "register_conflict"):
        sql(f"UPDATE signing_key SET {change} WHERE kid = :kid", kid=kid)  # noqa: S608
    with refused(Conflict, "register_conflict"):
        sql("DELETE FROM signing_key WHERE kid = :kid", kid=kid)


@pytest.fixture
def plain(sqlite_engine: Engine) -> Iterator[sqlite3.Connection]:
    """A client that knows nothing of us: no foreign keys, no recursive triggers."""
    connection = sqlite3.connect(Path(make_url(sqlite_engine.url).database or ""), isolation_level=None)
    yield connection
    connection.close()


def _again(connection: sqlite3.Connection, table: str, **changes: str) -> None:
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    values = ", ".join(changes.get(column, column) for column in columns)
    connection.execute(f"INSERT OR REPLACE INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table}")  # noqa: S608


def test_or_replace_goes_round_no_trigger(sqlite_engine: Engine, plain: sqlite3.Connection) -> None:
    """SQLite deletes the row in the way of a REPLACE without asking the triggers of DELETE."""
    register = SqlRegister(sqlite_engine, list_size=LIST_SIZE)
    register.add_key(key_row("aaaa0001", "compromised"))
    register.add_key(key_row("aaaa0002", "active"))
    request = register.request_approval(asked(), NOW)
    register.vote(no(request))
    grant = approved(register)
    register.add_trust_root(TrustRootRow(1, b"root", LATER), grant=grant)
    before = _content(plain)
    _again(plain, "signing_key", state="'verify-only'")
    _again(plain, "signing_key", kid="'ffff0000'", state="'active'")
    _again(plain, "approval", state="'pending'", expires_at="'9999-01-01'")
    _again(plain, "approval_vote", approve="1")
    for statement in (
        "UPDATE OR REPLACE signing_key SET kid = 'aaaa0001' WHERE kid = 'aaaa0002'",
        "UPDATE OR REPLACE approval SET request_id = (SELECT max(request_id) FROM approval)",
        "UPDATE OR REPLACE approval_vote SET approver_key = 'x'",
        "DELETE FROM approval",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            plain.execute(statement)
    assert before == _content(plain)
    register.add_key(key_row("aaaa0003", "next"))
    with pytest.raises(sqlite3.IntegrityError):
        plain.execute("UPDATE OR REPLACE signing_key SET state = 'active' WHERE kid = 'aaaa0003'")
    with refused(Conflict, "key_exists"):
        register.add_key(key_row("aaaa0003", "next"))
    with refused(Conflict, "key_already_active"):
        register.add_key(key_row("aaaa0004", "active"))


_TABLES = ("signing_key", "approval", "approval_vote")


def _content(connection: sqlite3.Connection) -> list[object]:
    return [connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in _TABLES]  # noqa: S608


def test_two_revocations_at_once_leave_no_lock_and_no_half(register: SqlRegister) -> None:
    """Each uses its approval and looks at the other's: the one that must wait may be told so, and then comes again."""
    approvals = Approvals(register, needed=1)
    desk = Desk(register, approvals=approvals)
    free = Desk(register, approvals=None)
    for name in ("anna", "ben"):
        free.add(name, Role.OPERATOR, NOW)
    for number in range(4):
        names = [f"one {number}", f"other {number}"]
        for name in names:
            free.add(name, Role.OPERATOR, NOW)
        for name in names:
            with pytest.raises(ApprovalNeeded) as needed:
                desk.revoke(name, NOW, actor="anna")
            approvals.decide(needed.value.request_id, "ben", approve=True, now=NOW)
        ended = race(*[lambda name=name: desk.revoke(name, LATER, actor="anna") for name in names])
        assert set(ended) <= {"won", "register_unavailable", "register_busy"}, ended
        for name in names:
            if any(row.name == name and row.revoked_at is None for row in desk.all()):
                desk.revoke(name, LATER, actor="anna")
    assert {row.name for row in desk.all() if row.revoked_at is None} == {"anna", "ben"}
