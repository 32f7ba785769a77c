"""What is shown to a relying service is used once, by whom it was shown to; guesses at a PIN count whichever way."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ecard_card.errors import CheckFailed, Conflict, EcardError, RuleViolation
from ecard_issuer.levels.business import BusinessType
from ecard_issuer.pins.secret import Secret
from ecard_issuer.relying.rules import Ask
from ecard_verifier.callers import Caller, Role
from tests.journeys.services.relying_town import Person, Town, open_town

DESK = Caller("desk", Role.DESK)
PIN = "283746"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with open_town(tmp_path_factory.mktemp("town")) as opened:
        opened.relying("clinic")
        opened.relying("library")
        opened.relying("till", pin=True)
        opened.relying("south", region="460000")
        yield opened


def with_pin(town: Town) -> Person:
    person = town.person()
    pins, now = town.service.issuer.holders.pins, town.service.clock()
    pins.change(person.card_ref, Secret.typed("123456"), Secret.typed(PIN), DESK, now)
    return person


def pin_path(town: Town, person: Person, pin: str, status: int) -> dict[str, Any]:
    body = {"card_ref": person.card_ref, "pin": pin, "business_type": "03"}
    return town.call("POST", "/v1/pins/verify", body, role=Role.DESK, name="counter", status=status)


def test_guesses_by_both_ways_count_together(town: Town) -> None:
    person = with_pin(town)
    assert pin_path(town, person, "111222", 422)["code"] == "pin_wrong"
    assert town.check("till", 422, code=town.code(person), pin="１１１２２３")["code"] == "pin_wrong"
    assert pin_path(town, person, "１１１２２４", 422)["code"] == "pin_locked"
    assert town.check("till", 422, code=town.code(person), pin=PIN)["code"] == "pin_locked"
    assert pin_path(town, person, PIN, 422)["code"] == "pin_locked"


def test_wide_digits_are_the_same_pin_and_other_digits_are_none(town: Town) -> None:
    person = with_pin(town)
    town.check("till", code=town.code(person), pin="２８３７４６")
    for strange in ("٢٨٣٧٤٦", "２８３７４", "28374６ ", "²83746"):
        assert town.check("till", 400, code=town.code(person), pin=strange)["code"] in (
            "secret_not_six_digits",
            "bad_request",
        )
    pin_path(town, person, PIN, 200)


def test_guesses_at_once_by_both_ways_get_three_tries(town: Town) -> None:
    person = with_pin(town)
    issuer, now = town.service.issuer, town.service.clock()
    codes = [town.code(person) for _ in range(6)]

    def guess(number: int) -> str:
        pin = f"9183{number:02}"
        try:
            if number % 2:
                business = BusinessType("03")
                issuer.holders.pins.verify(person.card_ref, Secret.typed(pin), business, DESK, now)
            else:
                ask = Ask(secrets.token_hex(8), 82, "03", code=codes[number // 2], pin=pin)
                issuer.relying.desk.check("till", Caller("till", Role.RELYING), ask, now)
        except EcardError as error:
            return error.code
        return "right"

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(guess, range(12)))
    assert answers.count("pin_wrong") <= 2
    assert answers.count("pin_locked") >= 10


def test_a_pin_act_of_one_caller_is_no_repetition_for_another(town: Town) -> None:
    person = with_pin(town)
    pins, now = town.service.issuer.holders.pins, town.service.clock()
    first, second = Secret.typed("736251"), Secret.typed("492817")
    pins.change(person.card_ref, Secret.typed(PIN), first, DESK, now, event_id="1")
    pins.change(person.card_ref, Secret.typed(PIN), first, DESK, now, event_id="1")
    with pytest.raises(Conflict, match="secret_event_differs"):
        pins.change(person.card_ref, first, second, Caller("other", Role.DESK), now, event_id="1")


def test_a_code_serves_one_request_of_one_service(town: Town) -> None:
    person = town.person()
    code = town.code(person)
    first = town.check("clinic", code=code, request_id="r1")
    assert town.check("clinic", code=code, request_id="r1")["access_id"] == first["access_id"]
    assert town.check("clinic", 422, code=code, request_id="r2")["code"] == "replayed"
    assert town.check("library", 422, code=code, request_id="r1")["code"] == "replayed"
    assert town.check("clinic", 422, code=code, request_id="r1", claims=["name_masked"])["code"] == "replayed"
    other = town.code(person)
    assert town.check("clinic", 409, code=other, request_id="r1")["code"] == "relying_request_differs"


def test_a_code_shown_at_once_to_many_is_taken_once(town: Town) -> None:
    code = town.code(town.person())
    issuer, now = town.service.issuer, town.service.clock()

    def show(number: int) -> str:
        service = ("clinic", "library")[number % 2]
        try:
            ask = Ask(f"q{number}", 82, "03", code=code)
            issuer.relying.desk.check(service, Caller(service, Role.RELYING), ask, now)
        except EcardError as error:
            return error.code
        return "permitted"

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(show, range(16)))
    assert sorted(answers) == ["permitted"] + ["replayed"] * 15


def test_a_card_lost_this_second_is_refused(town: Town) -> None:
    person = town.person()
    code = town.code(person)
    town.change(person, "report_loss")
    assert town.check("clinic", 422, code=code)["code"] == "suspended"
    assert len(town.record_of(person, "accesses")) == 1


def test_a_service_gets_no_more_than_its_own(town: Town) -> None:
    person = town.person()
    for claim in ("name", "personal_administrative_number", "card_number"):
        answer = town.check("clinic", 422, code=town.code(person), claims=[claim])
        assert answer["code"] == "claim_not_permitted"
        assert "claims" not in answer
    assert town.check("south", 422, code=town.code(person))["code"] == "service_region_differs"
    ask = Ask("r", 82, "03", code=town.code(person))
    with pytest.raises(EcardError, match="relying_service_unknown"):
        town.service.issuer.relying.desk.check("clinic", Caller("library", Role.RELYING), ask, town.service.clock())
    assert town.check("clinic", 422, code=town.code(person, "library"))["code"] == "wrong_audience"


def test_nothing_personal_is_told_by_a_refusal_or_a_log(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    person = with_pin(town)
    body = town.service.card_body(person.serial)
    canaries = [*body["holder"].values(), body["card_number"], body["identification_code"], PIN, "918273"]
    said = []
    with caplog.at_level(logging.DEBUG):
        holder = {"holder": body["holder"]}
        who = {"identification_code": body["identification_code"]}
        desk: dict[str, Any] = {"role": Role.DESK, "name": "counter"}
        calls = [
            ("/v1/pins/verify", {**who, "pin": "918273", "business_type": "03"}, 422),
            ("/v1/pins/verify", {**who, "pin": PIN, "business_type": "99"}, 400),
            ("/v1/pins/reset", {**who, "document_number": body["holder"]["id_number"][:-1] + "Z"}, 400),
            ("/v1/losses", {"request_id": "1", "kind": "temporary", **holder, "region": "999999"}, 404),
            ("/v1/losses", {"request_id": "2", "kind": PIN, **holder}, 400),
            ("/v1/cancellations", {"request_id": "3", **holder, "cause": "death", "proof": ""}, 400),
            ("/v1/people/life", {"id_number": body["holder"]["id_number"], "life": PIN}, 400),
        ]
        for path, sent, status in calls:
            response = town.client.post(path, json=sent, headers=town.headers(**desk))
            assert response.status_code in (status, 400, 422, 404), (path, response.text)
            said.append(response.text)
        said.append(town.client.get("/metrics", headers=town.headers(Role.OPERATOR)).text)
    logged = [record.getMessage() for record in caplog.records if not record.name.startswith("httpx")]
    told = "\n".join([*said, *logged])
    assert not [canary for canary in canaries if canary in told]


def test_a_lost_cards_pin_opens_nothing(town: Town) -> None:
    person = with_pin(town)
    town.change(person, "report_loss")
    assert pin_path(town, person, PIN, 422)["code"] == "card_not_usable"
    pins, now = town.service.issuer.holders.pins, town.service.clock()
    with pytest.raises(RuleViolation, match="card_not_usable"):
        pins.change(person.card_ref, Secret.typed(PIN), Secret.typed("736251"), DESK, now)
    ask = Ask("r", 82, "03", code=town.code(person), pin=PIN)
    with pytest.raises((CheckFailed, RuleViolation)):
        town.service.issuer.relying.desk.check("till", Caller("till", Role.RELYING), ask, now)
