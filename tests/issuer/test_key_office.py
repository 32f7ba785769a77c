"""What admins do to keys: the rules, four eyes, a stolen key with and without its home, and a year by schedule."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from ecard_card import messages
from ecard_card.errors import ApprovalNeeded, EcardError, InvalidInput, NotFound, RuleViolation, Unavailable
from ecard_issuer.keyring import PURPOSES
from ecard_issuer.states import OutboxKind
from ecard_keys.key import KeyPurpose, KeyState
from ecard_keys.rotation import SKEW
from tests.issuer.bureau import DAY, RULES, Bureau

CREDENTIAL = KeyPurpose.CREDENTIAL
ACTOR = "first admin"


@pytest.fixture
def bureau(tmp_path: Path) -> Bureau:
    return Bureau.open(tmp_path)


@pytest.fixture
def four_eyes(tmp_path: Path) -> Bureau:
    return Bureau.open(tmp_path, needed=1)


@pytest.fixture
def offline(tmp_path: Path) -> Bureau:
    return Bureau.open(tmp_path, offline=True)


def rotated(bureau: Bureau, purpose: KeyPurpose = CREDENTIAL) -> tuple[str, str]:
    """The key that signed and the key that signs, after a rotation with its full lead."""
    old, new = bureau.active(purpose), bureau.office.create(purpose, bureau.clock()).kid
    bureau.clock.advance(RULES.lead.total_seconds())
    bureau.office.promote(new, ACTOR, bureau.clock())
    return old, new


# Promotion


def test_a_key_is_promoted_when_its_lead_is_over_and_not_a_second_before(bureau: Bureau) -> None:
    made = bureau.office.create(CREDENTIAL, bureau.clock()).kid
    bureau.clock.advance(RULES.lead.total_seconds() - 1)
    with pytest.raises(RuleViolation, match=r"key_lead_not_over: possible from 2026-11-24T11:00:00"):
        bureau.office.promote(made, ACTOR, bureau.clock())
    assert bureau.state(made) == KeyState.NEXT
    bureau.office.promote(made, ACTOR, bureau.clock.advance(1))
    assert bureau.active() == made


def test_whoever_insists_promotes_before_the_lead_is_over_and_is_told_whom_it_hits(bureau: Bureau) -> None:
    made = bureau.office.create(CREDENTIAL, bureau.clock()).kid
    bureau.clock.advance(3600)
    foreseen = bureau.office.foresight.promote(made, bureau.clock(), despite_lead=True)
    assert foreseen.refused is None
    assert "consequence_promote_early" in foreseen.notes
    assert foreseen.stale_after == 3600
    assert foreseen.everywhere_at == bureau.clock() + timedelta(hours=24)
    bureau.office.promote(made, ACTOR, bureau.clock(), despite_lead=True)
    assert bureau.active() == made


def test_an_unpublished_key_is_promoted_by_no_insisting(offline: Bureau) -> None:
    offline.ceremony()
    made = offline.office.create(CREDENTIAL, offline.clock())
    offline.clock.advance(90 * 86400)
    with pytest.raises(RuleViolation, match="key_unpublished"):
        offline.office.promote(made.kid, ACTOR, offline.clock(), despite_lead=True)


# Four eyes


def test_a_change_waits_for_another_person_and_is_made_once(four_eyes: Bureau) -> None:
    bureau = four_eyes
    made = bureau.office.create(CREDENTIAL, bureau.clock()).kid
    now = bureau.clock.advance(RULES.lead.total_seconds())
    for _ in range(2):
        with pytest.raises(ApprovalNeeded):
            bureau.office.promote(made, ACTOR, now)
    assert bureau.state(made) == KeyState.NEXT
    with pytest.raises(EcardError, match="approval_own_request"):
        bureau.agree(ACTOR)
    bureau.agree()
    bureau.office.promote(made, ACTOR, now)
    assert bureau.state(made) == KeyState.ACTIVE


def test_agreeing_to_a_promotion_is_not_agreeing_to_one_despite_the_lead(four_eyes: Bureau) -> None:
    bureau = four_eyes
    made = bureau.office.create(CREDENTIAL, bureau.clock()).kid
    bureau.clock.advance(RULES.lead.total_seconds() - 3600)
    with pytest.raises(ApprovalNeeded) as wanted:
        bureau.office.promote(made, ACTOR, bureau.clock(), despite_lead=True)
    bureau.agree()
    now = bureau.clock.advance(3600)
    with pytest.raises(EcardError) as other:
        bureau.office.promote(made, ACTOR, now)
    assert isinstance(other.value, ApprovalNeeded)
    assert other.value.request_id != wanted.value.request_id


def test_a_theft_with_another_cut_off_is_another_change(four_eyes: Bureau) -> None:
    bureau = four_eyes
    kid = bureau.active()
    with pytest.raises(ApprovalNeeded):
        bureau.office.compromise(kid, bureau.clock(), ACTOR, bureau.clock())
    bureau.agree()
    with pytest.raises(ApprovalNeeded):
        bureau.office.compromise(kid, None, ACTOR, bureau.clock())
    assert bureau.active() == kid
    assert len(bureau.ring.rows()) == 4, "asking makes no successor yet"


@pytest.mark.parametrize("verb", ["promote", "retire", "compromise", "destroy", "schedule", "unschedule"])
def test_every_dangerous_verb_asks_first(four_eyes: Bureau, verb: str) -> None:
    bureau, office = four_eyes, four_eyes.office
    register, now = bureau.register, bureau.clock.advance(3 * 86400)
    status = bureau.active(KeyPurpose.STATUS)
    made = office.create(KeyPurpose.STATUS, now).kid
    if verb in ("retire", "destroy"):
        register.activate_key("status", made, now)
        now = bureau.clock.advance(3 * 86400)
    if verb == "destroy":
        register.retire_key("status", status, now)
        now = bureau.clock.advance(31 * 86400)
    if verb == "unschedule":
        from ecard_issuer.rows import KeyScheduleRow

        register.set_schedule(KeyScheduleRow("status", 90 * DAY, "x", now))
    late = bureau.clock.advance(2 * 86400) if verb == "promote" else now
    calls: dict[str, Callable[[], object]] = {
        "promote": lambda: office.promote(made, ACTOR, late),
        "retire": lambda: office.retire(status, ACTOR, now),
        "compromise": lambda: office.compromise(status, None, ACTOR, now),
        "destroy": lambda: office.destroy(status, ACTOR, now),
        "schedule": lambda: office.set_schedule(office.wanted_schedule(KeyPurpose.STATUS, 90 * 86400), ACTOR, now),
        "unschedule": lambda: office.clear_schedule(KeyPurpose.STATUS, ACTOR, now),
    }
    before = bureau.ring.rows(), register.schedules()
    with pytest.raises(ApprovalNeeded):
        calls[verb]()
    assert (bureau.ring.rows(), register.schedules()) == before
    bureau.agree()
    calls[verb]()
    assert (bureau.ring.rows(), register.schedules()) != before


# A stolen key


def test_the_waiting_key_takes_the_place_of_a_stolen_one_in_the_same_moment(bureau: Bureau) -> None:
    stolen, waiting = bureau.active(), bureau.office.create(CREDENTIAL, bureau.clock()).kid
    cut_off = bureau.clock()
    now = bureau.clock.advance(60)
    foreseen = bureau.office.foresight.compromise(stolen, cut_off, now)
    assert (foreseen.successor, foreseen.stops_signing) == (waiting, False)
    assert {"consequence_same_home", "consequence_cut_off_dates"} <= set(foreseen.notes)
    row = bureau.office.compromise(stolen, cut_off, ACTOR, now)
    assert (row.state, row.compromised_from, row.compromised_at) == (KeyState.COMPROMISED, cut_off, now)
    assert bureau.active() == waiting
    (known,) = bureau.ring.trust(now).candidates(stolen, CREDENTIAL)
    assert known.accepts(int(cut_off.timestamp())) is None
    assert known.accepts(int(cut_off.timestamp()) + 1) == "key_compromised"
    kinds = [item.kind for item in bureau.register.claim_outbox(now, lease=timedelta(seconds=5))]
    assert OutboxKind.KEY_COMPROMISED in kinds


def test_without_a_waiting_key_one_is_made_and_issuing_goes_on(bureau: Bureau) -> None:
    stolen = bureau.active()
    bureau.office.compromise(stolen, None, ACTOR, bureau.clock.advance(60))
    successor = bureau.ring.active(CREDENTIAL)
    assert successor.kid != stolen
    bureau.home.sign(successor.kid, [b"signs"])
    (known,) = bureau.ring.trust(bureau.clock()).candidates(stolen, CREDENTIAL)
    assert known.accepts(0) == "key_compromised", "without a cut-off nothing it signed counts"


def test_a_key_is_declared_stolen_while_its_home_is_away_and_the_waiting_one_follows(bureau: Bureau) -> None:
    stolen, waiting = bureau.active(), bureau.office.create(CREDENTIAL, bureau.clock()).kid
    bureau.home.away = True
    bureau.office.compromise(stolen, None, ACTOR, bureau.clock.advance(1))
    assert (bureau.state(stolen), bureau.active()) == (KeyState.COMPROMISED, waiting)


def test_without_home_and_waiting_key_signing_stops_and_the_dry_run_says_so(bureau: Bureau) -> None:
    stolen = bureau.active()
    bureau.home.away = True
    foreseen = bureau.office.foresight.compromise(stolen, None, bureau.clock())
    assert foreseen.stops_signing
    assert "consequence_no_successor" in foreseen.notes
    bureau.office.compromise(stolen, None, ACTOR, bureau.clock.advance(1))
    assert bureau.state(stolen) == KeyState.COMPROMISED
    with pytest.raises(NotFound, match="no_active_key"):
        bureau.ring.active(CREDENTIAL)
    assert ("unsafe", "key_none_active") in [(a.kind, a.code) for a in bureau.office.lives.advice(bureau.clock())]
    bureau.home.away = False
    made = bureau.office.create(CREDENTIAL, bureau.clock()).kid
    bureau.office.promote(made, ACTOR, bureau.clock(), despite_lead=True)
    assert bureau.active() == made


def test_the_successor_made_for_a_change_that_is_refused_is_destroyed_again(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuleViolation("approval_not_usable", "used by somebody else")

    monkeypatch.setattr(bureau.register, "compromise_key", refuse)
    held = {key.key_id for key in bureau.home.held()}
    with pytest.raises(RuleViolation, match="approval_not_usable"):
        bureau.office.compromise(bureau.active(), None, ACTOR, bureau.clock())
    assert {key.key_id for key in bureau.home.held()} == held
    assert [row.state for row in bureau.ring.rows()].count(KeyState.DESTROYED) == 1


def test_what_was_said_of_a_stolen_key_is_only_made_stricter(bureau: Bureau) -> None:
    stolen, first = bureau.active(), bureau.clock()
    now = bureau.clock.advance(3600)
    bureau.office.compromise(stolen, first, ACTOR, now)
    with pytest.raises(RuleViolation, match="key_change_impossible"):
        bureau.office.compromise(stolen, first + timedelta(minutes=1), ACTOR, now)
    assert bureau.office.compromise(stolen, None, ACTOR, now).compromised_from is None
    with pytest.raises(RuleViolation, match="key_change_impossible"):
        bureau.office.compromise(stolen, first, ACTOR, now)
    assert len([row for row in bureau.ring.rows([CREDENTIAL]) if row.state == KeyState.ACTIVE]) == 1


@pytest.mark.parametrize("state", ["next", "verify-only"])
def test_a_key_that_does_not_sign_is_declared_stolen_without_a_successor(bureau: Bureau, state: str) -> None:
    if state == "next":
        kid, signs = bureau.office.create(CREDENTIAL, bureau.clock()).kid, bureau.active()
    else:
        kid, signs = rotated(bureau)
    count = len(bureau.ring.rows())
    bureau.office.compromise(kid, None, ACTOR, bureau.clock.advance(1))
    assert (bureau.state(kid), bureau.active(), len(bureau.ring.rows())) == (KeyState.COMPROMISED, signs, count)


@pytest.mark.parametrize("cut_off", [datetime(2026, 1, 1), datetime.fromisoformat("2027-01-01T00:00:00Z")])
def test_a_cut_off_has_a_zone_and_is_not_ahead(bureau: Bureau, cut_off: datetime) -> None:
    with pytest.raises(InvalidInput, match="bad_cut_off"):
        bureau.office.compromise(bureau.active(), cut_off, ACTOR, bureau.clock())


# Retiring and destroying


def test_a_key_is_retired_only_after_the_last_credential_that_names_it(bureau: Bureau) -> None:
    credential = bureau.world.issue(bureau.world.card())
    old, _ = rotated(bureau)
    assert credential.key_id == old
    foreseen = bureau.office.foresight.retire(old, bureau.clock())
    assert (foreseen.refused, foreseen.live, foreseen.last_expiry) == ("key_still_named", 1, credential.expires_at)
    with pytest.raises(RuleViolation, match="key_still_named"):
        bureau.office.retire(old, ACTOR, bureau.clock())
    with pytest.raises(RuleViolation, match="key_still_named"):
        bureau.register.retire_key("credential", old, bureau.clock())
    bureau.clock.now = credential.expires_at + timedelta(seconds=1)
    with pytest.raises(RuleViolation, match="key_retirement_too_early"):  # a verifier's clock may be behind
        bureau.office.retire(old, ACTOR, bureau.clock())
    bureau.clock.now = credential.expires_at + SKEW + RULES.margin
    assert bureau.office.retire(old, ACTOR, bureau.clock()).state == KeyState.RETIRED
    assert not bureau.ring.trust(bureau.clock()).candidates(old, CREDENTIAL)


def test_a_key_for_status_lists_is_retired_when_the_last_list_it_signed_has_expired(bureau: Bureau) -> None:
    old, _ = rotated(bureau, KeyPurpose.STATUS)
    with pytest.raises(RuleViolation, match="key_retirement_too_early"):
        bureau.office.retire(old, ACTOR, bureau.clock.advance(86400))
    bureau.office.retire(old, ACTOR, bureau.clock.advance(86400))
    assert bureau.state(old) == KeyState.RETIRED


def test_a_key_for_events_is_never_retired(bureau: Bureau) -> None:
    old, _ = rotated(bureau, KeyPurpose.EVENT)
    with pytest.raises(RuleViolation, match="key_still_named"):
        bureau.office.retire(old, ACTOR, bureau.clock.advance(3000 * 86400))


def test_a_retired_key_is_destroyed_after_its_wait_and_then_signs_nothing(bureau: Bureau) -> None:
    old, _ = rotated(bureau)
    retired = bureau.office.retire(old, ACTOR, bureau.clock.advance(2 * 86400))
    assert retired.retired_at is not None
    with pytest.raises(RuleViolation, match="key_destruction_too_early"):
        bureau.office.destroy(old, ACTOR, bureau.clock.advance(29 * 86400))
    now = bureau.clock.advance(86400)
    bureau.home.away = True
    with pytest.raises(Unavailable, match="key_home_unavailable"):
        bureau.office.destroy(old, ACTOR, now)
    assert bureau.state(old) == KeyState.RETIRED, "an approval is not spent on a home that is away"
    bureau.home.away = False
    assert bureau.office.destroy(old, ACTOR, now).state == KeyState.DESTROYED
    with pytest.raises(NotFound, match="key_unknown"):
        bureau.home.sign(old, [b"x"])
    bureau.office.destroy(old, ACTOR, now)  # a repetition is harmless


@pytest.mark.parametrize("verb", ["promote", "retire", "destroy", "compromise"])
def test_unknown_keys_and_impossible_changes(bureau: Bureau, verb: str) -> None:
    office, now, active = bureau.office, bureau.clock(), bureau.active()
    calls: dict[str, Callable[[str], object]] = {
        "promote": lambda kid: office.promote(kid, ACTOR, now),
        "retire": lambda kid: office.retire(kid, ACTOR, now),
        "destroy": lambda kid: office.destroy(kid, ACTOR, now),
        "compromise": lambda kid: office.compromise(kid, None, ACTOR, now),
    }
    with pytest.raises(NotFound, match="key_unknown"):
        calls[verb]("00000000")
    if verb != "compromise":
        with pytest.raises(RuleViolation, match="key_change_impossible"):
            calls[verb](active)


# Making


def test_a_key_that_the_register_does_not_take_is_destroyed_in_its_home(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = bureau.home.held()

    def away(_: object) -> None:
        raise Unavailable("register_unavailable", "no answer")

    monkeypatch.setattr(bureau.register, "add_key", away)
    with pytest.raises(Unavailable, match="register_unavailable"):
        bureau.office.create(CREDENTIAL, bureau.clock())
    assert bureau.home.held() == held


def test_a_key_that_the_register_may_have_taken_is_kept(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsure(_: object) -> None:
        raise Unavailable("outcome_unknown", "the connection broke at commit")

    monkeypatch.setattr(bureau.register, "add_key", unsure)
    with pytest.raises(Unavailable, match="outcome_unknown"):
        bureau.office.create(CREDENTIAL, bureau.clock())
    assert len(bureau.home.held()) == 5


# Offline roots


def test_with_offline_roots_nothing_signs_before_the_first_ceremony(offline: Bureau) -> None:
    for purpose in PURPOSES:
        with pytest.raises(Unavailable, match="key_unpublished"):
            offline.ring.active(purpose)
    offline.ceremony()
    for purpose in PURPOSES:
        assert offline.ring.active(purpose).state is KeyState.ACTIVE


def test_with_offline_roots_a_new_key_waits_for_a_ceremony_and_its_lead_begins_there(offline: Bureau) -> None:
    offline.ceremony()
    made = offline.office.create(CREDENTIAL, offline.clock.advance(60)).kid
    assert offline.state(made) == KeyState.GENERATED
    codes = [advice.code for advice in offline.office.lives.advice(offline.clock())]
    assert {"key_not_published", "trust_list_behind"} <= set(codes)
    foreseen = offline.office.foresight.create(KeyPurpose.STATUS, offline.clock())
    assert foreseen.ceremony
    offline.clock.advance(7 * 86400)
    offline.ceremony()
    published = offline.clock()
    assert offline.ring.row(made).published_at == published
    with pytest.raises(RuleViolation, match="key_lead_not_over"):
        offline.office.promote(made, ACTOR, offline.clock())
    offline.office.promote(made, ACTOR, offline.clock.advance(RULES.lead.total_seconds()))
    assert offline.active() == made


def test_with_offline_roots_a_stolen_keys_unpublished_successor_waits_and_the_dry_run_says_so(offline: Bureau) -> None:
    offline.ceremony()
    stolen = offline.active()
    foreseen = offline.office.foresight.compromise(stolen, None, offline.clock())
    assert foreseen.stops_signing
    assert {"consequence_stops_until_ceremony", "consequence_ceremony"} <= set(foreseen.notes)
    assert foreseen.everywhere_at is None
    offline.office.compromise(stolen, None, ACTOR, offline.clock.advance(1))
    with pytest.raises(Unavailable, match="key_unpublished"):
        offline.ring.active(CREDENTIAL)
    assert ("unsafe", "trust_list_behind") in [(a.kind, a.code) for a in offline.office.lives.advice(offline.clock())]
    offline.ceremony()
    assert offline.active() != stolen


# Schedules


def test_a_year_by_schedule_has_a_signing_key_at_every_moment_and_every_lead_in_full(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    bureau = Bureau.open(tmp_path)
    for purpose in PURPOSES:
        bureau.office.set_schedule(bureau.office.wanted_schedule(purpose, 45 * 86400), ACTOR, bureau.clock())
    end = bureau.clock() + 365 * DAY
    while bureau.clock() < end:
        now = bureau.clock.advance(8 * 3600)
        bureau.ring.refresh(now)
        bureau.office.upkeep(now)
        rows = bureau.ring.rows()
        for purpose in PURPOSES:
            states = [row.state for row in rows if row.purpose == purpose]
            assert states.count(KeyState.ACTIVE) == 1, (now, purpose)
            assert states.count(KeyState.NEXT) <= 1
    promotions = 0
    for purpose in PURPOSES:
        keys = [row for row in bureau.ring.rows([purpose]) if row.activated_at is not None]
        for before, after in pairwise(keys):
            assert before.retired_from == after.activated_at, "no gap and no overlap"
            assert after.published_at is not None
            assert after.activated_at is not None
            assert after.activated_at - after.published_at >= RULES.lead
            promotions += 1
    assert promotions == 32
    assert {advice.code for advice in bureau.office.lives.advice(bureau.clock())} <= {"key_retire_possible"}
    record_property("counts", f"a year by schedule: {promotions} promotions, 0 gaps, 0 overlaps")


def test_a_schedule_waits_for_the_lead_of_a_key_that_was_made_late(bureau: Bureau) -> None:
    office, active = bureau.office, bureau.active()
    office.set_schedule(office.wanted_schedule(CREDENTIAL, 45 * 86400), ACTOR, bureau.clock())
    made = office.create(CREDENTIAL, bureau.clock.advance(45 * 86400 - 3600)).kid
    office.upkeep(bureau.clock.advance(7200))
    assert bureau.active() == active
    office.upkeep(bureau.clock.advance(RULES.lead.total_seconds() - 7200))
    assert bureau.active() == made


def test_a_schedule_ends_as_it_began(bureau: Bureau) -> None:
    office = bureau.office
    with pytest.raises(NotFound, match="key_schedule_unknown"):
        office.clear_schedule(CREDENTIAL, ACTOR, bureau.clock())
    office.set_schedule(office.wanted_schedule(CREDENTIAL, 45 * 86400), ACTOR, bureau.clock())
    office.clear_schedule(CREDENTIAL, ACTOR, bureau.clock())
    office.upkeep(bureau.clock.advance(100 * 86400))
    assert len(bureau.ring.rows()) == 4


@pytest.mark.parametrize(("seconds", "code"), [(0, "bad_schedule"), (3651 * 86400, "bad_schedule")])
def test_a_schedule_has_bounds(bureau: Bureau, seconds: int, code: str) -> None:
    with pytest.raises(InvalidInput, match=code):
        bureau.office.wanted_schedule(CREDENTIAL, seconds)


def test_a_schedule_faster_than_verifiers_learn_is_refused(bureau: Bureau) -> None:
    wanted = bureau.office.wanted_schedule(CREDENTIAL, 86400)
    with pytest.raises(RuleViolation, match="schedule_shorter_than_lead"):
        bureau.office.set_schedule(wanted, ACTOR, bureau.clock())


def test_the_schedule_does_not_promote_what_was_not_published(offline: Bureau) -> None:
    offline.ceremony()
    wanted = offline.office.wanted_schedule(CREDENTIAL, 45 * 86400)
    offline.office.set_schedule(wanted, ACTOR, offline.clock())
    active = offline.active()
    for _ in range(3):
        offline.office.upkeep(offline.clock.advance(30 * 86400))
    assert offline.active() == active
    assert [
        advice.kind for advice in offline.office.lives.advice(offline.clock()) if advice.code == "key_not_published"
    ] == ["late"]


# Words


def test_every_consequence_is_said_in_both_languages_without_a_gap(bureau: Bureau) -> None:
    bureau.world.issue(bureau.world.card())
    waiting = bureau.office.create(CREDENTIAL, bureau.clock()).kid
    look, now, active = bureau.office.foresight, bureau.clock(), bureau.active()
    wanted = bureau.office.wanted_schedule(CREDENTIAL, 10 * 86400)
    for foreseen in (
        look.create(CREDENTIAL, now),
        look.promote(waiting, now),
        look.retire(active, now),
        look.compromise(active, None, now),
        look.compromise(active, now, now),
        look.destroy(active, now),
        look.schedule(wanted, now),
        look.clear_schedule(CREDENTIAL),
    ):
        for language in ("en", "zh"):
            said = foreseen.words(language)
            assert said
            assert not any("{" in words or words in messages.codes() for words in said)
