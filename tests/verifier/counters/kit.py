"""A verifier with counters in one process: a `World` in place of an issuer, its own clock, names told by a fake."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from ecard_card.errors import Unavailable
from ecard_card.status import EcardStatus
from ecard_sdk.device import DeviceKey
from ecard_verifier.callers import Caller, Role, token_hash
from ecard_verifier.counter_bundles import CounterBundles
from ecard_verifier.counters.assembly import Counters, open_counters
from ecard_verifier.counters.holder_facts import Facts, Wanted
from ecard_verifier.counters.sight import told
from ecard_verifier.policy import ONLINE_POLICY
from ecard_verifier.purposes.purposes import Field
from ecard_verifier.replay import ReplayGuard
from ecard_verifier.service import VerificationService
from ecard_verifier.statuses import StatusReading
from ecard_verifier.trust_source import FixedTrust
from ecard_verifier.web.app import create_app
from ecard_verifier.web.auth import HashedTokens
from tests.world import World

BASE = "https://verifier.example"
PERSON = {
    Field.NAME: "王小三",
    Field.ID_NUMBER: "410105199003071230",
    Field.CARD_NUMBER: "A12345678",
    Field.BIRTH_YEAR: "1990-03-07",
    Field.REGION: "410100",
}
Json = dict[str, Any]


@dataclass
class Clock:
    """Time that moves only when told to."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


class People:
    """A strict `HolderFacts`: knows one person, and can be away."""

    away = False

    def __init__(self) -> None:
        self.asked = 0

    def of(self, issuer: str, code: str, audience: str | None, wanted: Wanted, *, answers: str | None = None) -> Facts:
        self.asked += 1
        if self.away or not code.startswith(("EC0:", "EC1:")):
            raise Unavailable("facts_unavailable", "away")
        return {field: {mask: told(field, PERSON[field], mask) for mask in masks} for field, masks in wanted.items()}


class LiveStatuses:
    """Statuses as of a little before now; one of them can be changed."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self.value, self.age = clock, EcardStatus.VALID, 1

    @property
    def as_of(self) -> int | None:
        return int(self._clock().timestamp()) - self.age

    def read(self, uri: str, index: int) -> StatusReading:
        return StatusReading(int(self.value), int(self._clock().timestamp()) - self.age, None)


@dataclass
class House:
    """Everything, with an operator's client."""

    world: World
    clock: Clock
    people: People
    statuses: LiveStatuses
    counters: Counters
    app: Any
    operator: TestClient
    device: DeviceKey = field(default_factory=DeviceKey.generate)

    def code(self, device: DeviceKey | None = None, **changes: object) -> str:
        """A fresh code of a card of its own."""
        device = device or DeviceKey.generate()
        return device.offline_code(self.world.compact(self.world.credential(device, **changes)), self.clock())

    def client(self, token: str | None = None, *, origin: str | None = BASE) -> TestClient:
        headers = {} if origin is None else {"Origin": origin}
        if token is not None:
            headers = {"Authorization": f"Bearer {token}"}
        return TestClient(self.app, base_url=BASE, headers=headers, raise_server_exceptions=False)

    def made(self, path: str, body: Json, client: TestClient | None = None) -> Json:
        answer = (client or self.operator).post(path, json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def group(self, name: str, level: str = "designated", **more: object) -> Json:
        """A group with a branch, a counter, and the clients of its manager and its system."""
        purposes = {"basic": ["query", "payment", "other"], "designated": ["medical", "query", "payment", "other"]}
        body = {"name": name, "level": level, "purposes": purposes[level], **more}
        group = self.made("/v1/groups", body)
        group_id = group["group_id"]
        manager, system = (
            self.made(f"/v1/groups/{group_id}/tokens", {"name": role, "role": role})["token"]
            for role in ("merchant", "counter")
        )
        branch = self.made("/v1/branches", {"group_id": group_id, "name": "first branch"})
        counter = self.made("/v1/counters", {"branch_id": branch["branch_id"], "name": "window 1"})
        return {
            "group_id": group_id,
            "branch_id": branch["branch_id"],
            "counter_id": counter["counter_id"],
            "manager": self.client(manager),
            "system": self.client(system),
        }

    def counter(self, group: Json, **more: object) -> str:
        body = {"branch_id": group["branch_id"], "name": "another window", **more}
        return str(self.made("/v1/counters", body, group["manager"])["counter_id"])

    def admission(self, group: Json, counter_id: str | None = None) -> str:
        path = f"/v1/counters/{counter_id or group['counter_id']}/admissions"
        return str(self.made(path, {}, group["manager"])["admission_code"])

    def page(self, group: Json, counter_id: str | None = None) -> TestClient:
        """The page of an admitted counter."""
        client = self.client()
        answer = client.post("/v1/counter/session", json={"admission_code": self.admission(group, counter_id)})
        assert answer.status_code == 201, answer.text
        return client


def scan_body(code: str, purpose: str = "medical", **more: object) -> Json:
    """What a page sends."""
    return {"scan_id": str(uuid.uuid4()), "code": code, "purpose": purpose, "way": "camera", **more}


def open_house(
    folder: Path, world: World | None = None, *, bundles: CounterBundles | None = None, clock: Clock | None = None
) -> House:
    """A new one in `folder`; `bundles` are for pages without a network."""
    world = world or World()
    clock, people = clock or Clock(world.now + timedelta(seconds=2)), People()
    statuses = LiveStatuses(clock)
    replay = ReplayGuard(folder / "replay.sqlite3")
    service = VerificationService(FixedTrust(world.trust()), statuses, None, replay, ONLINE_POLICY, clock)
    counters = open_counters(folder, service, people, None, bundles)
    tokens = HashedTokens({token_hash("0perator"): Caller("root", Role.OPERATOR)})
    tokens_old = {token_hash("old"): Caller("old counter", Role.COUNTER)}
    app = create_app(service, HashedTokens({**tokens.known(), **tokens_old}), counters=counters)
    house = House(world, clock, people, statuses, counters, app, TestClient(app))
    house.operator = house.client("0perator")
    return house
