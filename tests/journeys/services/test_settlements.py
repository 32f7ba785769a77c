"""A payment at a counter: the merchant asks, the holder agrees to exactly that, the payer redeems it once."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest
from httpx2 import Response

from ecard_card.card import IdNumber
from ecard_qr.challenge import Challenge, parse_challenge
from ecard_sdk.device import DeviceKey
from ecard_verifier.callers import Role
from ecard_verifier.settlement import verify_settlement
from tests.issuer.channel_kit import AdmittedChannel, admit
from tests.issuer.links_kit import claimed, evidence, mandated, opened, prove
from tests.journeys.services.relying_town import Person, Town, open_town

MERCHANT, PAYER, OTHER = "city-hospital", "medical-fund", "other-shop"
PASSWORD = "836152"


@dataclass
class Market:
    """A hospital, a fund that pays, another shop; people whose e-cards are opened for payment in a bank's app."""

    town: Town
    bank: AdmittedChannel

    def buyer(self, *, level: int = 2) -> tuple[Person, str]:
        """Somebody with a phone, and their link in the bank's app."""
        person = self.town.person()
        link_id = claimed(self.town.service, self.bank, person.serial)
        self.posted(f"/v1/links/{link_id}/password", {"password": PASSWORD, "event_id": secrets.token_hex(8)})
        if level == 2:
            opening = {"password": PASSWORD, "consent": "ecard-payment-2026-1"}
            self.posted(f"/v1/links/{link_id}/payment", opening)
        return person, link_id

    def posted(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.bank.post(path, body)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert isinstance(found, dict)
        return found

    def ask(self, status: int = 201, *, service: str = MERCHANT, **said: Any) -> dict[str, Any]:
        body = {
            "request_id": secrets.token_hex(8),
            "line": 82,
            "counter": "ctr-07",
            "purpose": "medical",
            "amount": 12_345,
            "payer": PAYER,
            "reference": "HIS/2026-000017",
        } | said
        return self.call("POST", f"/v1/relying/{service}/transactions", body, service, status)

    def answer(self, payment: dict[str, Any], code: str, status: int = 200, service: str = MERCHANT) -> dict[str, Any]:
        path = f"/v1/relying/{service}/transactions/{payment['transaction_id']}/answer"
        return self.call("POST", path, {"code": code}, service, status)

    def code(self, person: Person, challenge: Challenge | None, *, short: bool = False) -> str:
        make = person.device.online_code if short else person.device.offline_code
        return make(person.credential, self.town.service.clock(), challenge=challenge)

    def agreed(self) -> tuple[Person, dict[str, Any]]:
        """A payment that somebody agreed to with their phone."""
        person, _ = self.buyer()
        payment = self.ask()
        return person, self.answer(payment, self.code(person, parse_challenge(payment["challenge"])))

    def redeem(
        self, authorization: str, status: int = 200, *, request_id: str | None = None, service: str = PAYER
    ) -> dict[str, Any]:
        body = {"request_id": request_id or secrets.token_hex(8), "authorization": authorization}
        return self.call("POST", f"/v1/relying/{service}/redemptions", body, service, status)

    def void(self, payment: dict[str, Any], service: str, status: int = 200) -> dict[str, Any]:
        path = f"/v1/relying/{service}/transactions/{payment['transaction_id']}/void"
        return self.call("POST", path, None, service, status)

    def get(self, payment: dict[str, Any], status: int = 200, service: str = MERCHANT) -> dict[str, Any]:
        path = f"/v1/relying/{service}/transactions/{payment['transaction_id']}"
        return self.call("GET", path, None, service, status)

    def call(self, method: str, path: str, body: dict[str, Any] | None, service: str, status: int) -> dict[str, Any]:
        return self.town.call(method, path, body, role=Role.RELYING, name=service, status=status)

    def agree(self, link_id: str, challenge: str, password: str = PASSWORD, *, key: str | None = None) -> Response:
        body = {"challenge": challenge, "password": password}
        return self.bank.post(f"/v1/links/{link_id}/payments", body, key=key)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    with open_town(tmp_path_factory.mktemp("market")) as town:
        for service_id in (MERCHANT, PAYER, OTHER):
            town.relying(service_id, names={"zh": "市第一医院", "en": "City hospital"})
        town.relying("query-only", business_types=["01"])
        bank = admit(town.service, client=town.client)
        yield Market(town, bank)


@pytest.fixture(autouse=True)
def fresh(market: Market) -> None:
    """Each test has its own minutes."""
    market.town.wait(minutes=11)


@pytest.mark.parametrize("short", [False, True], ids=["EC1", "EC0"])
def test_a_phone_agrees_and_the_fund_pays_once(market: Market, short: bool) -> None:
    person, _ = market.buyer()
    asked = market.ask()
    challenge = parse_challenge(asked["challenge"])
    assert (challenge.name, challenge.counter, challenge.purpose) == ("市第一医院", "ctr-07", "medical")
    assert challenge.transaction is not None
    assert (challenge.transaction.amount, challenge.transaction.payer) == (12_345, PAYER)
    assert (asked["state"], asked["authorization"]) == ("asked", None)
    done = market.answer(asked, market.code(person, challenge, short=short))
    assert (done["state"], done["way"]) == ("authorized", "device")
    service = market.town.service
    said = verify_settlement(
        done["authorization"], service.issuer.keys.trust(service.clock()), service.clock(), payer=PAYER
    )
    assert said.transaction == challenge.transaction
    assert (said.merchant, said.challenge, said.way) == (MERCHANT, challenge.digest, "device")
    assert person.id_number not in done["authorization"]
    assert market.get(asked) == done
    paid = market.redeem(done["authorization"], request_id="batch-7:1")
    assert (paid["state"], paid["reference"]) == ("redeemed", "HIS/2026-000017")
    assert market.redeem(done["authorization"], request_id="batch-7:1") == paid
    assert market.redeem(done["authorization"], 409)["code"] == "settlement_redeemed"


def test_the_e_card_password_agrees_in_an_app_without_a_device_key(market: Market) -> None:
    person, link_id = market.buyer()
    asked = market.ask()
    shown = market.posted(f"/v1/links/{link_id}/payments/show", {"challenge": asked["challenge"]})
    assert (shown["names"]["en"], shown["amount"], shown["state"]) == ("City hospital", 12_345, "asked")
    wrong = market.agree(link_id, asked["challenge"], "836153")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "ecard_password_wrong")
    assert market.get(asked)["state"] == "asked"
    first = market.agree(link_id, asked["challenge"])
    again = market.agree(link_id, asked["challenge"])
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    done = market.get(asked)
    assert (done["state"], done["way"]) == ("authorized", "password")
    (said,) = [row for row in market.town.record_of(person, "accesses") if row["way"] == "app"]
    assert (said["service"], said["outcome"], said["business_type"]) == (MERCHANT, "permitted", "02")


