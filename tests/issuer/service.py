"""A whole issuer service in a temporary folder: real register, real key files, simulated chips, its own clock."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ecard_card import jose
from ecard_issuer.assembly import Issuer, build
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.chip.in_process import InProcessReader
from ecard_issuer.chip.judge import Anchor, Anchors
from ecard_issuer.chip.prove import prove_chip
from ecard_issuer.chip.read import read_chip
from ecard_issuer.chip.simulator import ChipAuthority, SimulatedChip, piv_style, synthetic
from ecard_issuer.config import load
from ecard_sdk.device import DeviceKey
from ecard_verifier.callers import Role
from tests.issuer.template import place_passphrase, place_register

ORIGIN = "https://issuer.example"
START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


@dataclass
class Clock:
    """Time that moves only when told to."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now


@dataclass
class Service:
    """An issuer that is built but not started: tests turn its dispatcher by hand."""

    issuer: Issuer
    clock: Clock
    authority: ChipAuthority
    chips: dict[int, SimulatedChip] = field(default_factory=dict)

    def chip(self, serial: int) -> SimulatedChip:
        if serial not in self.chips:
            self.chips[serial] = piv_style(now=START, authority=self.authority, data=synthetic(serial))
        return self.chips[serial]

    def token(self, role: Role) -> str:
        return self.issuer.operators.add(f"test {role} {secrets.token_hex(3)}", role, self.clock()).token

    def card_body(self, serial: int) -> dict[str, Any]:
        """What `POST /v1/cards` takes for synthetic chip `serial`."""
        data = synthetic(serial)
        return {
            "identification_code": data.identification_code,
            "card_number": data.card_number,
            "profile": "test:piv-p256",
            "holder": {"id_number": data.id_number, "name": data.name},
            "issued_on": "2024-01-02",
            "expires_on": "2034-01-02",
        }

    def evidence(self, serial: int, digest: bytes) -> dict[str, Any]:
        """What a desk sends for that chip and challenge."""
        with InProcessReader(self.chip(serial)) as reader:
            reading = read_chip(reader)
            evidence = Evidence(reading, prove_chip(reader, reading, digest))
        answer = jose.parse_json(evidence.to_json().encode())
        assert isinstance(answer, dict)
        return answer

    def credential_body(self, device: DeviceKey, enrolment_id: str) -> dict[str, Any]:
        return {"device_key": device.public_jwk, "proof": device.proof(ORIGIN, enrolment_id, self.clock())}


def open_service(
    folder: Path,
    clock: Clock | None = None,
    database_url: str | None = None,
    *,
    approvals_needed: int = 0,
    origin: str = ORIGIN,
    **rest: Any,
) -> Service:
    """`rest` goes to `build`: who may act for whom, what differs by region."""
    clock = clock or Clock()
    if database_url is None:
        place_register(folder)
    place_passphrase(folder)
    authority = ChipAuthority.create(START)
    anchors = Anchors((Anchor("test: chip CA", authority.der),), allow_test=True)
    settings = load(
        data_dir=folder,
        public_origin=origin,
        regions=("000000",),
        database_url=database_url,
        approvals_needed=approvals_needed,
    )
    return Service(build(settings, clock=clock, anchors=anchors, **rest), clock, authority)
