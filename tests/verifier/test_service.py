"""The verification service: `check`, plus what has to be remembered."""

from __future__ import annotations

import threading
from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ecard_card.card import ChipAssurance
from ecard_card.status import EcardStatus
from ecard_keys.trust.trust import DeniedKey, Trust
from ecard_sdk.device import DeviceKey
from ecard_verifier.feed import CredentialIssued
from ecard_verifier.mirror import Mirror
from ecard_verifier.replay import ReplayGuard
from ecard_verifier.service import VerificationService
from ecard_verifier.statuses import CredentialSource, Statuses
from ecard_verifier.trust_source import FixedTrust, TrustProvider
from ecard_verifier.verdict import Outcome
from tests.verifier.feed_kit import beat, believed, caught_up, change, signed
from tests.world import NOW, NoStatuses, World


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def device() -> DeviceKey:
    return DeviceKey.generate()


@pytest.fixture(scope="module")
def compact(world: World, device: DeviceKey) -> bytes:
    return world.compact(world.credential(device))


class Clock:
    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def service_of(
    world: World,
    statuses: Statuses | None = None,
    *,
    trust: TrustProvider | None = None,
    replay: ReplayGuard | None = None,
    credentials: CredentialSource | None = None,
    clock: Clock | None = None,
) -> VerificationService:
    return VerificationService(
        trust or FixedTrust(world.trust()),
        statuses or caught_up(world),
        credentials,
        replay or ReplayGuard(),
        clock=clock or Clock(),
        audience="clinic",
    )


def test_a_code_is_accepted_once_and_the_second_counter_hears_where(
    world: World, device: DeviceKey, compact: bytes
) -> None:
    service, code = service_of(world), device.offline_code(compact, NOW)
    first = service.verify(code, counter="pharmacy 3")
    second = service.verify(code, counter="pharmacy 4")
    assert (first.verdict.outcome, first.first_seen) == (Outcome.VALID, None)
    assert first.verdict.checks[-1].ok is True
    assert (second.verdict.outcome, second.verdict.reason) == (Outcome.INVALID, "replayed")
    assert second.first_seen is not None
    assert (second.first_seen.at, second.first_seen.where) == (NOW, "pharmacy 3")
    assert second.verdict.checks[-1].ok is False
    assert second.verdict.claims == {}
    assert first.verification_id != second.verification_id


def test_the_next_code_of_the_same_device_is_another_code(world: World, device: DeviceKey, compact: bytes) -> None:
    service = service_of(world)
    assert service.verify(device.offline_code(compact, NOW)).verdict.outcome is Outcome.VALID
    assert service.verify(device.offline_code(compact, NOW)).verdict.outcome is Outcome.VALID


def test_a_replay_is_refused_across_a_restart_of_the_guard(
    world: World, device: DeviceKey, compact: bytes, tmp_path: Path
) -> None:
    code = device.offline_code(compact, NOW)
    guard = ReplayGuard(tmp_path / "replay.sqlite3")
    assert service_of(world, replay=guard).verify(code).verdict.outcome is Outcome.VALID
    guard.close()
    again = service_of(world, replay=ReplayGuard(tmp_path / "replay.sqlite3")).verify(code)
    assert again.verdict.reason == "replayed"


def test_twenty_counters_at_once_accept_a_code_once(world: World, device: DeviceKey, compact: bytes) -> None:
    service, code = service_of(world), device.offline_code(compact, NOW)
    start = threading.Barrier(20)
    reasons: list[str] = []

    def scan() -> None:
        start.wait()
        reasons.append(service.verify(code).verdict.reason)

    threads = [threading.Thread(target=scan) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reasons) == ["ok"] + ["replayed"] * 19


def test_a_code_that_was_refused_is_not_used_up(world: World, device: DeviceKey, compact: bytes) -> None:
    mirror = caught_up(world)
    service, code = service_of(world, mirror), device.offline_code(compact, NOW)
    mirror.apply(believed(world, signed(world, change(world, EcardStatus.SUSPENDED), 1)))
    assert service.verify(code).verdict.reason == "suspended"
    mirror.apply(believed(world, signed(world, change(world, EcardStatus.VALID), 2)))
    assert service.verify(code).verdict.outcome is Outcome.VALID
    assert service.verify(code).verdict.reason == "replayed"


def test_a_code_that_a_person_had_to_judge_is_used_up(world: World, device: DeviceKey, compact: bytes) -> None:
    clock = Clock(NOW + timedelta(seconds=30))
    service, code = service_of(world, clock=clock), device.offline_code(compact, NOW)
    assert service.verify(code).verdict.outcome is Outcome.CHECK
    assert service.verify(code).verdict.reason == "replayed"