def test_a_person_reads_what_they_agreed_to(market: Market) -> None:
    person, done = market.agreed()
    issuer = market.town.service.issuer
    row = issuer.people.find(IdNumber(person.id_number))
    assert row is not None
    (told,) = issuer.settling.subject_data.of_holder(row, issuer.people.seal_of(row))
    assert told == {
        "transaction_id": done["transaction_id"],
        "state": "authorized",
        "signed": done["authorization"],
    }


def test_only_an_answer_to_this_very_question_counts(market: Market) -> None:
    person, _ = market.buyer()
    asked, dearer = market.ask(), market.ask(amount=99_999)
    plain = market.code(person, None)
    assert market.answer(asked, plain, 422)["code"] == "challenge_unanswered"
    elsewhere = market.code(person, parse_challenge(dearer["challenge"]))
    assert market.answer(asked, elsewhere, 422)["code"] == "wrong_nonce"
    right = market.code(person, parse_challenge(asked["challenge"]))
    check = {"request_id": "r-1", "line": 82, "business_type": "03", "code": right}
    path = f"/v1/relying/{OTHER}/checks"
    assert market.call("POST", path, check, OTHER, 422)["code"] == "wrong_nonce"  # relayed to another service
    assert market.answer(asked, right)["state"] == "authorized"
    assert market.answer(asked, right)["state"] == "authorized"  # the answer was lost on the way
    assert market.answer(dearer, right, 422)["code"] == "wrong_nonce"


