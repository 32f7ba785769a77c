"""The key office under attack: lost keys, changes at the same moment, and dry runs that must change nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from ecard_card.errors import ApprovalNeeded, EcardError, InvalidInput, RuleViolation, Unavailable
from ecard_issuer.keyring import PURPOSES
from ecard_keys.key import KeyPurpose, KeyState
from ecard_keys.rotation import Schedule
from tests.contracts.register_race import race
from tests.issuer.bureau import DAY, RULES, Bureau, LeavingHome

CREDENTIAL, STATUS = KeyPurpose.CREDENTIAL, KeyPurpose.STATUS
ACTOR = "first admin"


@pytest.fixture
def bureau(tmp_path: Path) -> Bureau:
    return Bureau.open(tmp_path)


def waiting_key(bureau: Bureau, purpose: KeyPurpose = CREDENTIAL) -> str:
    """A key whose lead is over."""
    kid = bureau.office.create(purpose, bureau.clock()).kid
    bureau.clock.advance(RULES.lead.total_seconds())
    return kid


# Keys that are lost.


@pytest.mark.parametrize("despite_lead", [False, True])
def test_a_key_that_its_home_lost_does_not_take_over(bureau: Bureau, despite_lead: bool) -> None:
    """There is no way back from a promotion: the predecessor has signed its last, and nothing could be signed."""
    signing, lost = bureau.active(), waiting_key(bureau)
    bureau.home.destroy(lost)
    assert bureau.office.foresight.promote(lost, bureau.clock(), despite_lead=despite_lead).refused == "key_not_held"
    with pytest.raises(RuleViolation, match="key_not_held"):
        bureau.office.promote(lost, ACTOR, bureau.clock(), despite_lead=despite_lead)
    with pytest.raises(RuleViolation, match="key_not_held"):
        bureau.ring.promote(lost, bureau.clock())
    assert (bureau.active(), bureau.state(lost)) == (signing, KeyState.NEXT)
    bureau.home.sign(signing, [b"signs"])


def test_a_lost_waiting_key_is_cleared_away_and_replaced(bureau: Bureau) -> None:
    lost = waiting_key(bureau)
    bureau.home.destroy(lost)
    bureau.office.compromise(lost, None, ACTOR, bureau.clock())
    assert bureau.office.create(CREDENTIAL, bureau.clock()).kid != lost


def test_a_promotion_waits_for_a_home_that_is_away(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    signing, kid = bureau.active(), waiting_key(bureau)

    def away(_: str) -> bytes:
        raise Unavailable("key_home_timeout", "away")

    monkeypatch.setattr(bureau.home, "public_key", away)
    with pytest.raises(Unavailable, match="key_home_timeout"):
        bureau.office.promote(kid, ACTOR, bureau.clock())
    assert bureau.active() == signing


def test_a_promotion_that_is_refused_costs_no_approval(tmp_path: Path) -> None:
    bureau = Bureau.open(tmp_path, needed=1)
    kid = waiting_key(bureau)
    with pytest.raises(ApprovalNeeded) as needed:
        bureau.office.promote(kid, ACTOR, bureau.clock())
    bureau.agree()
    facts = bureau.approvals.get(needed.value.request_id).facts
    assert len(str(facts["thumbprint"])) == 43, "eight digits of a kid can be met by a made-up key"
    bureau.home.destroy(kid)
    with pytest.raises(RuleViolation, match="key_not_held"):
        bureau.office.promote(kid, ACTOR, bureau.clock())
    assert bureau.approvals.get(needed.value.request_id).state == "approved"


def test_the_dry_run_says_that_a_lost_successor_signs_nothing(bureau: Bureau) -> None:
    stolen, lost = bureau.active(), waiting_key(bureau)
    assert not bureau.office.foresight.compromise(stolen, None, bureau.clock()).stops_signing
    bureau.home.destroy(lost)
    assert bureau.office.foresight.compromise(stolen, None, bureau.clock()).stops_signing
    bureau.office.compromise(stolen, None, ACTOR, bureau.clock())
    assert bureau.state(stolen) == KeyState.COMPROMISED, "a theft is told all the same"
    bureau.office.compromise(lost, None, ACTOR, bureau.clock())
    bureau.home.sign(bureau.active(), [b"signs again"])


def test_a_purpose_whose_key_is_lost_keeps_no_other_from_rotating(bureau: Bureau) -> None:
    for purpose in (CREDENTIAL, STATUS):
        bureau.office.set_schedule(Schedule(purpose, 30 * DAY), ACTOR, bureau.clock())
    signing, lost, other = bureau.active(), waiting_key(bureau), waiting_key(bureau, STATUS)
    bureau.home.destroy(lost)
    bureau.clock.advance(31 * DAY.total_seconds())
    with pytest.raises(RuleViolation, match="key_not_held"):
        bureau.office.upkeep(bureau.clock())
    assert (bureau.active(), bureau.active(STATUS)) == (signing, other)


def test_a_restart_puts_no_key_in_use_that_nobody_agreed_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It used to: after a theft without a successor every command made and published an active key, or failed."""
    bureau = Bureau.open(tmp_path, needed=1)
    stolen = bureau.active()
    bureau.home.away = True
    with pytest.raises(ApprovalNeeded):
        bureau.office.compromise(stolen, None, ACTOR, bureau.clock())
    bureau.agree()
    bureau.office.compromise(stolen, None, ACTOR, bureau.clock())
    with monkeypatch.context() as patch:
        patch.setattr(LeavingHome, "away", True)
        assert Bureau.open(tmp_path, needed=1).active(STATUS), "what needs no home goes on"
    again = Bureau.open(tmp_path, needed=1)
    assert [row.state for row in again.ring.rows([CREDENTIAL])] == [KeyState.COMPROMISED]
    made = again.office.create(CREDENTIAL, again.clock()).kid
    with pytest.raises(ApprovalNeeded):
        again.office.promote(made, ACTOR, again.clock(), despite_lead=True)
    again.agree()
    again.office.promote(made, ACTOR, again.clock(), despite_lead=True)
    assert again.active() == made


