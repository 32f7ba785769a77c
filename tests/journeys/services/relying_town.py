"""A province in one process: people with cards and e-cards, relying services, a partner bank, asked over HTTP."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from ecard_card.card import IdNumber
from ecard_card.jose import b64url_decode
from ecard_issuer.chip.simulator import synthetic
from ecard_issuer.subject_data import SubjectData
from ecard_issuer.web.app import create_app
from ecard_sdk.device import DeviceKey
from ecard_verifier.callers import Role
from tests.issuer.service import Clock, Service, open_service


@dataclass
class Person:
    """Somebody with a card and an e-card on a phone."""

    serial: int
    card_ref: str
    device: DeviceKey
    credential: bytes

    @property
    def id_number(self) -> str:
        return synthetic(self.serial).id_number

    @property
    def name(self) -> str:
        return synthetic(self.serial).name


@dataclass
class Town:
    """`client` has no token of its own; `headers` gives one of a role."""

    service: Service
    client: TestClient
    _serials: Iterator[int] = field(default_factory=lambda: count(1))
    _tokens: dict[tuple[Role, str], str] = field(default_factory=dict)

    def headers(self, role: Role, name: str = "office") -> dict[str, str]:
        key = (role, name)
        if key not in self._tokens:
            self._tokens[key] = self.service.issuer.operators.add(name, role, self.service.clock()).token
        return {"Authorization": f"Bearer {self._tokens[key]}"}

    def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        role: Role = Role.OPERATOR,
        name: str = "office",
        status: int = 200,
        language: str = "en",
    ) -> dict[str, Any]:
        headers = self.headers(role, name) | {"Accept-Language": language}
        response = self.client.request(method, path, json=body, headers=headers)
        assert response.status_code == status, response.text
        answer = response.json()
        assert isinstance(answer, dict)
        return answer

    def person(self, *, card_only: bool = False) -> Person:
        serial = next(self._serials)
        card = self.call("POST", "/v1/cards", self.service.card_body(serial), status=201)
        device = DeviceKey.generate()
        if card_only:
            return Person(serial, card["card_ref"], device, b"")
        opened = self.call("POST", "/v1/enrolments", {"terminal_id": "desk-1"}, status=201)
        base = f"/v1/enrolments/{opened['enrolment_id']}"
        self.call("POST", f"{base}/evidence", self.service.evidence(serial, bytes.fromhex(opened["challenge"])))
        body = self.service.credential_body(device, opened["enrolment_id"])
        issued = self.call("POST", f"{base}/credentials", body, status=201)
        return Person(serial, card["card_ref"], device, b64url_decode(issued["cwt"]))

    def code(self, person: Person, audience: str | None = None) -> str:
        """What the phone shows now; a new one each time."""
        if audience is not None:
            return person.device.offline_code(person.credential, self.service.clock(), audience)
        return person.device.online_code(person.credential, self.service.clock())

    def wait(self, **span: float) -> None:
        """Let time pass; the trust list is kept fresh, as a running service does."""
        now = self.service.clock.advance(timedelta(**span).total_seconds())
        self.service.issuer.keys.refresh(now)

    def change(self, person: Person, change: str) -> None:
        self.call("POST", f"/v1/cards/{person.card_ref}/changes", {"change": change})

    def relying(self, service_id: str, **said: Any) -> dict[str, Any]:
        """A service registered by an operator; it calls by its own id."""
        body = {
            "names": {"zh": "测试服务", "en": "test service"},
            "owner": service_id,
            "region": "000000",
            "lines": [82],
            "claims": ["name_masked"],
            "proof": "read",
            "business_types": ["01", "02", "03"],
            "starts_at": "2026-01-01T00:00:00Z",
        }
        return self.call("PUT", f"/v1/relying/{service_id}", body | said)

    def check(self, service_id: str, status: int = 200, language: str = "en", **said: Any) -> dict[str, Any]:
        """A check that the service itself asks for."""
        body = {"request_id": secrets.token_hex(8), "line": 82, "business_type": "03", "claims": []} | said
        return self.call(
            "POST",
            f"/v1/relying/{service_id}/checks",
            body,
            role=Role.RELYING,
            name=service_id,
            status=status,
            language=language,
        )

    def record_of(self, person: Person, section: str) -> list[dict[str, Any]]:
        """That section of what the register keeps about a person, as the person may read it."""
        issuer = self.service.issuer
        row = issuer.people.find(IdNumber(person.id_number))
        assert row is not None
        (part,) = (part for part in issuer.relying.subject_data if part.section == section)
        part_: SubjectData = part
        return [dict(item) for item in part_.of_holder(row, issuer.people.seal_of(row))]


@contextmanager
def open_town(folder: Path, *, approvals_needed: int = 0, clock: Clock | None = None) -> Iterator[Town]:
    service = open_service(folder, clock, approvals_needed=approvals_needed)
    with TestClient(create_app(service.issuer), raise_server_exceptions=False) as client:
        yield Town(service, client)
    service.issuer.close()
