"""Codes are judged on the event loop, and nobody there waits for a network."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx2
import pytest

from ecard_card.credential import StatusRef
from ecard_card.errors import NotFound
from ecard_sdk.device import DeviceKey
from ecard_verifier.callers import Caller, Role, token_hash
from ecard_verifier.policy import Policy
from ecard_verifier.replay import ReplayGuard
from ecard_verifier.service import MustWait, VerificationService, utc_now
from ecard_verifier.statuses import StatusReading
from ecard_verifier.trust_source import FixedTrust
from ecard_verifier.web.app import create_app
from ecard_verifier.web.auth import HashedTokens
from tests.verifier.feed_kit import wait_for
from tests.verifier.http_kit import running
from tests.world import World


@dataclass
class Scene:
    """Whoever has to be asked does not answer before `gate` opens."""

    world: World
    gate: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)

    def wait(self, what: str) -> None:
        self.asked.append(what)
        assert self.gate.wait(20)

    def read(self, uri: str, index: int) -> StatusReading:
        if not uri.endswith("/1"):
            self.wait("status")
        return StatusReading(0, int(utc_now().timestamp()), None)

    def code_of(self, number: str, counter: str) -> str:
        self.wait("number")
        raise NotFound("number_unknown", "")


class SlowTrust(FixedTrust):
    def __init__(self, scene: Scene) -> None:
        super().__init__(scene.world.trust())
        self._scene = scene

    def refresh(self) -> bool:
        self._scene.wait("trust")
        return False


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene(World(now=datetime.now(UTC).replace(microsecond=0)))
    yield made
    made.gate.set()


def service_of(scene: Scene, replay: ReplayGuard) -> VerificationService:
    trust, at_hand = SlowTrust(scene), scene.world.statuses()
    return VerificationService(trust, scene, None, replay, Policy(), numbers=scene, at_hand=at_hand)


def code_of(world: World, **changes: object) -> str:
    device = DeviceKey.generate()
    return device.offline_code(world.compact(world.credential(device, **changes)), utc_now())


def elsewhere(world: World) -> str:
    return code_of(world, status=StatusRef(world.status_uri.replace("{list}", "2"), 2, 7))


NEEDS_SOMEBODY: dict[str, tuple[Callable[[World], str], str]] = {
    "number": (lambda _: "12345 67890", "number_unknown"),
    "trust": (lambda world: code_of(World(now=world.now)), "unknown_key"),
    "status": (elsewhere, "ok"),
}


@pytest.mark.parametrize("who", NEEDS_SOMEBODY)
def test_whose_code_needs_a_network_holds_up_nobody(scene: Scene, who: str) -> None:
    make, reason = NEEDS_SOMEBODY[who]
    tokens = HashedTokens({token_hash("token"): Caller("counter 7", Role.COUNTER)})
    app, headers = create_app(service_of(scene, ReplayGuard()), tokens), {"Authorization": "Bearer token"}
    with running(app) as url, ThreadPoolExecutor(4) as callers:

        def ask(code: str) -> str:
            answer = httpx2.post(
                f"{url}/v1/verifications", json={"code": code}, headers=headers, trust_env=False, timeout=20
            )
            return str(answer.json()["reason"])

        slow = [callers.submit(ask, make(scene.world)) for _ in range(3)]
        wait_for(lambda: bool(scene.asked))
        assert ask(code_of(scene.world)) == "ok"
        assert not any(one.done() for one in slow)
        scene.gate.set()
        assert [one.result(20) for one in slow] == [reason] * 3
    assert scene.asked == [who] * 3


@pytest.mark.parametrize("who", NEEDS_SOMEBODY)
def test_who_may_not_wait_is_told_so_and_nothing_is_kept(scene: Scene, who: str) -> None:
    replay = ReplayGuard()
    service, code = service_of(scene, replay), NEEDS_SOMEBODY[who][0](scene.world)
    with pytest.raises(MustWait):
        service.verify(code, at_once=True)
    assert (replay.count(), scene.asked) == (0, [])
    scene.gate.set()
    assert service.verify(code).verdict.reason == NEEDS_SOMEBODY[who][1]


def test_what_is_at_hand_is_judged_and_used_up_at_once(scene: Scene) -> None:
    service, code = service_of(scene, ReplayGuard()), code_of(scene.world)
    assert service.verify(code, at_once=True).verdict.reason == "ok"
    assert service.verify(code, at_once=True).verdict.reason == "replayed"
    assert service.verify("no code", at_once=True).verdict.outcome == "invalid"
    assert scene.asked == []
