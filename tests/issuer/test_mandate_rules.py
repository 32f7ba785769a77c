"""The rules of mandates at their edges."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card.acting import Act, Ground
from ecard_card.age import comes_of_age
from ecard_card.card import Holder, IdNumber
from ecard_card.errors import EcardError, RuleViolation
from ecard_issuer.mandates.rules import require_grantable, require_live
from ecard_issuer.mandates.values import AgentRelation, Form, MandateCause, MandateRow, NewMandate, Proof
from tests.contracts.people_contract import NOW, mandate
from tests.contracts.register_world import refused
from tests.issuer.people_kit import number

TICK = timedelta(microseconds=1)


def code_of(row: MandateRow, act: Act, now: datetime) -> str:
    try:
        require_live(row, act, now)
    except RuleViolation as error:
        return error.code
    return "yes"


def test_a_mandate_holds_from_its_first_moment_to_before_its_end() -> None:
    row = mandate(starts_at=NOW, closes_at=NOW + timedelta(hours=1))
    moments = {
        NOW - TICK: "mandate_not_yet",
        NOW: "yes",
        NOW + timedelta(hours=1) - TICK: "yes",
        NOW + timedelta(hours=1): "mandate_ended",
    }
    assert {now: code_of(row, Act.APPLY, now) for now in moments} == moments
    assert code_of(replace(row, revoked_at=NOW), Act.APPLY, NOW) == "mandate_ended"
    assert code_of(row, Act.CANCEL, NOW) == "mandate_out_of_scope"


@pytest.mark.parametrize("ground", [Ground.MANDATE, Ground.AGENCY])
def test_no_row_lets_an_agent_activate_a_bank_account(ground: Ground) -> None:
    """Not even one that somebody wrote into the register."""
    forged = mandate(ground=ground, acts=tuple(act.value for act in Act))
    assert code_of(forged, Act.ACTIVATE_BANK_ACCOUNT, NOW) == "mandate_out_of_scope"
    if ground is Ground.AGENCY:
        assert {act for act in Act if code_of(forged, act, NOW) == "yes"} == {Act.APPLY, Act.COLLECT}


def wish(**changes: object) -> NewMandate:
    value = NewMandate(
        holder=Holder(IdNumber(number("2012-03-04", 1)), "甲"),
        agent=Holder(IdNumber(number("1980-01-01", 2)), "乙"),
        ground=Ground.GUARDIAN,
        cause=MandateCause.MINOR,
        relation=AgentRelation.PARENT,
        acts=frozenset({Act.APPLY}),
        starts_at=NOW,
        ends_at=None,
        proof=Proof(Form.OFFICIAL, "户口簿", NOW),
        region="000000",
    )
    return replace(value, **changes)  # type: ignore[arg-type]


@given(
    st.dates(date(2000, 1, 1), date(2026, 11, 20)),
    st.none() | st.datetimes(datetime(2026, 1, 1), datetime(2050, 1, 1)),
    st.datetimes(datetime(2026, 1, 1), datetime(2050, 1, 1)),
)
def test_no_guardianship_of_a_minor_outlives_the_sixteenth_birthday(
    born: date, ends_at: datetime | None, now: datetime
) -> None:
    now = now.replace(tzinfo=UTC)
    asked = wish(
        holder=Holder(IdNumber(number(born.isoformat(), 1)), "甲"),
        ends_at=None if ends_at is None else ends_at.replace(tzinfo=UTC),
    )
    try:
        end = require_grantable(asked, of_age=16, incapable=False, now=now)
    except EcardError:
        return
    assert end is not None
    assert max(now, NOW) < end <= comes_of_age(born, 16)


def test_a_guardian_may_be_there_for_the_bank_account() -> None:
    everything = wish(acts=frozenset(Act))
    assert require_grantable(everything, of_age=16, incapable=False, now=NOW) == comes_of_age(date(2012, 3, 4), 16)
    written = replace(everything, ground=Ground.MANDATE, cause=MandateCause.ELDERLY, holder=wish().agent, agent=other())
    with refused(RuleViolation, "mandate_out_of_scope"):
        require_grantable(written, of_age=16, incapable=False, now=NOW)


def other() -> Holder:
    return Holder(IdNumber(number("1970-01-01", 3)), "丙")