def test_what_forbids_a_payment_leaves_it_open_and_says_why(market: Market) -> None:
    poor, poor_link = market.buyer(level=1)
    asked = market.ask()
    challenge = parse_challenge(asked["challenge"])
    assert market.answer(asked, market.code(poor, challenge), 422)["code"] == "level_too_low"
    assert market.agree(poor_link, asked["challenge"]).json()["code"] == "level_too_low"
    lost, lost_link = market.buyer()
    market.town.change(lost, "report_temporary_loss")
    assert market.answer(asked, market.code(lost, challenge), 422)["code"] == "suspended"
    assert market.agree(lost_link, asked["challenge"]).json()["code"] == "ecard_not_usable"
    forged = DeviceKey.generate().offline_code(lost.credential, market.town.service.clock(), challenge=challenge)
    assert market.answer(asked, forged, 422)["code"] == "bad_holder_signature"
    assert market.get(asked)["state"] == "asked"
    market.town.wait(minutes=5)
    rich, rich_link = market.buyer()
    assert market.answer(asked, market.code(rich, challenge), 422)["code"] == "challenge_expired"
    assert market.agree(rich_link, asked["challenge"]).json()["code"] == "challenge_expired"


def test_a_changed_or_foreign_challenge_is_nobodys(market: Market) -> None:
    _, link_id = market.buyer()
    asked = parse_challenge(market.ask()["challenge"])
    for changed in (
        Challenge("ctr-07", "别家医院", asked.purpose, asked.expires_at, asked.nonce, asked.transaction),
        Challenge("ctr-07", asked.name, asked.purpose, asked.expires_at + 600, asked.nonce, asked.transaction),
        Challenge("ctr-07", asked.name, asked.purpose, asked.expires_at, bytes(16), asked.transaction),
    ):
        answer = market.agree(link_id, changed.text)
        assert (answer.status_code, answer.json()["code"]) == (404, "transaction_unknown")
    assert market.agree(link_id, asked.text[:-1]).json()["code"] == "code_damaged"
    assert market.agree(link_id, "https://pay.example/q/1").json()["code"] == "unreadable_code"


def test_the_same_request_is_one_payment_and_another_content_is_refused(market: Market) -> None:
    first = market.ask(request_id="order-1")
    assert market.ask(request_id="order-1") == first
    assert market.ask(409, request_id="order-1", amount=1)["code"] == "relying_request_differs"
    assert market.ask(request_id="order-1", service=OTHER)["transaction_id"] != first["transaction_id"]
    assert market.ask(422, payer="nobody-here")["code"] == "payer_unknown"
    assert market.ask(422, service="query-only")["code"] == "business_type_not_permitted"
    assert market.ask(422, line=83)["code"] == "line_not_served"
    assert market.ask(422, amount=0)["code"] == "invalid_request"


def test_each_sees_and_does_only_what_is_theirs(market: Market) -> None:
    _, done = market.agreed()
    assert market.get(done, 404, OTHER)["code"] == "transaction_unknown"
    assert market.get(done, 404, PAYER)["code"] == "transaction_unknown"
    assert market.void(done, OTHER, 404)["code"] == "transaction_unknown"
    assert market.redeem(done["authorization"], 404, service=OTHER)["code"] == "transaction_unknown"
    assert market.redeem(done["authorization"], 404, service=MERCHANT)["code"] == "transaction_unknown"
    head, body, seal = done["authorization"].split(".")
    for forged in (f"{head}.{body}.{seal[::-1]}", f"{head}.{body}", "x.y.z", f"{head}.e30.{seal}"):
        assert market.redeem(forged, 400 if forged.count(".") < 2 or "e30" in forged or forged == "x.y.z" else 404)
    foreign = market.call("POST", f"/v1/relying/{MERCHANT}/transactions", {"request_id": "x"}, OTHER, 422)
    assert foreign["code"] == "invalid_request"


def test_a_merchant_voids_until_the_payer_took_it_and_the_payer_after_that(market: Market) -> None:
    _, done = market.agreed()
    voided = market.void(done, MERCHANT)
    assert (voided["state"], voided["authorization"]) == ("voided", None)
    assert market.void(done, MERCHANT)["state"] == "voided"
    assert market.redeem(done["authorization"], 409)["code"] == "settlement_voided"
    person, link_id = market.buyer()
    open_still = market.ask()
    market.void(open_still, MERCHANT)
    code = market.code(person, parse_challenge(open_still["challenge"]))
    assert market.answer(open_still, code, 422)["code"] == "payment_voided"
    assert market.agree(link_id, open_still["challenge"]).json()["code"] == "payment_voided"
    _, other = market.agreed()
    market.redeem(other["authorization"])
    assert market.void(other, MERCHANT, 409)["code"] == "settlement_redeemed"
    assert market.void(other, PAYER)["state"] == "voided"


