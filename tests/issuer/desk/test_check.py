"""What a desk's token opens: proving a chip that is there, comparing a card with its e-card. Nothing on its word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from ecard_issuer.chip.simulator import ChipAuthority, piv_style, synthetic
from ecard_issuer.web.app import create_app
from ecard_sdk.device import DeviceKey
from ecard_verifier.callers import Role
from tests.issuer.service import START, Service, open_service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = open_service(tmp_path_factory.mktemp("check"))
    yield opened
    opened.issuer.close()


class Clients:
    """An operator's and a desk's client."""

    def __init__(self, service: Service) -> None:
        self.service, app = service, create_app(service.issuer)
        self.operator, self.desk = (
            TestClient(app, headers={"Authorization": f"Bearer {service.token(role)}"})
            for role in (Role.OPERATOR, Role.DESK)
        )

    def registered(self, serial: int) -> str:
        card = self.operator.post("/v1/cards", json=self.service.card_body(serial)).json()
        return str(card["card_ref"])

    def opened(self) -> tuple[str, bytes]:
        begun = self.desk.post("/v1/enrolments", json={"terminal_id": "desk 1"}).json()
        return begun["enrolment_id"], bytes.fromhex(begun["challenge"])

    def check(self, serial: int) -> dict[str, Any]:
        enrolment_id, digest = self.opened()
        answer = self.desk.post(f"/v1/enrolments/{enrolment_id}/check", json=self.service.evidence(serial, digest))
        assert answer.status_code == 200, answer.text
        checked: dict[str, Any] = answer.json()
        return checked


@pytest.fixture(scope="module")
def clients(service: Service) -> Clients:
    return Clients(service)


def finding(checked: dict[str, Any]) -> tuple[str, str, str]:
    return checked["outcome"], checked["finding"], checked["proven_now"]


def test_a_card_is_compared_with_its_e_card_from_first_to_last(clients: Clients) -> None:
    """No e-card yet; bound; lost: told each time, and nothing is used up or changed by asking."""
    card_ref = clients.registered(1)
    assert finding(clients.check(1)) == ("check", "no_ecard", "signature")
    enrolment_id, digest = clients.opened()
    evidence = clients.service.evidence(1, digest)
    for _ in range(2):
        assert clients.desk.post(f"/v1/enrolments/{enrolment_id}/check", json=evidence).status_code == 200
    proven = clients.desk.post(f"/v1/enrolments/{enrolment_id}/evidence", json=evidence)
    assert (proven.status_code, proven.json()["chip_assurance"]) == (200, "signature")
    body = clients.service.credential_body(DeviceKey.generate(), enrolment_id)
    assert clients.desk.post(f"/v1/enrolments/{enrolment_id}/credentials", json=body).status_code == 403
    assert clients.operator.post(f"/v1/enrolments/{enrolment_id}/credentials", json=body).status_code == 201
    bound = clients.check(1)
    assert finding(bound) == ("valid", "same", "signature")
    assert (bound["card_ref"], bound["binding"], bound["status"]) == (card_ref, "live", 1)
    loss = {"request_id": "l-1", "card_ref": card_ref, "kind": "formal"}
    assert clients.desk.post("/v1/losses", json=loss).status_code == 201
    lost = clients.check(1)
    assert finding(lost) == ("invalid", "card_stopped", "signature")
    assert (lost["status"], lost["ecard_status"]) == (2, "suspended")


def test_what_was_only_read_is_never_green_and_never_enrols_by_a_desks_word(clients: Clients) -> None:
    """A token's thief could have written it down. An operator's issuer may bind on it, as its settings say."""
    clients.registered(2)
    enrolment_id, digest = clients.opened()
    read = clients.service.evidence(2, digest)
    del read["answer"]
    checked = clients.desk.post(f"/v1/enrolments/{enrolment_id}/check", json=read)
    assert finding(checked.json())[0] == "check"
    refused = clients.desk.post(f"/v1/enrolments/{enrolment_id}/evidence", json=read)
    assert (refused.status_code, refused.json()["code"]) == (422, "chip_proof_too_weak")
    accepted = clients.operator.post(f"/v1/enrolments/{enrolment_id}/evidence", json=read)
    assert (accepted.status_code, accepted.json()["chip_assurance"]) == (200, "read")
    body = clients.service.credential_body(DeviceKey.generate(), enrolment_id)
    assert clients.operator.post(f"/v1/enrolments/{enrolment_id}/credentials", json=body).status_code == 201
    again = clients.desk.post(f"/v1/enrolments/{enrolment_id}/check", json=read)
    assert finding(again.json()) == ("check", "chip_not_proven", "read")
    assert finding(clients.check(2)) == ("valid", "same", "signature")


def test_a_forged_a_foreign_and_an_old_answer_are_refused(clients: Clients) -> None:
    clients.registered(3)
    enrolment_id, digest = clients.opened()
    genuine = clients.service.evidence(3, digest)
    path = f"/v1/enrolments/{enrolment_id}/check"
    forger = Service(clients.service.issuer, clients.service.clock, ChipAuthority.create(START))
    forger.chips[3] = piv_style(now=START, authority=forger.authority, data=synthetic(3))
    for sent, code in (
        (forger.evidence(3, digest), "chip_certificate_untrusted"),
        (clients.service.evidence(3, bytes(32)), "chip_answer_replayed"),
        (clients.service.evidence(4, digest), "card_unknown"),
        ({}, "bad_chip_evidence"),
    ):
        assert clients.desk.post(path, json=sent).json()["code"] == code
    clients.service.clock.advance(301)
    assert clients.desk.post(path, json=genuine).json()["code"] == "chip_challenge_expired"


def test_another_key_under_a_known_card_is_a_copy(clients: Clients) -> None:
    """Certified by the same authority, for the same identification code: one of the two chips is not genuine."""
    clients.registered(5)
    enrolment_id, digest = clients.opened()
    path = f"/v1/enrolments/{enrolment_id}"
    assert clients.desk.post(f"{path}/evidence", json=clients.service.evidence(5, digest)).status_code == 200
    clients.service.chips[5] = piv_style(now=START, authority=clients.service.authority, data=synthetic(5))
    second, digest = clients.opened()
    answer = clients.desk.post(f"/v1/enrolments/{second}/check", json=clients.service.evidence(5, digest))
    assert (answer.status_code, answer.json()["code"]) == (409, "chip_key_differs")


def test_the_page_runs_its_own_files_alone(clients: Clients) -> None:
    """Strict CSP: this service, the agent of the clerk's machine, and nobody's inline script."""
    page = clients.operator.get("/desk", headers={"Accept-Language": "zh"})
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self' http://127.0.0.1:8429 ws://127.0.0.1:8429;" in policy
    assert "unsafe" not in policy
    assert "<script>" not in page.text
    assert page.headers["Content-Language"] == "zh"
    texts = clients.operator.get("/desk/texts.json").json()
    assert texts["zh"].keys() == texts["en"].keys()
    script = clients.operator.get("/desk/app.js")
    assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
    again = clients.operator.get("/desk/app.js", headers={"If-None-Match": script.headers["ETag"]})
    assert again.status_code == 304
    for name in ("../app.js", "page.html", "none.js"):
        assert clients.operator.get(f"/desk/{name}").status_code == 404


def test_every_word_of_the_page_is_in_the_catalogue(clients: Clients) -> None:
    """What the page and its scripts name, and nothing besides, in both languages."""
    texts = clients.operator.get("/desk/texts.json").json()
    page = clients.operator.get("/desk").text
    scripts = "".join(clients.operator.get(f"/desk/{name}").text for name in ("app.js", "acts.js", "screen.js"))
    named = set(re.findall(r'data-text="(\w+)"', page))
    named |= set(re.findall(r"words\(\)\.(\w+)", scripts)) | set(re.findall(r"#words\.(\w+)", scripts))
    assert named <= texts["zh"].keys()
    unused = [word for word in texts["zh"] if not re.search(rf"\b{word}\b", page + scripts) and "_" not in word]
    assert set(unused) <= {"declared", "read", "challenge", "signature", "same", "reading"}
