"""The verifier beside an issuer in one process judges by its own settings."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from ecard_card.card import ChipAssurance
from ecard_card.jose import b64url_decode
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.chip.in_process import InProcessReader
from ecard_issuer.chip.read import read_chip
from ecard_issuer.web.embedded import embed
from ecard_sdk.device import DeviceKey
from ecard_verifier.callers import Role
from ecard_verifier.config import EmbeddedSettings
from tests.issuer.service import Service
from tests.issuer.web.test_journey import post
from tests.verifier.feed_kit import wait_for


def issued_on_a_reading(service: Service, client: TestClient, device: DeviceKey) -> bytes:
    """The e-card of a chip that was read and proved nothing."""
    post(client, "/v1/cards", service.card_body(1), 201)
    path = f"/v1/enrolments/{post(client, '/v1/enrolments', {'terminal_id': 'desk-1'}, 201)['enrolment_id']}"
    with InProcessReader(service.chip(1)) as reader:
        evidence = Evidence(read_chip(reader)).to_json()
    assert client.post(f"{path}/evidence", content=evidence, headers={"Content-Type": "application/json"}).is_success
    body = service.credential_body(device, path.rpartition("/")[2])
    return b64url_decode(post(client, f"{path}/credentials", body, 201)["cwt"])


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (EmbeddedSettings(audience="clinic"), "ok"),
        (EmbeddedSettings(), "wrong_audience"),
        (EmbeddedSettings("clinic", ChipAssurance.CHALLENGE), "assurance_too_low"),
    ],
)
def test_it_honours_its_audience_and_the_assurance_it_demands(
    service: Service, settings: EmbeddedSettings, reason: str
) -> None:
    device = DeviceKey.generate()
    headers = {"Authorization": f"Bearer {service.token(Role.OPERATOR)}"}
    with TestClient(embed(service.issuer, settings).app, headers=headers) as client:
        compact = issued_on_a_reading(service, client, device)
        wait_for(lambda: client.get("/health/ready").status_code == 200)
        code = device.offline_code(compact, service.clock(), "clinic")
        assert post(client, "/v1/verifications", {"code": code})["reason"] == reason