def test_an_authorization_is_over_after_a_day(market: Market) -> None:
    _, done = market.agreed()
    market.town.wait(hours=24)
    assert market.redeem(done["authorization"], 422)["code"] == "settlement_expired"
    assert market.get(done)["state"] == "authorized"


def test_twenty_redemptions_at_once_pay_once(market: Market) -> None:
    _, done = market.agreed()
    market.town.headers(Role.RELYING, PAYER)

    def redeem(number: int) -> int:
        body = {"request_id": f"batch-9:{number}", "authorization": done["authorization"]}
        path, headers = f"/v1/relying/{PAYER}/redemptions", market.town.headers(Role.RELYING, PAYER)
        return market.town.client.post(path, json=body, headers=headers).status_code

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(redeem, range(20)))
    assert sorted(answers) == [200, *[409] * 19]


def test_two_holders_answer_one_question_and_one_pays(market: Market) -> None:
    (one, _), (two, link_of_two) = market.buyer(), market.buyer()
    asked = market.ask()
    challenge = parse_challenge(asked["challenge"])
    first = market.answer(asked, market.code(one, challenge))
    assert market.answer(asked, market.code(two, challenge)) == first
    assert market.agree(link_of_two, asked["challenge"]).json()["code"] == "payment_authorized"
    service = market.town.service
    said = verify_settlement(first["authorization"], service.issuer.keys.trust(service.clock()), service.clock())
    row = service.issuer.people.find(IdNumber(one.id_number))
    assert row is not None
    assert said.subject == service.issuer.people.references.pairwise(PAYER, row.holder_ref)


def test_questions_that_nobody_answered_are_forgotten_and_answered_ones_are_not(market: Market) -> None:
    asked = market.ask()
    _, done = market.agreed()
    market.town.wait(days=1, minutes=1)
    market.town.service.issuer.settling.desk.upkeep(market.town.service.clock())
    assert market.get(asked, 404)["code"] == "transaction_unknown"
    assert market.get(done)["state"] == "authorized"


def test_an_agents_link_agrees_to_nothing(market: Market) -> None:
    """The authorization would say that the holder agreed; an agent's mandate is to claim the e-card."""
    person, link_id = market.buyer()
    asked, service = market.ask(), market.town.service
    acting, device = mandated(service, person.serial), DeviceKey.generate()
    waiting = opened(service, market.bank, person.serial, acting=acting, device=device)
    done = prove(service, market.bank, waiting, evidence(service, person.serial, waiting.challenge or b""))
    assert done.issued is not None
    agent = replace(person, device=device, credential=done.issued.cwt)
    for short in (False, True):
        code = market.code(agent, parse_challenge(asked["challenge"]), short=short)
        assert market.answer(asked, code, 422)["code"] == "mandate_out_of_scope"
    assert market.agree(link_id, asked["challenge"]).json()["code"] == "mandate_out_of_scope"
    assert market.get(asked)["state"] == "asked"
    own = market.code(person, parse_challenge(asked["challenge"]))
    assert market.answer(asked, own)["state"] == "authorized", "the holder's own phone is no agent's"


def test_a_service_pays_nothing_to_itself_and_an_ended_payer_nothing_at_all(market: Market) -> None:
    assert market.ask(422, payer=MERCHANT)["code"] == "payer_unknown"
    market.town.relying("old-fund")
    person, link_id = market.buyer()
    asked = market.ask(payer="old-fund")
    market.town.call("POST", "/v1/relying/old-fund/end", {"reason": "closed"}, status=200)
    code = market.code(person, parse_challenge(asked["challenge"]))
    assert market.answer(asked, code, 422)["code"] == "payer_unknown"
    assert market.agree(link_id, asked["challenge"]).json()["code"] == "payer_unknown"


def test_after_an_erasure_a_payment_is_over_and_tells_nothing(market: Market) -> None:
    person, done = market.agreed()
    market.town.change(person, "cancel")
    proof = {"erasure_id": "e-1", "id_number": person.id_number, "ground": "death", "proof": "file 2026-17"}
    market.town.call("POST", "/v1/privacy/erasures", proof, status=201)
    found = market.get(done)
    assert (found["state"], found["authorization"]) == ("authorized", None)
    assert market.redeem(done["authorization"], 404)["code"] == "transaction_unknown"
    assert market.void(done, MERCHANT)["state"] == "voided"
