"""The counter shows first: a code that answers its challenge, and no other, there and then."""

from __future__ import annotations

from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from ecard_card.status import EcardStatus
from ecard_qr import picture
from ecard_qr.challenge import Challenge, parse_challenge
from ecard_sdk.device import DeviceKey
from tests.verifier.counters.kit import House, Json, scan_body

SCANS, CHALLENGES, SYSTEMS = "/v1/counter/verifications", "/v1/counter/challenges", "/v1/verifications"
LARGE = "large-payment"


@pytest.fixture
def market(house: House) -> Json:
    """A group whose counters take large payments."""
    return house.group(f"market {house.clock().timestamp()}", purposes=["medical", "payment", LARGE])


def asked(page: TestClient, purpose: str = LARGE) -> tuple[str, Challenge]:
    answer = page.post(CHALLENGES, json={"purpose": purpose})
    assert answer.status_code == 201, answer.text
    return answer.json()["challenge_id"], parse_challenge(answer.json()["text"])


def answering(house: House, challenge: Challenge) -> str:
    device = DeviceKey.generate()
    credential = house.world.compact(house.world.credential(device))
    return device.offline_code(credential, house.clock(), challenge=challenge)


def verdict(page: TestClient, code: str, challenge_id: str | None, purpose: str = LARGE) -> tuple[str, str]:
    more = {} if challenge_id is None else {"challenge_id": challenge_id}
    answer = page.post(SCANS, json=scan_body(code, purpose, **more))
    assert answer.status_code == 200, answer.text
    return answer.json()["outcome"], answer.json()["reason"]


def test_the_holder_reads_who_asks_and_the_answer_counts_once(house: House, market: Json) -> None:
    page = house.page(market)
    challenge_id, challenge = asked(page)
    assert (challenge.counter, challenge.purpose) == (market["counter_id"], LARGE)
    assert challenge.name.endswith("window 1") or len(challenge.name) == 30
    assert challenge.expires_at == int((house.clock() + timedelta(minutes=2)).timestamp())
    assert picture.version_of(challenge.text) <= 8
    code = answering(house, challenge)
    answer = page.post(SCANS, json=scan_body(code, LARGE, challenge_id=challenge_id)).json()
    assert (answer["outcome"], answer["reason"]) == ("valid", "ok")
    assert answer["shown"]["name"] == "王**"  # its issuer is told of the challenge too
    assert verdict(page, code, challenge_id) == ("check", "shown_again")


def test_where_a_challenge_is_demanded_nothing_else_will_do(house: House, market: Json) -> None:
    page = house.page(market)
    challenge_id, challenge = asked(page)
    assert verdict(page, house.code(), None) == ("undecided", "challenge_needed")
    assert verdict(page, house.code(), challenge_id) == ("invalid", "challenge_unanswered")
    _, other = asked(page)
    assert verdict(page, answering(house, other), challenge_id) == ("invalid", "wrong_nonce")
    assert verdict(page, answering(house, challenge), None, "medical") == ("invalid", "wrong_nonce")
    assert verdict(page, "EC1:garbage", challenge_id)[0] == "invalid"


def test_a_challenge_is_answered_by_one_holder(house: House, market: Json) -> None:
    page = house.page(market)
    challenge_id, challenge = asked(page)
    suspended = answering(house, challenge)
    house.statuses.value = EcardStatus.SUSPENDED
    assert verdict(page, suspended, challenge_id) == ("invalid", "suspended")
    house.statuses.value = EcardStatus.VALID  # what was refused has answered nothing
    code, second = answering(house, challenge), answering(house, challenge)
    assert verdict(page, code, challenge_id) == ("valid", "ok")
    assert verdict(page, second, challenge_id) == ("invalid", "challenge_answered")
    here = {"code": answering(house, challenge), "counter": market["counter_id"], "purpose": LARGE}
    system = market["system"].post(SYSTEMS, json=here | {"challenge": challenge.text}).json()
    assert (system["outcome"], system["reason"]) == ("invalid", "challenge_answered")
    assert verdict(page, code, challenge_id) == ("check", "shown_again")  # and the first is what it was


def test_any_purpose_may_ask_first(house: House, market: Json) -> None:
    page = house.page(market)
    challenge_id, challenge = asked(page, "medical")
    assert verdict(page, answering(house, challenge), challenge_id, "medical")[0] == "valid"


def test_a_challenge_is_one_counters_for_one_purpose_and_two_minutes(house: House, market: Json) -> None:
    page, other = house.page(market), house.page(market, house.counter(market))
    challenge_id, challenge = asked(page)
    code = answering(house, challenge)
    for client, purpose, named in (
        (other, LARGE, challenge_id),
        (page, "medical", challenge_id),
        (page, LARGE, "cha_nothing"),
        (page, LARGE, challenge_id[4:]),
    ):
        answer = client.post(SCANS, json=scan_body(code, purpose, challenge_id=named))
        assert (answer.status_code, answer.json()["code"]) == (404, "challenge_unknown")
    body = scan_body(code, LARGE, challenge_id=challenge_id)
    house.clock.now += timedelta(minutes=2)
    answer = page.post(SCANS, json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "challenge_unknown")
    answer = page.post(CHALLENGES, json={"purpose": "query"})
    assert (answer.status_code, answer.json()["code"]) == (404, "purpose_unknown")


def test_a_system_verifies_an_answer_to_its_own_counters_challenge_only(house: House, market: Json) -> None:
    page = house.page(market)
    _, challenge = asked(page)
    code = answering(house, challenge)
    here = {"code": code, "counter": market["counter_id"], "purpose": LARGE}
    without = market["system"].post(SYSTEMS, json=here).json()
    assert (without["outcome"], without["reason"]) == ("undecided", "challenge_needed")
    stranger = house.group(f"stranger {house.clock().timestamp()}", purposes=[LARGE])
    for system, counter in ((stranger["system"], stranger["counter_id"]), (market["system"], house.counter(market))):
        body = here | {"counter": counter, "challenge": challenge.text}
        answer = system.post(SYSTEMS, json=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_challenge")
    right = market["system"].post(SYSTEMS, json=here | {"challenge": challenge.text}).json()
    assert (right["outcome"], right["reason"]) == ("valid", "ok")
    house.clock.now += timedelta(minutes=2, seconds=1)
    late = market["system"].post(SYSTEMS, json=here | {"challenge": challenge.text})
    assert (late.status_code, late.json()["code"]) == (422, "challenge_expired")
    broken = market["system"].post(SYSTEMS, json=here | {"challenge": challenge.text[:-2]})
    assert (broken.status_code, broken.json()["code"]) == (400, "code_damaged")
