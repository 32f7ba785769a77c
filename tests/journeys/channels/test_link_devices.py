"""A channel's app and the devices of its holders: a further credential, and what replaced one, over HTTP."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from ecard_card import jose
from ecard_issuer.channels.scopes import Scope
from ecard_issuer.enrol import PROOF_LIFE
from ecard_issuer.issue import IssuedCredential
from ecard_issuer.states import CredentialState
from ecard_issuer.web.app import create_app
from ecard_sdk.device import DeviceKey
from ecard_verifier.callers import Role
from tests.issuer.channel_kit import AdmittedChannel, admit
from tests.issuer.links_kit import CONSENT, claim, claimed, judged, person
from tests.issuer.reissuing import promote
from tests.issuer.service import ORIGIN, Service, open_service

Json = dict[str, Any]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = open_service(tmp_path_factory.mktemp("link-devices"))
    yield opened
    opened.issuer.close()


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[TestClient]:
    with TestClient(create_app(service.issuer), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def bank(service: Service, client: TestClient) -> AdmittedChannel:
    return admit(service, client=client)


@pytest.fixture(scope="module")
def town(service: Service, client: TestClient) -> AdmittedChannel:
    return admit(service, client=client)


def ok(response: Response, status: int = 200) -> Json:
    assert response.status_code == status, response.text
    answer: Json = response.json()
    return answer


def refused(response: Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def asked(service: Service, phone: DeviceKey, nonce: str) -> Json:
    return {"device_key": phone.public_jwk, "proof": phone.proof(ORIGIN, nonce, service.clock())}


def added(service: Service, channel: AdmittedChannel, link_id: str, phone: DeviceKey) -> Json:
    return ok(channel.post(f"/v1/links/{link_id}/credentials", asked(service, phone, link_id)), 201)


def successor(service: Service, channel: AdmittedChannel, link_id: str, old: str, phone: DeviceKey) -> Response:
    body = {"proof": phone.proof(ORIGIN, old, service.clock())}
    return channel.post(f"/v1/links/{link_id}/credentials/{old}/successor", body)


def counter_says(service: Service, phone: DeviceKey, credential: Json) -> str:
    return judged(service, phone.offline_code(jose.b64url_decode(credential["cwt"]), service.clock())).reason


def replace_card(service: Service, client: TestClient, old: int, new: int) -> None:
    """Card `old` is replaced by card `new` of the same person, whose chip is proven by nobody yet."""
    desk = {"Authorization": f"Bearer {service.token(Role.DESK)}"}
    operator = {"Authorization": f"Bearer {service.token(Role.OPERATOR)}"}
    order = {"request_id": secrets.token_hex(4), "card_ref": person(service, old).card_ref, "reason": "damage"}
    case = ok(client.post("/v1/replacements", json=order, headers=desk), 201)
    body = service.card_body(new) | {"holder": service.card_body(old)["holder"], "status": 0}
    new_ref = ok(client.post("/v1/cards", json=body, headers=operator), 201)["card_ref"]
    for step, sent in (("made", {"card_ref": new_ref}), ("ready", {}), ("collected", {})):
        ok(client.post(f"/v1/replacements/{case['case_id']}/{step}", json=sent, headers=operator))


def prove_chip(service: Service, channel: AdmittedChannel, holder: int, card: int) -> None:
    """The person of card `holder` claims in `channel` by the chip of card `card`, which took its place."""
    who = person(service, holder)
    found = ok(channel.post("/v1/identifications", {"id_number": who.id_number.text, "name": who.name}), 201)
    named = {"identification_id": found["identification_id"], "card": found["cards"][0]["card"]}
    waiting = ok(channel.post("/v1/claims", named | {"proof": "chip", "consent": CONSENT}), 201)
    chip = service.evidence(card, bytes.fromhex(waiting["challenge"]))
    ok(channel.post(f"/v1/claims/{waiting['claim_id']}/evidence", {"chip": chip}))


def test_a_device_is_added_and_the_same_key_has_the_same_credential(service: Service, bank: AdmittedChannel) -> None:
    link_id, phone = claimed(service, bank, 1), DeviceKey.generate()
    first = added(service, bank, link_id, phone)
    assert counter_says(service, phone, first) == "ok"
    assert added(service, bank, link_id, phone) == first
    second = DeviceKey.generate()
    assert added(service, bank, link_id, second)["credential_id"] != first["credential_id"]
    assert counter_says(service, phone, first) == "ok"


def test_a_key_that_asks_twenty_times_at_once_gets_one_credential(service: Service, bank: AdmittedChannel) -> None:
    link_id, phone = claimed(service, bank, 30), DeviceKey.generate()
    path, body = f"/v1/links/{link_id}/credentials", asked(service, phone, link_id)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: bank.post(path, body), range(20)))
    given = {answer.json()["credential_id"] for answer in answers if answer.status_code == 201}
    assert {refused(answer) for answer in answers if answer.status_code != 201} <= {(409, "issuance_in_progress")}
    assert len(given) == 1
    assert added(service, bank, link_id, phone)["credential_id"] in given
    card_ref = person(service, 30).card_ref
    live = [row for row in service.issuer.register.credentials_of(card_ref) if row.state is CredentialState.LIVE]
    assert len([row for row in live if row.device_key_thumbprint == jose.thumbprint(phone.public_jwk)]) == 1


def test_a_key_whose_first_try_was_cut_short_has_its_credential_once_that_is_over(
    service: Service, bank: AdmittedChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    link_id, phone = claimed(service, bank, 31), DeviceKey.generate()
    path = f"/v1/links/{link_id}/credentials"
    with monkeypatch.context() as crashing:
        crashing.setattr(service.issuer.links.rights, "prove", lambda *_: crash())
        assert bank.post(path, asked(service, phone, link_id)).status_code == 500
    assert refused(bank.post(path, asked(service, phone, link_id))) == (409, "issuance_in_progress")
    service.clock.advance(PROOF_LIFE.total_seconds())
    service.issuer.keys.refresh(service.clock())
    assert counter_says(service, phone, added(service, bank, link_id, phone)) == "ok"


def crash() -> None:
    raise ValueError("cut short")


def test_whoever_shows_no_key_gets_nothing(service: Service, bank: AdmittedChannel, town: AdmittedChannel) -> None:
    link_id, phone = claimed(service, bank, 2), DeviceKey.generate()
    path, good = f"/v1/links/{link_id}/credentials", asked(service, phone, link_id)
    foreign = good | {"device_key": DeviceKey.generate().public_jwk}
    late = phone.proof(ORIGIN, link_id, service.clock())
    wrong = (
        foreign,
        asked(service, phone, claimed(service, bank, 3)),
        good | {"proof": phone.proof("https://elsewhere.example", link_id, service.clock())},
    )
    for body in wrong:
        assert refused(bank.post(path, body)) == (400, "bad_device_proof")
    service.clock.advance(61)
    assert refused(bank.post(path, good | {"proof": late})) == (400, "bad_device_proof")
    assert refused(bank.post(path, good | {"proof": "x"}))[0] == 400
    assert refused(bank.post(path, {"device_key": phone.public_jwk}))[0] == 422
    assert refused(town.post(path, asked(service, phone, link_id))) == (404, "link_unknown")
    assert all(right.sealed_key is not None for right in service.issuer.links.store.rights_of(link_id))
    ok(bank.post(f"/v1/links/{link_id}/release", {}))
    assert refused(bank.post(path, asked(service, phone, link_id))) == (422, "link_released")


def test_a_device_collects_what_replaced_its_credential_after_a_key_was(
    service: Service, bank: AdmittedChannel, town: AdmittedChannel
) -> None:
    link_id, phone = claimed(service, bank, 4), DeviceKey.generate()
    first = added(service, bank, link_id, phone)
    old = first["credential_id"]
    assert refused(successor(service, bank, link_id, old, phone)) == (409, "credential_not_replaced")
    key = promote(service)
    service.issuer.reissue.run(key, service.clock, pause=service.clock.advance)
    new = ok(successor(service, bank, link_id, old, phone))
    assert new["credential_id"] != old
    assert (counter_says(service, phone, first), counter_says(service, phone, new)) == ("ended", "ok")
    assert ok(successor(service, bank, link_id, old, phone)) == new, "a lost answer is asked for again"
    assert refused(successor(service, bank, link_id, new["credential_id"], phone)) == (409, "credential_not_replaced")
    assert refused(successor(service, bank, link_id, old, DeviceKey.generate())) == (400, "bad_device_proof")

    own, other = claimed(service, bank, 5), claimed(service, town, 4)  # another holder; another app, the same e-card
    assert refused(successor(service, bank, own, old, phone)) == (404, "credential_unknown")
    assert refused(successor(service, town, other, old, phone)) == (404, "credential_unknown")
    assert refused(successor(service, town, link_id, old, phone)) == (404, "link_unknown")
    assert refused(successor(service, bank, link_id, "0" * 32, phone)) == (404, "credential_unknown")
    ok(bank.post(f"/v1/links/{link_id}/release", {}))
    assert counter_says(service, phone, new) == "ended"
    assert refused(successor(service, bank, link_id, old, phone)) == (422, "link_released")


def test_a_device_goes_on_with_the_new_card_once_its_chip_was_proven(
    service: Service, client: TestClient, bank: AdmittedChannel, town: AdmittedChannel
) -> None:
    phone = DeviceKey.generate()
    made = claim(service, bank, 6, device=phone)
    assert made.issued is not None
    link_id, old = made.link.link_id, made.issued.credential_id.hex()
    replace_card(service, client, 6, 7)
    assert refused(successor(service, bank, link_id, old, phone)) == (422, "enrolment_not_proven")
    prove_chip(service, town, 6, 7)  # in another app
    new = ok(successor(service, bank, link_id, old, phone))
    assert counter_says(service, phone, new) == "ok"
    ok(bank.post(f"/v1/links/{link_id}/release", {}))
    assert counter_says(service, phone, new) == "ended", "what follows ends with the link"


def test_it_takes_the_scope_that_shows(service: Service, client: TestClient) -> None:
    reader, phone = admit(service, scopes=[Scope.READ, Scope.CLAIM], client=client), DeviceKey.generate()
    link_id = claimed(service, reader, 8)
    path = f"/v1/links/{link_id}/credentials"
    assert refused(reader.post(path, asked(service, phone, link_id))) == (403, "scope_missing")
    assert refused(successor(service, reader, link_id, "0" * 32, phone)) == (403, "scope_missing")


def test_what_follows_a_credential_ends_with_a_release_in_that_very_moment(
    service: Service, client: TestClient, bank: AdmittedChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone, issuer = DeviceKey.generate(), service.issuer
    link_id = claimed(service, bank, 34)
    old = added(service, bank, link_id, phone)
    replace_card(service, client, 34, 35)
    prove_chip(service, bank, 34, 35)
    collect, link = issuer.collecting.collect, issuer.links.get(bank.app_id, link_id)

    def released_first(held: bytes, proof: str, now: datetime) -> IssuedCredential:
        issuer.links.release(link, now)
        return collect(held, proof, now)

    monkeypatch.setattr(issuer.collecting, "collect", released_first)
    assert refused(successor(service, bank, link_id, old["credential_id"], phone)) == (422, "link_released")
    rows = issuer.register.credentials_of(issuer.register.card_of_ecard(link.ecard_id) or "")
    own = [row for row in rows if row.device_key_thumbprint == jose.thumbprint(phone.public_jwk)]
    assert [row.state for row in own] == [CredentialState.ENDED]