def test_a_screenshot_is_refused_when_the_code_has_lived(world: World, device: DeviceKey, compact: bytes) -> None:
    code = device.offline_code(compact, NOW)
    for age, reason in ((30, "status_aging"), (110, "status_aging"), (125, "code_expired")):
        service = service_of(world, clock=Clock(NOW + timedelta(seconds=age)))
        assert service.verify(code).verdict.reason == reason


def test_no_guard_no_acceptance(world: World, device: DeviceKey, compact: bytes) -> None:
    guard = ReplayGuard()
    guard.close()
    verdict = service_of(world, replay=guard).verify(device.offline_code(compact, NOW)).verdict
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "replay_guard_unavailable")


def test_no_trust_or_no_statuses_is_undecided_and_never_valid(world: World, device: DeviceKey, compact: bytes) -> None:
    code = device.offline_code(compact, NOW)
    for service, reason in (
        (service_of(world, trust=FixedTrust(None)), "trust_missing"),
        (service_of(world, NoStatuses()), "status_unknown"),
        (service_of(world, Mirror()), "status_unknown"),
    ):
        verdict = service.verify(code).verdict
        assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, reason)


def test_a_closed_mirror_is_undecided(world: World, device: DeviceKey, compact: bytes) -> None:
    mirror = caught_up(world)
    mirror.close()
    verdict = service_of(world, mirror).verify(device.offline_code(compact, NOW)).verdict
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "mirror_unavailable")


def test_a_short_code_is_resolved_through_the_mirror(world: World, device: DeviceKey) -> None:
    credential = world.credential(device)
    mirror = Mirror()
    service = service_of(world, mirror, credentials=mirror)
    compact = world.compact(credential)
    code = device.online_code(compact, NOW)
    assert service.verify(code).verdict.reason == "mirror_behind"
    mirror.apply(believed(world, signed(world, CredentialIssued(compact), 1)))
    mirror.apply(believed(world, beat(world, 1)))
    assert service.verify(code).verdict.outcome is Outcome.VALID
    assert service.verify(code).verdict.reason == "replayed"
    unknown = service.verify(device.online_code(world.compact(world.credential(device)), NOW)).verdict
    assert (unknown.outcome, unknown.reason) == (Outcome.INVALID, "unknown_credential")


def test_a_request_can_raise_the_demand_and_not_lower_it(world: World, device: DeviceKey, compact: bytes) -> None:
    service = service_of(world)
    code = device.offline_code(compact, NOW)
    high = service.verify(code, minimum_assurance=ChipAssurance.SIGNATURE)
    assert high.verdict.reason == "assurance_too_low"
    assert service.verify(code, minimum_assurance=ChipAssurance.DECLARED).verdict.outcome is Outcome.VALID


def test_the_audience_of_the_request_goes_before_the_services_own(
    world: World, device: DeviceKey, compact: bytes
) -> None:
    service = service_of(world)
    for made_for, asked, reason in (("clinic", None, "ok"), ("shop", None, "wrong_audience"), ("shop", "shop", "ok")):
        code = device.offline_code(compact, NOW, audience=made_for)
        assert service.verify(code, audience=asked).verdict.reason == reason


class TrustThatGrows:
    """A provider that has the key only after it was asked to refresh."""

    def __init__(self, before: Trust | None, after: Trust | None) -> None:
        self._now, self._after, self.asked = before, after, 0

    def current(self) -> Trust | None:
        return self._now

    def refresh(self) -> bool:
        self.asked += 1
        changed, self._now = self._now is not self._after, self._after
        return changed

    def published(self, version: int) -> None:
        raise AssertionError

    def maintain(self) -> None:
        raise AssertionError

    def deny(self, issuer: str, keys: Collection[DeniedKey]) -> None:
        raise AssertionError


def test_an_unknown_key_makes_the_service_ask_once_for_a_newer_list(
    world: World, device: DeviceKey, compact: bytes
) -> None:
    trust = TrustThatGrows(World().trust(), world.trust())
    verdict = service_of(world, trust=trust).verify(device.offline_code(compact, NOW)).verdict
    assert (verdict.outcome, trust.asked) == (Outcome.VALID, 1)


@pytest.mark.parametrize("text", ["", "x", "EC1:", "EC0:", "~", "a.b.c~", "\x00", "码" * 5000, "EC1:" + "A" * 60000])
def test_any_text_gets_a_verdict(world: World, text: str) -> None:
    result = service_of(world).verify(text)
    assert result.verdict.outcome is Outcome.INVALID
    assert result.verification_id.startswith("ver_")
