"""A channel from nothing to a code on screen, over HTTP: identify, claim, password, payment, show, loss, release; and
what it may not see, do, or do twice."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Response
from joserfc import jwe
from joserfc.jwk import ECKey
from starlette.testclient import TestClient
from starlette.types import Receive, Send
from starlette.types import Scope as Scope_

from ecard_card import jose
from ecard_card.acting import IN_PERSON
from ecard_card.region_policy import STRICT, LossRules
from ecard_card.status import CardChange, CardStatus
from ecard_issuer.channels.scopes import Scope
from ecard_issuer.chip.simulator import piv_style, synthetic
from ecard_issuer.family.family import Consent
from ecard_issuer.family.link import Relation
from ecard_issuer.pins.secret import Secret
from ecard_issuer.web.app import create_app
from ecard_sdk.device import DeviceKey
from ecard_verifier.callers import Role
from tests.issuer.channel_kit import AdmittedChannel, admit
from tests.issuer.holding import number_of
from tests.issuer.links_kit import CONSENT, app_of, claimed, judged, mandated, person
from tests.issuer.people_kit import mandate
from tests.issuer.people_kit import person as some_person
from tests.issuer.service import ORIGIN, Service, open_service

Json = dict[str, Any]
PASSWORD = "739184"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = open_service(tmp_path_factory.mktemp("links"))
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
    return admit(service, client=client, kind="government")


def ok(response: Response, status: int = 200) -> Json:
    assert response.status_code == status, response.text
    answer: Json = response.json()
    return answer


def refused(response: Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def named(service: Service, serial: int) -> Json:
    who = person(service, serial)
    return {"id_number": who.id_number.text, "name": who.name}


def claim(service: Service, channel: AdmittedChannel, serial: int, *, named_as: int | None = None, **more: Any) -> Json:
    """Identify and claim by the chip of card `serial`, over HTTP."""
    found = ok(channel.post("/v1/identifications", named(service, named_as or serial)), 201)
    (card,) = found["cards"]
    body = {"identification_id": found["identification_id"], "card": card["card"], "proof": "chip", "consent": CONSENT}
    waiting = ok(channel.post("/v1/claims", body | more), 201)
    answer = service.evidence(serial, bytes.fromhex(waiting["challenge"]))
    return ok(channel.post(f"/v1/claims/{waiting['claim_id']}/evidence", {"chip": answer}))


def show(channel: AdmittedChannel, link_id: str, **body: Any) -> str:
    (code,) = ok(channel.post(f"/v1/links/{link_id}/codes", body), 201)["codes"]
    return str(code["code"])


def test_from_nothing_to_a_code_and_a_payment_and_release(
    service: Service, bank: AdmittedChannel, town: AdmittedChannel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    done = claim(service, bank, 1)
    path = f"/v1/links/{done['link_id']}"
    assert (done["level"], done["holder_proof"], done["credential"]) == (1, "chip", None)
    code = show(bank, done["link_id"])
    assert judged(service, code).reason == "ok"

    state = ok(bank.get(path))
    assert (state["status"], state["usable"], state["level"], state["password_set"]) == ("valid", True, 1, False)
    who = person(service, 1)
    assert "*" in state["name"]
    assert who.name not in str(state)
    assert refused(bank.post(f"{path}/codes", {"business_type": "02"})) == (422, "ecard_level_too_low")
    wish = {"password": PASSWORD, "consent": "payment-2026-1"}
    assert refused(bank.post(f"{path}/payment", wish)) == (422, "ecard_password_not_set")
    ok(bank.post(f"{path}/password", {"password": PASSWORD}))
    assert refused(bank.post(f"{path}/password", {"password": "846207"})) == (409, "ecard_password_exists")
    assert refused(bank.post(f"{path}/password", {"password": "111111"}))[0] in (409, 422)
    assert ok(bank.post(f"{path}/payment", wish))["level"] == 2
    assert refused(bank.post(f"{path}/codes", {"business_type": "02"})) == (422, "ecard_password_needed")
    assert judged(service, show(bank, done["link_id"], business_type="02", password=PASSWORD)).reason == "ok"
    assert refused(bank.post(f"{path}/codes", {"business_type": "02", "password": "000111"}))[1] == (
        "ecard_password_wrong"
    )

    other = claim(service, town, 1)  # one level and one password, whatever the app
    assert ok(town.get(f"/v1/links/{other['link_id']}"))["level"] == 2
    ok(town.post(f"/v1/links/{other['link_id']}/password", {"password": "846207", "old_password": PASSWORD}))
    assert ok(bank.post(f"{path}/payment/close", {}))["level"] == 1
    released = ok(bank.post(f"{path}/release", {}))
    assert released == ok(bank.post(f"{path}/release", {}))
    assert (released["end"], released["others"]) == ("released", 0)
    assert judged(service, code).reason == "ended"
    assert refused(bank.post(f"{path}/codes", {})) == (422, "link_released")
    ok(town.post(f"/v1/links/{other['link_id']}/payment", {"password": "846207", "consent": "payment-2026-1"}))
    left = ok(bank.get(path))  # the app that was released learns nothing of what the holder does elsewhere
    assert (left["end"], left["status"], left["usable"]) == ("released", "invalid", False)
    assert (left["level"], left["password_set"]) == (1, False)
    assert ok(bank.get("/v1/links?limit=200"))["data"] == [left]
    ok(town.post(f"/v1/links/{other['link_id']}/payment/close", {}))
    assert judged(service, show(town, other["link_id"])).reason == "ok"
    kinds = [row.kind.value for row in service.issuer.links.store.waiting_news(1000) if row.app_id == bank.app_id]
    assert kinds == ["link.claimed", *["password.changed"] * 2, "level.changed", "level.changed", "link.released"]
    said = caplog.text
    assert who.id_number.text not in said
    assert PASSWORD not in said
    assert code not in said


def test_a_device_key_shows_codes_without_the_network(service: Service, bank: AdmittedChannel) -> None:
    phone = DeviceKey.generate()
    found = ok(bank.post("/v1/identifications", named(service, 2)), 201)
    now = service.clock()
    device = {"key": phone.public_jwk, "proof": phone.proof(ORIGIN, found["identification_id"], now)}
    body = {
        "identification_id": found["identification_id"],
        "card": found["cards"][0]["card"],
        "proof": "chip",
        "consent": CONSENT,
        "device": device,
    }
    waiting = ok(bank.post("/v1/claims", body), 201)
    evidence = {"chip": service.evidence(2, bytes.fromhex(waiting["challenge"]))}
    done = ok(bank.post(f"/v1/claims/{waiting['claim_id']}/evidence", evidence))
    shown = phone.offline_code(jose.b64url_decode(done["credential"]["cwt"]), service.clock())
    assert judged(service, shown).reason == "ok"
    stale = body | {"device": device | {"proof": phone.proof(ORIGIN, "0" * 32, now)}}
    assert refused(bank.post("/v1/claims", stale)) == (400, "bad_device_proof")


def test_number_and_name_may_come_encrypted(service: Service, bank: AdmittedChannel) -> None:
    (key, before) = ok(bank.client.get("/.well-known/ecard-encryption-keys"))["keys"]
    assert set(key) == set(before) == {"kty", "crv", "x", "y", "kid", "use", "alg"}

    def sealed(content: Json, jwk: Json) -> Json:
        head = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": jwk["kid"]}
        return {"sealed": jwe.encrypt_compact(head, jose.dump_json(content), ECKey.import_key(jwk))}

    for jwk in (key, before):
        assert ok(bank.post("/v1/identifications", sealed(named(service, 3), jwk)), 201)["cards"]
    for wrong in ({"id_number": "1"}, {**named(service, 3), "more": 1}, {"id_number": 1, "name": "x"}):
        assert refused(bank.post("/v1/identifications", sealed(wrong, key))) == (400, "bad_sealed_data")
    both = {**named(service, 3), **sealed(named(service, 3), key)}
    assert refused(bank.post("/v1/identifications", both)) == (400, "bad_search")
    assert refused(bank.post("/v1/identifications", {"sealed": "a.b.c.d.e"})) == (400, "bad_sealed_data")


def test_nobody_sees_or_uses_another_apps_identification_claim_or_link(
    service: Service, bank: AdmittedChannel, town: AdmittedChannel
) -> None:
    link_id = claimed(service, bank, 4)
    path, unknown = f"/v1/links/{link_id}", (404, "link_unknown")
    relative = f"{path}/relatives/{'ab' * 16}/codes"
    loss = {"request_id": "1"}
    assert refused(town.get(path)) == refused(town.get(f"{path}/relatives")) == unknown
    for tail, body in (
        ("release", {}),
        ("codes", {}),
        ("password", {"password": PASSWORD}),
        ("payment", {"password": PASSWORD, "consent": "c"}),
        ("payment/close", {}),
        ("losses", loss),
        ("losses/release", loss),
    ):
        assert refused(town.post(f"{path}/{tail}", body)) == unknown, tail
    assert refused(town.post(relative, {})) == unknown
    assert ok(bank.get(path))["usable"]

    found = ok(bank.post("/v1/identifications", named(service, 4)), 201)
    body = {
        "identification_id": found["identification_id"],
        "card": found["cards"][0]["card"],
        "proof": "chip",
        "consent": CONSENT,
    }
    assert refused(town.post("/v1/claims", body)) == (404, "identification_unknown")
    waiting = ok(bank.post("/v1/claims", body), 201)
    evidence = {"chip": service.evidence(4, bytes.fromhex(waiting["challenge"]))}
    assert refused(town.post(f"/v1/claims/{waiting['claim_id']}/evidence", evidence)) == (404, "claim_unknown")


def test_a_list_has_pages_and_nobody_elses_links(
    service: Service, bank: AdmittedChannel, town: AdmittedChannel
) -> None:
    own = {claimed(service, town, serial) for serial in (5, 6, 7)}
    claimed(service, bank, 5)
    seen: list[str] = []
    cursor = ""
    while True:
        page = ok(town.get(f"/v1/links?limit=2{cursor}"))
        seen += [link["link_id"] for link in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert own <= set(seen)
    assert len(seen) == len(set(seen))
    assert all(service.issuer.links.get(town.app_id, link_id) for link_id in seen)
    if cursor:
        assert refused(bank.get(f"/v1/links?limit=2{cursor}")) == (400, "bad_cursor")


def test_a_repeated_request_is_done_once(service: Service, bank: AdmittedChannel) -> None:
    link_id, key = claimed(service, bank, 8), secrets.token_hex(8)
    first = ok(bank.post(f"/v1/links/{link_id}/codes", {}, key=key), 201)
    again = bank.post(f"/v1/links/{link_id}/codes", {}, key=key)
    assert ok(again, 201) == first
    assert again.headers["idempotency-replayed"] == "true"
    assert refused(bank.post(f"/v1/links/{link_id}/codes", {"count": 2}, key=key))[1] == "idempotency_key_reused"


def test_a_loss_is_reported_and_released_in_the_app(
    service: Service, bank: AdmittedChannel, town: AdmittedChannel
) -> None:
    link_id, others = claimed(service, bank, 9), claimed(service, town, 9)
    path = f"/v1/links/{link_id}"
    lost = ok(bank.post(f"{path}/losses", {"request_id": "lost-1"}))
    assert (lost["applied"], lost["status"]) == (True, "suspended")
    assert "card_ref" not in lost
    assert ok(bank.post(f"{path}/losses", {"request_id": "lost-1"})) == lost
    assert refused(town.post(f"/v1/links/{others}/codes", {})) == (422, "ecard_not_usable")
    assert ok(town.get(f"/v1/links/{others}"))["status"] == "suspended"
    again = refused(bank.post("/v1/claims", _claim_body(service, bank, 9)))
    assert again == (422, "card_not_issuable")
    found = ok(bank.post(f"{path}/losses/release", {"request_id": "found-1"}))
    assert found["status"] == "valid"
    assert judged(service, show(bank, link_id)).reason == "ok"
    ok(bank.post(f"{path}/release", {}))
    assert refused(bank.post(f"{path}/losses", {"request_id": "lost-2"})) == (422, "link_released")


def _claim_body(service: Service, channel: AdmittedChannel, serial: int) -> Json:
    found = ok(channel.post("/v1/identifications", named(service, serial)), 201)
    (card,) = found["cards"]
    return {
        "identification_id": found["identification_id"],
        "card": card["card"],
        "proof": "chip",
        "consent": CONSENT,
    }


def events(service: Service, channel: AdmittedChannel) -> list[Json]:
    """What the channel was told until now."""
    service.issuer.dispatcher.turn()
    service.issuer.channel_events.worker.turn()
    return list(ok(channel.get("/v1/events?limit=100"))["data"])


def test_a_card_that_is_being_replaced_is_not_claimed_and_its_link_goes_on_with_the_new_one(
    service: Service, bank: AdmittedChannel, town: AdmittedChannel
) -> None:
    link_id, other = claimed(service, bank, 10), claimed(service, town, 10)
    old = show(bank, link_id)
    desk = {"Authorization": f"Bearer {service.token(Role.DESK)}"}
    order = {"request_id": secrets.token_hex(4), "card_ref": person(service, 10).card_ref, "reason": "damage"}
    case = bank.client.post("/v1/replacements", json=order, headers=desk)
    assert case.status_code == 201, case.text
    assert refused(bank.post("/v1/claims", _claim_body(service, bank, 10))) == (409, "replacement_under_way")

    body = service.card_body(11) | {"holder": service.card_body(10)["holder"], "status": 0}
    operator = {"Authorization": f"Bearer {service.token(Role.OPERATOR)}"}
    new_ref = bank.client.post("/v1/cards", json=body, headers=operator).json()["card_ref"]
    place = f"/v1/replacements/{case.json()['case_id']}"
    for step, sent in (("made", {"card_ref": new_ref}), ("ready", {}), ("collected", {})):
        assert bank.client.post(f"{place}/{step}", json=sent, headers=operator).status_code == 200
    assert refused(bank.post(f"/v1/links/{link_id}/codes", {})) == (422, "ecard_not_usable")  # chip not proven yet
    told = [one for one in events(service, bank) if one["type"] == "card.replaced"]
    assert [(one["link_id"], one["status"]) for one in told] == [(link_id, "suspended")]
    assert judged(service, old).reason == "ended"
    found = ok(bank.post("/v1/identifications", named(service, 10)), 201)
    (card,) = found["cards"]
    assert (card["linked"], card["proofs"]) == (True, ["chip"])
    again = {"identification_id": found["identification_id"], "card": card["card"], "proof": "chip"}
    waiting = ok(bank.post("/v1/claims", again | {"consent": CONSENT}), 201)
    chip = service.evidence(11, bytes.fromhex(waiting["challenge"]))
    done = ok(bank.post(f"/v1/claims/{waiting['claim_id']}/evidence", {"chip": chip}))
    assert done["link_id"] == link_id
    assert judged(service, show(bank, link_id)).reason == "ok"
    for channel, own in ((bank, link_id), (town, other)):
        heard = [(one["type"], one["status"]) for one in events(service, channel) if one["link_id"] == own]
        assert heard[-2:] == [("card.replaced", "suspended"), ("card.changed", "valid")], "it can be shown again"
    claim(service, bank, 11, named_as=10)
    assert len([one for one in events(service, town) if one["link_id"] == other]) == len(heard), "heard once"


def test_a_channel_that_hears_late_of_two_cards_hears_in_order(service: Service, bank: AdmittedChannel) -> None:
    """The feed keeps the order of each card alone; nothing was dispatched until the new chip was proven."""
    link_id = claimed(service, bank, 60)
    before = len(events(service, bank))
    desk, operator = ({"Authorization": f"Bearer {service.token(role)}"} for role in (Role.DESK, Role.OPERATOR))
    body = service.card_body(61) | {"holder": service.card_body(60)["holder"], "status": 0}
    new_ref = ok(bank.client.post("/v1/cards", json=body, headers=operator), 201)["card_ref"]
    steps = [("losses", desk, {"kind": "formal"}), ("replacements", desk, {"reason": "loss"})]
    for path, who, more in steps:
        service.clock.advance(1)
        sent = {"request_id": secrets.token_hex(4), "card_ref": person(service, 60).card_ref} | more
        case = ok(bank.client.post(f"/v1/{path}", json=sent, headers=who), 201)
    for step, sent in (("made", {"card_ref": new_ref}), ("ready", {}), ("collected", {})):
        ok(bank.client.post(f"/v1/replacements/{case['case_id']}/{step}", json=sent, headers=operator))
    service.clock.advance(1)
    claim(service, bank, 61, named_as=60)
    heard = [(one["type"], one["occurred_at"]) for one in events(service, bank)[before:] if one["link_id"] == link_id]
    assert [at for _, at in heard] == sorted(at for _, at in heard)
    named = [kind for kind, _ in heard]
    assert named[:3] == ["card.lost", "card.cancelled", "card.replaced"]
    assert set(named[3:]) == {"card.changed"}


def test_a_clerk_sees_a_persons_links_and_releases_them(
    service: Service, bank: AdmittedChannel, town: AdmittedChannel
) -> None:
    kept, other = claimed(service, bank, 12), claimed(service, town, 12)
    desk = {"Authorization": f"Bearer {service.token(Role.DESK)}"}
    body = {"id_number": person(service, 12).id_number.text}
    listed = ok(bank.client.post("/v1/holders/links", json=body, headers=desk))["links"]
    assert {(link["app_id"], link["end"]) for link in listed} == {(bank.app_id, None), (town.app_id, None)}
    one = bank.client.post("/v1/holders/links/release", json=body | {"link_id": other}, headers=desk)
    assert ok(one)["links"][0]["end"] == "holder"
    assert ok(bank.get(f"/v1/links/{kept}"))["usable"]
    strange = bank.client.post("/v1/holders/links/release", json=body | {"link_id": "0" * 32}, headers=desk)
    assert refused(strange) == (404, "link_unknown")
    rest = ok(bank.client.post("/v1/holders/links/release", json=body, headers=desk))["links"]
    assert {link["end"] for link in rest} == {"holder"}
    assert ok(bank.get(f"/v1/links/{kept}"))["end"] == "holder"


def test_the_holder_releases_every_app_by_the_ecard_password(
    service: Service, bank: AdmittedChannel, town: AdmittedChannel
) -> None:
    link_id, other = claimed(service, bank, 13), claimed(service, town, 13)
    path = f"/v1/links/{link_id}"
    ok(bank.post(f"{path}/password", {"password": PASSWORD}))
    assert refused(bank.post(f"{path}/release", {"everywhere": True})) == (422, "ecard_password_needed")
    wrong = {"everywhere": True, "password": "000111"}
    assert refused(bank.post(f"{path}/release", wrong)) == (422, "ecard_password_wrong")
    done = ok(bank.post(f"{path}/release", {"everywhere": True, "password": PASSWORD}))
    assert (done["end"], done["others"]) == ("released", 1)
    assert ok(town.get(f"/v1/links/{other}"))["end"] == "holder"


def test_a_guardian_claims_a_childs_ecard_by_its_chip_and_shows_it_until_the_guardianship_ends(
    service: Service, client: TestClient, bank: AdmittedChannel
) -> None:
    serial, born = 77, date(2015, 3, 4)
    number, body = number_of(born), service.card_body(serial)
    data = replace(synthetic(serial), id_number=number.text, birth_date=born)
    service.chips[serial] = piv_style(now=service.clock(), authority=service.authority, data=data)
    child = {"id_number": number.text, "name": body["holder"]["name"]}
    operator = {"Authorization": f"Bearer {service.token(Role.OPERATOR)}"}
    ok(client.post("/v1/cards", json=body | {"holder": child}, headers=operator), 201)
    wish = mandate(
        {"document": {"kind": "01", "number": number.text}, "name": child["name"]},
        some_person(serial=900),
        acts=["claim_ecard"],
        request_id="guardian-77",
    )
    given = ok(client.post("/v1/mandates", json=wish, headers=operator), 201)
    acting = {"acting": {"ground": "guardian", "mandate_id": given["mandate_id"]}}

    def asked() -> Json:
        found = ok(bank.post("/v1/identifications", child), 201)
        card = found["cards"][0]["card"]
        return {"identification_id": found["identification_id"], "card": card, "proof": "chip", "consent": CONSENT}

    assert refused(bank.post("/v1/claims", asked())) == (422, "guardian_needed")
    foreign = {"acting": {"ground": "guardian", "mandate_id": mandated(service, 78).mandate_id}}
    assert refused(bank.post("/v1/claims", asked() | foreign)) == (422, "mandate_unknown")
    waiting = ok(bank.post("/v1/claims", asked() | acting), 201)
    path, chip = (
        f"/v1/claims/{waiting['claim_id']}/evidence",
        {"chip": service.evidence(serial, bytes.fromhex(waiting["challenge"]))},
    )
    done = ok(bank.post(path, chip))
    assert (done["level"], done["holder_proof"]) == (1, "chip")
    assert ok(bank.post(path, chip))["link_id"] == done["link_id"], "asked again after a lost answer"
    assert judged(service, show(bank, done["link_id"])).reason == "ok"
    assert service.issuer.links.get(bank.app_id, done["link_id"]).mandate_id == given["mandate_id"]

    late = ok(bank.post("/v1/claims", asked() | acting), 201)
    ended = client.post(f"/v1/mandates/{given['mandate_id']}/revoke", json={}, headers=operator)
    assert ended.status_code == 200, ended.text
    chip = {"chip": service.evidence(serial, bytes.fromhex(late["challenge"]))}
    assert refused(bank.post(f"/v1/claims/{late['claim_id']}/evidence", chip)) == (422, "mandate_ended")
    assert refused(bank.post("/v1/claims", asked() | acting)) == (422, "mandate_ended")


def test_relatives_codes_are_shown_while_consent_holds_and_both_have_the_record(
    service: Service, bank: AdmittedChannel, town: AdmittedChannel
) -> None:
    issuer, now = service.issuer, service.clock()
    link_id = claimed(service, bank, 14)
    shown = issuer.links.get(bank.app_id, claimed(service, bank, 15))
    path = f"/v1/links/{link_id}/relatives"
    assert ok(bank.get(path))["data"] == []
    viewer, relative = person(service, 14).id_number, person(service, 15).id_number
    issuer.holders.passwords.set(shown.ecard_id, Secret(PASSWORD), app_of(bank), now)
    consent = Consent("family-2026-1", IN_PERSON, Secret(PASSWORD))
    held = issuer.holders.family.link(viewer, relative, Relation.PARENT, consent, app_of(bank), now)
    (only,) = ok(bank.get(path))["data"]
    assert (only["relation"], only["by_guardian"]) == ("parent", False)
    assert person(service, 15).name not in str(only)
    relative_id = only["relative_id"]
    (elsewhere,) = ok(town.get(f"/v1/links/{claimed(service, town, 14)}/relatives"))["data"]
    assert len({relative_id, elsewhere["relative_id"], held.link_id}) == 3, "two apps cannot compare"
    for foreign in (held.link_id, elsewhere["relative_id"]):
        assert refused(bank.post(f"{path}/{foreign}/codes", {})) == (404, "relative_unknown")
    code = ok(bank.post(f"{path}/{relative_id}/codes", {}), 201)["code"]
    verdict = judged(service, code)
    assert (verdict.reason, verdict.holder_proof) == ("ok", None)
    for who in (viewer, relative):
        ref = issuer.people.references.holder(who)
        exported = issuer.privacy.exporting.export(f"x-{ref[:6]}", who, IN_PERSON, "desk", service.clock())
        assert f"'by': '{bank.app_id}'" in str(exported)
    assert refused(bank.post(f"{path}/{'0' * 32}/codes", {})) == (404, "relative_unknown")
    issuer.lifecycle.change(person(service, 15).card_ref, CardChange.REPORT_LOSS, service.clock())
    assert ok(bank.get(path))["data"] == []
    assert refused(bank.post(f"{path}/{relative_id}/codes", {})) == (422, "ecard_not_usable")
    issuer.lifecycle.change(person(service, 15).card_ref, CardChange.RELEASE, service.clock())
    issuer.holders.family.end(relative, held.link_id, service.clock())
    assert refused(bank.post(f"{path}/{relative_id}/codes", {})) == (404, "relative_unknown")
    own = judged(service, show(bank, link_id))
    assert own.reason == "ok", "a relative's key is no key of one's own"


def test_scopes_are_kept_apart(service: Service, client: TestClient, bank: AdmittedChannel) -> None:
    reader = admit(service, scopes=[Scope.READ], client=client)
    link_id = claimed(service, reader, 16)
    assert ok(reader.get(f"/v1/links/{link_id}"))["usable"]
    assert refused(reader.post(f"/v1/links/{link_id}/codes", {})) == (403, "scope_missing")
    assert refused(reader.post(f"/v1/links/{link_id}/release", {})) == (403, "scope_missing")


def test_more_claims_than_admitted_are_refused(service: Service, client: TestClient) -> None:
    small = admit(service, client=client, quotas={"calls_per_minute": 600, "claims_per_day": 1})
    ok(small.post("/v1/claims", _claim_body(service, small, 17)), 201)
    assert refused(small.post("/v1/claims", _claim_body(service, small, 17))) == (403, "claims_used_up")


def test_pages_of_a_suspended_app_get_no_more_codes(service: Service, client: TestClient) -> None:
    """The page calls by itself: nobody asks who its app is."""
    app = admit(service, client=client)
    path, page = f"/v1/links/{claim(service, app, 30)['link_id']}", {"Origin": "https://app.bank.example"}
    ticket = ok(app.post(f"{path}/tickets", {"origin": page["Origin"]}), 201)["ticket"]
    opened = ok(client.post("/v1/sessions", json={"ticket": ticket}, headers=page), 201)
    own, session = page | {"Authorization": f"Bearer {opened['token']}"}, f"/v1/sessions/{opened['session_id']}"
    ok(client.post(f"{session}/codes", json={"count": 1}, headers=own))
    service.issuer.channels.office.suspend(app.app_id, "stolen keys", "operator", service.clock())
    assert refused(client.post(f"{session}/codes", json={"count": 1}, headers=own)) == (403, "app_suspended")
    key = DeviceKey.generate()
    bound = {"device_key": key.public_jwk, "proof": key.proof(ORIGIN, opened["session_id"], service.clock())}
    assert refused(client.post(f"{session}/device", json=bound, headers=own)) == (403, "app_suspended")
    service.issuer.channels.office.resume(app.app_id, "operator", service.clock())
    ok(client.post(f"{session}/codes", json={"count": 1}, headers=own))


def test_a_query_that_is_no_text_is_no_fault_of_ours(
    service: Service, client: TestClient, bank: AdmittedChannel
) -> None:
    async def raw(scope: Scope_, receive: Receive, send: Send) -> None:
        await client.app({**scope, "query_string": b"x=\xff"}, receive, send)

    teller = replace(bank, client=TestClient(raw, raise_server_exceptions=False))
    assert teller.get("/v1/links").status_code == 200
    assert teller.post("/v1/identifications", named(service, 31)).status_code == 201


def test_an_app_releases_no_formal_loss_also_where_a_desk_may(tmp_path: Path) -> None:
    """Its scope is for temporary losses: a thief with phone and card would undo what the holder said at the desk."""
    policy = replace(STRICT, loss=LossRules(formal_may_release=True))
    service = open_service(tmp_path, policy_of=lambda region, now: policy)
    try:
        app = admit(service)
        path, card_ref = f"/v1/links/{claim(service, app, 1)['link_id']}", person(service, 1).card_ref
        service.issuer.lifecycle.change(card_ref, CardChange.REPORT_LOSS, service.clock())
        found = app.post(f"{path}/losses/release", {"request_id": "found-1"})
        assert refused(found) == (422, "release_not_permitted")
        assert service.issuer.register.get_card(card_ref).status is CardStatus.LOST
    finally:
        service.issuer.close()
