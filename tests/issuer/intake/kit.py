"""A physical card system for tests: it signs events, writes rows, and can be told to misbehave."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from starlette.testclient import TestClient

from ecard_card import jose
from ecard_card.status import CardStatus
from ecard_issuer.chip.simulator import synthetic
from ecard_issuer.intake.set_token import REGISTERED, STATUS_CHANGED, SUBJECT_FORMAT
from ecard_issuer.intake.sources import Source
from ecard_issuer.intake.states import Delivery
from ecard_issuer.web.models import NewCard
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_verifier.callers import Role
from tests.issuer.service import ORIGIN, Service

CARD_SYSTEM = "https://cards.example"


@dataclass
class CardSystem:
    """Signs what it is told to. `name` is its caller's."""

    name: str = "card system"
    regions: tuple[str, ...] = ("000000",)
    signer: EphemeralSigner = field(default_factory=EphemeralSigner)
    kid: str = "2026-1"
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def jwk(self) -> dict[str, str]:
        return jose.jwk_of(self.signer.public, self.signer.algorithm) | {"kid": self.kid}

    def source(self, **changes: Any) -> Source:
        facts: dict[str, Any] = {
            "name": self.name,
            "issuer": CARD_SYSTEM,
            "keys": (self.jwk(),),
            "regions": self.regions,
            "audience": ORIGIN,
            "delivery": Delivery.PUSH,
        }
        return Source(**facts | changes)

    def claims(self, now: datetime, kind: str, subject: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        return {
            "iss": CARD_SYSTEM,
            "aud": ORIGIN,
            "iat": int(now.timestamp()),
            "jti": f"event {next(self.numbers)}",
            "txn": "t",
            "sub_id": {"format": SUBJECT_FORMAT} | subject,
            "events": {kind: body},
        }

    def changed(self, now: datetime, serial: int, change: str, sequence: int, **claims: Any) -> str:
        subject = {"identification_code": synthetic(serial).identification_code}
        body = {"change": change, "sequence": sequence}
        return self.sign(self.claims(now, STATUS_CHANGED, subject, body) | claims)

    def registered(self, now: datetime, serial: int, **members: Any) -> str:
        data = synthetic(serial)
        body = {
            "card_number": data.card_number,
            "profile": "test:piv-p256",
            "id_number": data.id_number,
            "name": data.name,
            "issued_on": "2024-01-02",
            "expires_on": "2034-01-02",
            "status": 1,
        }
        subject = {"identification_code": data.identification_code}
        return self.sign(self.claims(now, REGISTERED, subject, body | members))

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        head = {"alg": self.signer.algorithm.value, "kid": self.kid, "typ": "secevent+jwt"} | header
        return self.sign_raw(head, jose.dump_json(claims))

    def sign_raw(self, header: dict[str, Any], payload: bytes) -> str:
        text = f"{jose.b64url_encode(jose.dump_json(header))}.{jose.b64url_encode(payload)}"
        (signature,) = self.signer.sign(self.signer.key_id, [text.encode()])
        return f"{text}.{jose.b64url_encode(signature)}"


def add_card(service: Service, serial: int) -> str:
    """Put synthetic card `serial` into the register; its reference."""

    body = NewCard.model_validate_json(jose.dump_json(service.card_body(serial)))
    return service.issuer.cards.register(body.to_card(), CardStatus(body.status), service.clock())


def foreign_source(service: Service, beside: TestClient) -> TestClient:
    """The caller of a card system that speaks for regions where no test has a card; `beside` is any other caller's."""
    system = CardSystem("county", regions=("650000",))
    service.issuer.intake.sources.put(system.source(), "admin", service.clock())
    token = service.issuer.operators.add(system.name, Role.SOURCE, service.clock()).token
    return TestClient(beside.app, raise_server_exceptions=False, headers={"Authorization": f"Bearer {token}"})
