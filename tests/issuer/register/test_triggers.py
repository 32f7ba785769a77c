"""What the database itself refuses to a client that asks it in plain SQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from ecard_card.errors import Conflict
from ecard_issuer.register import SqlRegister
from ecard_issuer.register.engine import writing
from ecard_issuer.rows import TrustRootRow
from ecard_issuer.states import ApprovalState
from tests.contracts.register_approvals_contract import approved, asked, no, yes
from tests.contracts.register_contract import LIST_SIZE
from tests.contracts.register_race import race
from tests.contracts.register_world import LATER, NOW, World, key_row, refused

Sql = Callable[..., int]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest) -> Engine:
    engine: Engine = request.getfixturevalue(f"{request.param}_engine")
    return engine


@pytest.fixture
def register(engine: Engine) -> SqlRegister:
    return SqlRegister(engine, list_size=LIST_SIZE, open_lists=1)


@pytest.fixture
def sql(engine: Engine) -> Sql:
    def run(statement: str, **values: object) -> int:
        with writing(engine) as connection:
            return connection.execute(text(statement), values).rowcount

    return run


RETIRE = "UPDATE signing_key SET state = :state WHERE kid = :kid AND purpose = 'credential'"


@pytest.mark.parametrize("state", ["retired", "destroyed"])
def test_a_key_that_live_credentials_name_is_not_retired_by_hand(register: SqlRegister, sql: Sql, state: str) -> None:
    world = World(register)
    kid = world.signing_key()
    card = world.card()
    plan = world.plan(card)
    register.add_key(key_row("bbbb0001"))
    register.activate_key("credential", "bbbb0001", NOW)
    with refused(Conflict, "register_conflict"):
        sql(RETIRE, state=state, kid=kid)  # an open plan names it
    credential = world.commit(plan)
    for moment in (NOW, credential.expires_at - timedelta(seconds=1)):
        with refused(Conflict, "register_conflict"):
            sql(RETIRE.replace("SET", "SET retired_at = :now,"), state=state, kid=kid, now=_text(moment))
    assert next(key.state for key in register.list_keys(["credential"]) if key.kid == kid) == "verify-only"
    assert sql("UPDATE signing_key SET home = 'elsewhere' WHERE kid = :kid", kid=kid) == 1
    assert sql("UPDATE credential SET state = 'ended' WHERE key_id = :kid", kid=kid) == 1
    assert sql(RETIRE, state=state, kid=kid) == 1


def test_a_key_neither_comes_back_nor_disappears(register: SqlRegister, sql: Sql) -> None:
    for kid, state in (("aaaa0001", "compromised"), ("aaaa0002", "destroyed"), ("aaaa0003", "generated")):
        register.add_key(key_row(kid, state))
    for kid in ("aaaa0001", "aaaa0002"):
        with refused(Conflict, "register_conflict"):
            sql(RETIRE, state="active", kid=kid)
        with refused(Conflict, "register_conflict"):
            sql("DELETE FROM signing_key WHERE kid = :kid", kid=kid)
    assert sql("DELETE FROM signing_key WHERE kid = 'aaaa0003'") == 1


VOTE = (
    "INSERT INTO approval_vote (request_id, approver_key, approver, requester_key, approve, voted_at, reason)"
    " VALUES (:request, :who, :who, :requester, TRUE, :at, '')"
)


def test_a_vote_on_ones_own_request_is_refused_by_the_database(register: SqlRegister, sql: Sql) -> None:
    request = register.request_approval(asked("Anna"), NOW)
    at = _text(LATER)
    for who, requester in (("anna", "anna"), ("anna", "somebody"), ("ben", "somebody")):
        with refused(Conflict, "register_conflict"):  # CHECK; the foreign key, where the requester is a lie
            sql(VOTE, request=request.request_id, who=who, requester=requester, at=at)
    with refused(Conflict, "register_conflict"):
        sql("UPDATE approval SET requester_key = 'ben', requester = 'ben'")
    with refused(Conflict, "register_conflict"):
        sql(VOTE, request=request.request_id, who="ben", requester="anna", at=_text(request.expires_at))
    assert sql(VOTE, request=request.request_id, who="ben", requester="anna", at=at) == 1
    for change in ("UPDATE approval_vote SET approve = FALSE", "DELETE FROM approval_vote"):
        with refused(Conflict, "register_conflict"):
            sql(change)


def test_a_state_that_the_votes_do_not_bear_out_is_refused(register: SqlRegister, sql: Sql) -> None:
    request = register.request_approval(asked(needed=2), NOW)
    register.vote(yes(request))
    for state in ("approved", "used", "nonsense"):
        with refused(Conflict, "register_conflict"):
            sql("UPDATE approval SET state = :state", state=state)
    for change in (
        "UPDATE approval SET needed = 1",
        "UPDATE approval SET change_hash = 'ff'",
        "UPDATE approval SET facts = '{}'",
        "UPDATE approval SET action = 'key.retire'",
        "DELETE FROM approval",
        (
            "INSERT INTO approval SELECT 'x', action, subject, facts, change_hash, requester, requester_key, needed,"
            " created_at, expires_at, 'approved', closed_at FROM approval"
        ),
    ):
        with refused(Conflict, "register_conflict"):
            sql(change)
    assert register.get_approval(request.request_id) == request


def test_what_was_decided_stays_decided(register: SqlRegister, sql: Sql) -> None:
    refusal = register.request_approval(asked(), NOW)
    register.vote(no(refusal))
    grant = approved(register)
    register.add_trust_root(TrustRootRow(1, b"root", LATER), grant=grant)
    for request_id in (refusal.request_id, grant.request_id):
        for state in ("pending", "approved"):
            with refused(Conflict, "register_conflict"):
                sql("UPDATE approval SET state = :state WHERE request_id = :id", state=state, id=request_id)
        with refused(Conflict, "register_conflict"):
            sql(VOTE, request=request_id, who="dora", requester="anna", at=_text(LATER))
    assert register.get_approval(grant.request_id).state is ApprovalState.USED


def test_a_retirement_by_hand_waits_for_an_issuance_on_its_way(register: SqlRegister, sql: Sql) -> None:
    """Whichever comes first: never a retired key that a plan names."""
    world = World(register)
    for number in range(6):
        kid = world.signing_key()
        card = world.card()
        plan = replace(world.draft(card, world.prove(card)), index=number)
        ended = race(
            lambda plan=plan: register.plan_issuance(plan, NOW),  # type: ignore[misc]
            lambda kid=kid: sql(RETIRE, state="retired", kid=kid),  # type: ignore[misc]
        )
        assert ended in ({"won": 1, "key_not_active": 1}, {"won": 1, "register_conflict": 1})
        if ended["register_conflict"]:
            register.void_plan(plan.card_ref, plan.plan_id, NOW)
            assert sql(RETIRE, state="retired", kid=kid) == 1


def _text(moment: datetime) -> str:
    return str(moment).removesuffix("+00:00")
