"""Freshness of each class of verifier: what is older than its bound is never good for `valid`, whatever failed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from ecard_card.errors import CheckFailed
from ecard_card.status import CardChange, EcardStatus
from ecard_sdk.device import DeviceKey
from ecard_verifier.bundle import open_bundle
from ecard_verifier.check import check
from ecard_verifier.feed import StatusChanged, verify_event
from ecard_verifier.mirror import Mirror
from ecard_verifier.policy import FRESHNESS, ONLINE_POLICY, Policy, VerifierClass, policy_for
from ecard_verifier.replay import ReplayGuard
from ecard_verifier.service import VerificationService
from ecard_verifier.statuses import Statuses, StatusReading, StatusSnapshot, accept_status_token
from ecard_verifier.trust_source import FixedTrust
from ecard_verifier.verdict import Outcome, Verdict
from tests.verifier.delta_kit import Chain, bundle_of, judged
from tests.verifier.feed_kit import beat, signed
from tests.world import NOW, NoStatuses, World, seconds

VALID, CHECK, UNDECIDED, INVALID = Outcome.VALID, Outcome.CHECK, Outcome.UNDECIDED, Outcome.INVALID
A, B, C, D = VerifierClass.ONLINE, VerifierClass.LIST, VerifierClass.PUSH, VerifierClass.OFFLINE


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@dataclass
class Known:
    """A status as of a certain time, from wherever."""

    value: int
    as_of: int
    expires_at: int | None = None

    def read(self, uri: str, index: int) -> StatusReading:
        return StatusReading(self.value, self.as_of, self.expires_at)


def judge(world: World, statuses: Statuses, now: datetime, policy: Policy) -> Verdict:
    device = DeviceKey.generate()
    code = device.offline_code(world.compact(world.credential(device)), now)
    return check(code, world.trust(), statuses, now, policy)


#: Class, seconds from its bound, what it may say at the best.
TABLE = [
    (A, -1, VALID),
    (A, 0, VALID),
    (A, 1, CHECK),
    (B, -1, VALID),
    (B, 0, VALID),
    (B, 1, CHECK),
    (C, -1, VALID),
    (C, 0, VALID),
    (C, 1, CHECK),
    (D, -1, VALID),
    (D, 0, VALID),
    (D, 1, UNDECIDED),
]


def test_every_class_is_in_the_table_and_promises_what_it_keeps() -> None:
    assert {row[0] for row in TABLE} == set(VerifierClass) == set(FRESHNESS)
    for freshness in FRESHNESS.values():
        assert 0 < freshness.typical <= freshness.bound <= freshness.usable
    assert (FRESHNESS[A].typical, FRESHNESS[A].bound) == (1, 5)
    assert FRESHNESS[B].bound == FRESHNESS[C].bound == 900
    assert FRESHNESS[D].bound == 86_400
    assert policy_for(A) == ONLINE_POLICY
    assert policy_for(D) == Policy()


@pytest.mark.parametrize(("kind", "from_bound", "outcome"), TABLE)
def test_a_status_is_good_for_valid_up_to_the_bound_and_not_a_second_longer(
    world: World, kind: VerifierClass, from_bound: int, outcome: Outcome
) -> None:
    age = FRESHNESS[kind].bound + from_bound
    verdict = judge(world, Known(0, seconds(NOW) - age), NOW, policy_for(kind))
    assert verdict.outcome is outcome
    assert verdict.status_as_of == NOW - timedelta(seconds=age)


@pytest.mark.parametrize("kind", VerifierClass)
def test_a_part_of_a_second_beyond_the_bound_is_beyond_it(world: World, kind: VerifierClass) -> None:
    policy = policy_for(kind)
    moment = NOW.replace(microsecond=0) + timedelta(milliseconds=400)
    known = Known(int(EcardStatus.VALID), seconds(moment) - policy.status_fresh)
    assert judge(world, known, moment.replace(microsecond=0), policy).outcome is VALID
    assert judge(world, known, moment, policy).outcome is not VALID


@pytest.mark.parametrize("kind", list(VerifierClass))
@pytest.mark.parametrize(("past_usable", "outcome"), [(-1, CHECK), (0, CHECK), (1, UNDECIDED)])
def test_what_is_too_old_even_for_a_person_is_undecided(
    world: World, kind: VerifierClass, past_usable: int, outcome: Outcome
) -> None:
    freshness = FRESHNESS[kind]
    if past_usable <= 0 and freshness.usable == freshness.bound:
        outcome = VALID
    age = freshness.usable + past_usable
    verdict = judge(world, Known(0, seconds(NOW) - age), NOW, policy_for(kind))
    assert verdict.outcome is outcome


@pytest.mark.parametrize("kind", list(VerifierClass))
@pytest.mark.parametrize("age", [0, 1, 899, 86_399, 10**7])
def test_a_suspended_or_ended_card_is_never_valid_at_any_age(world: World, kind: VerifierClass, age: int) -> None:
    for value, allowed in ((2, {INVALID, UNDECIDED}), (1, {INVALID}), (3, {UNDECIDED, INVALID})):
        verdict = judge(world, Known(value, seconds(NOW) - age), NOW, policy_for(kind))
        assert verdict.outcome in allowed, (value, verdict.reason)


@pytest.mark.parametrize("kind", list(VerifierClass))
@pytest.mark.parametrize(
    ("jump", "outcome"),
    [(-3600, UNDECIDED), (-61, UNDECIDED), (-60, VALID), (0, VALID), (10**7, UNDECIDED)],
)
def test_a_clock_that_jumps_makes_nothing_fresh(world: World, kind: VerifierClass, jump: int, outcome: Outcome) -> None:
    """Back: what is known lies ahead, and nobody can say how old it is. Forth: it is old."""
    statuses = Known(0, seconds(NOW))
    now = NOW + timedelta(seconds=jump)
    device = DeviceKey.generate()
    credential = world.credential(device, expires_at=seconds(NOW) + 10**8)
    trust = World(now=now, status_key=world.status_key, credential_key=world.credential_key, event_key=world.event_key)
    verdict = check(device.offline_code(world.compact(credential), now), trust.trust(), statuses, now, policy_for(kind))
    assert verdict.outcome is outcome
    back = judge(world, statuses, NOW, policy_for(kind))
    assert back.outcome is VALID  # and no jump spoils what is known


def test_a_follower_whose_feed_falls_silent_ages_second_by_second_and_is_well_again_by_one_beat(world: World) -> None:
    mirror = Mirror(issuer=world.issuer)
    changed = StatusChanged(EcardStatus.VALID, world.status_uri.replace("{list}", "1"), 7, CardChange.RELEASE, 1)
    trust = world.trust()
    mirror.apply(verify_event(signed(world, changed, 1), trust, NOW))
    mirror.apply(verify_event(beat(world, 1, NOW), trust, NOW))
    bound, usable = FRESHNESS[A].bound, FRESHNESS[A].usable
    for silence, outcome in (
        (0, VALID),
        (bound - 1, VALID),
        (bound, VALID),
        (bound + 1, CHECK),
        (usable, CHECK),
        (usable + 1, UNDECIDED),
        (2 * usable, UNDECIDED),
    ):
        assert judge(world, mirror, NOW + timedelta(seconds=silence), ONLINE_POLICY).outcome is outcome, silence
    later = NOW + timedelta(seconds=3 * usable)
    mirror.disconnected()
    mirror.apply(verify_event(beat(world, 1, later), trust, later))
    assert judge(world, mirror, later, ONLINE_POLICY).outcome is VALID
    mirror.close()


def test_an_old_beat_heard_again_after_an_outage_makes_nothing_fresh(world: World) -> None:
    world = World()
    mirror, trust = Mirror(issuer=world.issuer), world.trust()
    changed = StatusChanged(EcardStatus.VALID, world.status_uri.replace("{list}", "1"), 7, CardChange.RELEASE, 1)
    mirror.apply(verify_event(signed(world, changed, 1), trust, NOW))
    old = beat(world, 1, NOW)
    mirror.apply(verify_event(old, trust, NOW))
    later = NOW + timedelta(seconds=6)
    mirror.apply(verify_event(old, trust, later))
    assert judge(world, mirror, later, ONLINE_POLICY).outcome is CHECK
    mirror.close()


def test_an_offline_terminal_is_as_fresh_as_its_last_accepted_delta_and_no_fresher(world: World) -> None:
    chain, bound = Chain(world), FRESHNESS[D].bound
    bundle = open_bundle(bundle_of(world), NOW, world.root)
    tokens = [chain.next(after_seconds=3600) for _ in range(3)]
    bundle.statuses.apply(tokens[0], chain.at)
    with pytest.raises(CheckFailed):
        bundle.statuses.apply(tokens[2], chain.at)  # one is missing: the newest one may not speak for it
    known = NOW + timedelta(hours=1)
    assert judged(world, bundle, known + timedelta(seconds=bound)).outcome is VALID
    assert judged(world, bundle, known + timedelta(seconds=bound)).status_as_of == known
    assert judged(world, bundle, known + timedelta(seconds=bound + 61)).outcome is UNDECIDED
    bundle.statuses.apply(tokens[1], chain.at)
    bundle.statuses.apply(tokens[2], chain.at)
    assert judged(world, bundle, known + timedelta(seconds=bound + 61)).outcome is VALID


@pytest.mark.parametrize(("from_bound", "outcome"), [(-1, VALID), (0, VALID), (1, UNDECIDED), (86_400, UNDECIDED)])
def test_the_bound_of_an_offline_terminal_to_the_second(world: World, from_bound: int, outcome: Outcome) -> None:
    chain = Chain(world)
    bundle = open_bundle(bundle_of(world), NOW, world.root)
    bundle.statuses.apply(chain.next(after_seconds=1800), chain.at)
    at = chain.at + timedelta(seconds=FRESHNESS[D].bound + from_bound)
    assert judged(world, bundle, at).outcome is outcome


def test_a_list_past_its_own_end_is_of_no_use_to_any_class(world: World) -> None:
    token = accept_status_token(world.status_token(), world.trust(), NOW)
    for kind in VerifierClass:
        at = datetime.fromtimestamp(token.expires_at + 61, NOW.tzinfo)
        assert judge(world, StatusSnapshot([token]), at, policy_for(kind)).outcome is UNDECIDED


def test_no_list_is_undecided_and_never_invalid(world: World) -> None:
    """Both mistakes of others: an error that counts as valid, and one that counts as revoked."""
    for kind in VerifierClass:
        assert judge(world, NoStatuses(), NOW, policy_for(kind)).outcome is UNDECIDED


def test_an_unreachable_trust_list_is_undecided(world: World) -> None:
    device = DeviceKey.generate()
    code = device.offline_code(world.compact(world.credential(device)), NOW)
    assert check(code, None, Known(0, seconds(NOW)), NOW).outcome is UNDECIDED
    late = NOW + timedelta(days=8)
    code = device.offline_code(world.compact(world.credential(device)), late)
    assert check(code, world.trust(), Known(0, seconds(late)), late).outcome is UNDECIDED


def test_a_status_is_read_for_every_scan_and_no_verdict_is_remembered(world: World) -> None:
    """A cache of verdicts, however short, is an acceptance beyond the bound."""
    known = Known(0, seconds(NOW))
    service = VerificationService(FixedTrust(world.trust()), known, None, ReplayGuard(), ONLINE_POLICY, lambda: NOW)
    device = DeviceKey.generate()
    compact = world.compact(world.credential(device))

    def scanned() -> Verdict:
        return service.verify(device.offline_code(compact, NOW)).verdict

    assert scanned().outcome is VALID
    known.value = 2
    assert scanned().reason == "suspended"
    known.value = 0
    assert scanned().outcome is VALID
    known.as_of -= 10**6
    assert scanned().outcome is UNDECIDED
