"""Four eyes, as a use case: who may agree to what, and who becomes one of those who may."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ecard_card.errors import ApprovalNeeded, Conflict, InvalidInput, NotFound, RuleViolation
from ecard_issuer.approvals import LIFE, Approvals, Change
from ecard_issuer.names import person_key
from ecard_issuer.operators import Desk, NewOperator
from ecard_issuer.register import SqlRegister, make_engine
from ecard_issuer.rows import Grant, TrustRootRow
from ecard_issuer.states import ApprovalState
from ecard_verifier.callers import Role
from tests.contracts.register_world import LATER, NOW, refused
from tests.issuer.template import place_register

PROMOTE = Change("key.promote", "aaaa0001", {"purpose": "credential", "predecessor": None, "regions": ["000000"]})


@pytest.fixture
def register(tmp_path: Path) -> Iterator[SqlRegister]:
    engine = make_engine(place_register(tmp_path))
    yield SqlRegister(engine)
    engine.dispose()


def asks(approvals: Approvals, change: Change = PROMOTE, actor: str = "anna") -> str:
    """The id of the request that asking led to."""
    with pytest.raises(ApprovalNeeded) as needed:
        approvals.require(change, actor, NOW)
    assert needed.value.code == "approval_needed"
    assert f"ecard approval approve {needed.value.request_id}" in needed.value.detail
    return needed.value.request_id


def test_a_change_waits_for_another_person_and_is_then_granted(register: SqlRegister) -> None:
    approvals = Approvals(register, needed=1)
    request_id = asks(approvals)
    assert asks(approvals) == asks(approvals, actor="ben") == request_id
    shown = approvals.get(request_id)
    assert (shown.action, shown.subject, dict(shown.facts)) == (PROMOTE.action, PROMOTE.subject, dict(PROMOTE.facts))
    with refused(RuleViolation, "approval_own_request"):
        approvals.decide(request_id, "Anna", approve=True, now=NOW)
    approvals.decide(request_id, "ben", approve=True, now=LATER, reason="as agreed")
    assert [(vote.approver, vote.reason) for vote in approvals.votes(request_id)] == [("ben", "as agreed")]
    grant = approvals.require(PROMOTE, "anna", LATER)
    assert grant == Grant(request_id, PROMOTE.digest)
    register.add_trust_root(TrustRootRow(1, b"root", LATER), grant=grant)
    assert asks(approvals) != request_id  # used: the same change again is asked for again
    assert approvals.get(request_id).state is ApprovalState.USED


@pytest.mark.parametrize(
    "other",
    [
        replace(PROMOTE, action="key.retire"),
        replace(PROMOTE, subject="aaaa0002"),
        replace(PROMOTE, facts={**PROMOTE.facts, "regions": ["330000"]}),
        replace(PROMOTE, facts={}),
    ],
    ids=["action", "subject", "a fact", "no facts"],
)
def test_an_approval_fits_exactly_what_was_shown(register: SqlRegister, other: Change) -> None:
    approvals = Approvals(register, needed=1)
    request_id = asks(approvals)
    approvals.decide(request_id, "ben", approve=True, now=NOW)
    assert asks(approvals, other) != request_id
    assert approvals.require(PROMOTE, "anna", NOW) is not None


def test_the_order_of_facts_makes_no_other_change_and_odd_ones_are_refused() -> None:
    turned = replace(PROMOTE, facts=dict(reversed(list(PROMOTE.facts.items()))))
    assert turned.digest == PROMOTE.digest
    assert Change("a", "b", {}).digest != Change("ab", "", {}).digest
    for fact in (NOW, float("nan"), b"bytes", {1, 2}):
        with refused(InvalidInput, "bad_change"):
            _ = Change("a", "b", {"fact": fact}).digest


def test_more_people_can_be_needed_and_then_earlier_agreements_do_not_do(register: SqlRegister) -> None:
    one, two, none = (Approvals(register, needed=needed) for needed in (1, 2, 0))
    assert none.require(PROMOTE, "anna", NOW) is None
    assert none.list(NOW) == ()
    one.decide(asks(one), "ben", approve=True, now=NOW)
    assert asks(two) == one.list(NOW)[0].request_id
    change = replace(PROMOTE, subject="aaaa0002")
    request_id = asks(two, change)
    two.decide(request_id, "ben", approve=True, now=NOW)
    assert asks(two, change) == request_id
    with refused(Conflict, "approval_already_voted"):
        two.decide(request_id, "BEN", approve=True, now=NOW)
    two.decide(request_id, "carla", approve=True, now=NOW)
    assert two.require(change, "anna", NOW) == Grant(request_id, change.digest)


def test_a_request_is_over_after_a_day(register: SqlRegister) -> None:
    approvals = Approvals(register, needed=1)
    request_id = asks(approvals)
    last = NOW + LIFE - timedelta(seconds=1)
    assert [row.request_id for row in approvals.list(last)] == [request_id]
    assert approvals.list(NOW + LIFE) == ()
    assert [row.request_id for row in approvals.list(NOW + LIFE, every=True)] == [request_id]
    with refused(RuleViolation, "approval_expired"):
        approvals.decide(request_id, "ben", approve=True, now=NOW + LIFE)
    approvals.decide(request_id, "ben", approve=True, now=last)
    assert approvals.require(PROMOTE, "anna", last) is not None
    with pytest.raises(ApprovalNeeded):
        approvals.require(PROMOTE, "anna", NOW + LIFE)


@pytest.mark.parametrize("reason", ["x" * 201, "two\nlines", "\x1b[2J"], ids=["long", "lines", "control"])
def test_a_reason_that_does_not_fit_on_a_line_is_refused(register: SqlRegister, reason: str) -> None:
    approvals = Approvals(register, needed=1)
    request_id = asks(approvals)
    with refused(InvalidInput, "bad_reason"):
        approvals.decide(request_id, "ben", approve=False, now=NOW, reason=reason)
    with refused(NotFound, "approval_unknown"):
        approvals.decide("00" * 8, "ben", approve=True, now=NOW)


@pytest.mark.parametrize(
    "spelling", ["ANNA maria", "annamaria", " Anna  Maria ", "Ａnna Maria", "Anna\u00a0Maria", "Anna\u2003Maria"]
)
def test_one_person_has_one_key_however_the_name_is_written(spelling: str) -> None:
    assert person_key(spelling) == person_key("Anna Maria")
    assert person_key("Anna-Maria") != person_key("Anna Maria")


class TestOperators:
    """Who becomes an operator, with one approver needed."""

    @pytest.fixture
    def approvals(self, register: SqlRegister) -> Approvals:
        return Approvals(register, needed=1)

    @pytest.fixture
    def desk(self, register: SqlRegister, approvals: Approvals) -> Desk:
        desk = Desk(register, approvals=approvals)
        first = desk.first(NOW)
        assert isinstance(first, NewOperator)
        return desk

    def test_adding_is_free_until_there_are_enough_to_agree(self, desk: Desk, approvals: Approvals) -> None:
        assert not desk.guarded(Role.OPERATOR)
        desk.add("First Operator".lower(), Role.OPERATOR, NOW)  # a second token is no second person
        assert not desk.guarded(Role.OPERATOR)
        desk.add("ben", Role.OPERATOR, NOW)
        assert desk.guarded(Role.OPERATOR)
        assert not desk.guarded(Role.COUNTER)
        desk.add("desk 1", Role.COUNTER, NOW)
        with pytest.raises(ApprovalNeeded) as needed:
            desk.add("carla", Role.OPERATOR, NOW, actor="ben")
        assert "carla" not in {row.name for row in desk.all()}
        with refused(RuleViolation, "approval_own_request"):
            approvals.decide(needed.value.request_id, "ben", approve=True, now=NOW)
        approvals.decide(needed.value.request_id, "first operator", approve=True, now=NOW)
        made = desk.add("carla", Role.OPERATOR, NOW, actor="ben")
        found = desk.find(made.token)
        assert found is not None
        assert found.name == "carla"
        with pytest.raises(ApprovalNeeded):  # one approval, one token
            desk.add("carla", Role.OPERATOR, NOW, actor="ben")

    def test_nobody_shuts_the_others_out_alone(self, desk: Desk, approvals: Approvals) -> None:
        ben = desk.add("ben", Role.OPERATOR, NOW)
        with pytest.raises(ApprovalNeeded) as needed:
            desk.revoke("ben", NOW, actor="first operator")
        assert desk.find(ben.token) is not None
        approvals.decide(needed.value.request_id, "ben", approve=True, now=NOW)
        assert desk.revoke("ben", NOW, actor="first operator") == 1
        assert desk.find(ben.token) is None
        with refused(NotFound, "operator_unknown"):
            desk.revoke("ben", NOW)

    def test_callers_who_decide_nothing_come_and_go_freely(self, desk: Desk) -> None:
        desk.add("ben", Role.OPERATOR, NOW)
        desk.add("desk 1", Role.COUNTER, NOW)
        assert desk.revoke("desk 1", NOW) == 1

    @pytest.mark.parametrize("name", ["FIRST operator", "First Operator", "firstoperator", "first  operator"])
    def test_a_name_that_reads_as_a_known_one_is_refused(self, desk: Desk, name: str) -> None:
        for role in Role:
            with refused(Conflict, "operator_name_confusable"):
                desk.add(name, role, NOW)

    def test_with_four_eyes_switched_off_nothing_waits(self, register: SqlRegister) -> None:
        desk = Desk(register, approvals=Approvals(register, needed=0))
        for name in ("anna", "ben", "carla", "dora"):
            desk.add(name, Role.OPERATOR, NOW)
        assert not desk.guarded(Role.OPERATOR)
        assert desk.revoke("dora", NOW) == 1