# At the same moment.


def test_a_schedule_and_two_admins_promote_one_key_once(bureau: Bureau) -> None:
    bureau.office.set_schedule(Schedule(CREDENTIAL, 30 * DAY), ACTOR, bureau.clock())
    for _ in range(3):
        old = bureau.active()
        kid = bureau.office.create(CREDENTIAL, bureau.clock()).kid
        now = bureau.clock.advance(31 * DAY.total_seconds())
        ended = race(
            lambda: bureau.office.promote(kid, "anna", now),  # noqa: B023
            lambda: bureau.office.promote(kid, "ben", now),  # noqa: B023
            lambda: bureau.office.upkeep(now),  # noqa: B023
        )
        assert set(ended) <= {"won", "key_change_impossible", "next_key_exists"}
        assert (bureau.active(), bureau.state(old)) == (kid, KeyState.VERIFY_ONLY)
        waiting = [row for row in bureau.ring.rows([CREDENTIAL]) if row.state in (KeyState.GENERATED, KeyState.NEXT)]
        for row in waiting:
            bureau.office.compromise(row.kid, None, ACTOR, now)


def test_two_admins_declare_a_theft_at_once_with_other_cut_offs(bureau: Bureau) -> None:
    """One successor signs, none is left over, and the stricter word can always be said after."""
    for _ in range(4):
        stolen, now = bureau.active(), bureau.clock.advance(3600)
        cut_off = now - timedelta(minutes=30)
        held = len(bureau.home.held())
        ended = race(
            lambda: bureau.office.compromise(stolen, cut_off, "anna", now),  # noqa: B023
            lambda: bureau.office.compromise(stolen, None, "ben", now),  # noqa: B023
        )
        assert ended["won"] >= 1
        assert set(ended) <= {"won", "key_change_impossible"}
        row = bureau.ring.row(stolen)
        if row.compromised_from is not None:
            bureau.office.compromise(stolen, None, "ben", now)
        assert bureau.ring.row(stolen).compromised_from is None
        bureau.home.sign(bureau.active(), [b"signs"])
        assert len(bureau.home.held()) == held + 1, "keys that nobody knows of"


def test_of_many_who_make_the_next_key_one_does_and_none_is_left_over(bureau: Bureau) -> None:
    held = len(bureau.home.held())
    ended = race(*[lambda: bureau.office.create(CREDENTIAL, bureau.clock())] * 8)
    assert ended == {"won": 1, "next_key_exists": 7}
    assert len(bureau.home.held()) == held + 1


# Dry runs.


def test_no_dry_run_changes_anything(bureau: Bureau, tmp_path: Path) -> None:
    signing, kid = bureau.active(), waiting_key(bureau)
    bureau.register.claim_outbox(bureau.clock(), lease=timedelta(seconds=1))
    foresight, now = bureau.office.foresight, bureau.clock()

    def state() -> object:
        return (
            bureau.ring.rows(),
            bureau.home.held(),
            bureau.register.schedules(),
            bureau.board.document(),
            bureau.register.list_approvals(),
            (tmp_path / "keys.json").read_bytes(),
        )

    before = state()
    for purpose in PURPOSES:
        foresight.create(purpose, now)
        foresight.schedule(Schedule(purpose, 30 * DAY), now)
        foresight.clear_schedule(purpose)
    for key in (signing, kid):
        foresight.promote(key, now, despite_lead=True)
        foresight.retire(key, now)
        foresight.compromise(key, None, now)
        foresight.destroy(key, now)
    for verb in (foresight.promote, foresight.retire, foresight.destroy):
        with pytest.raises(EcardError, match="key_unknown"):
            verb("00000000", now)
    assert state() == before


# Times.


@pytest.mark.parametrize(
    "cut_off",
    [
        datetime(1960, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(9999, 12, 31, 23, 59, tzinfo=timezone(-timedelta(hours=14))),
        datetime(2020, 1, 1),
    ],
)
def test_a_cut_off_that_no_trust_list_can_say_is_refused_before_anything_changes(
    bureau: Bureau, cut_off: datetime
) -> None:
    """A mistyped year before 1970 used to be stored, and from then on no trust list could be published."""
    kid = bureau.active()
    with pytest.raises(InvalidInput, match="bad_cut_off"):
        bureau.office.foresight.compromise(kid, cut_off, bureau.clock())
    with pytest.raises(InvalidInput, match="bad_cut_off"):
        bureau.office.compromise(kid, cut_off, ACTOR, bureau.clock())
    assert bureau.active() == kid
    bureau.office.compromise(kid, datetime(1970, 1, 1, tzinfo=UTC), ACTOR, bureau.clock())
    assert bureau.ring.publish(bureau.clock())
    (known,) = bureau.ring.trust(bureau.clock()).candidates(kid, CREDENTIAL)
    assert known.accepts(1) == "key_compromised"
