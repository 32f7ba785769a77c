"""What somebody tries who wants more than their counter may: each of these once worked."""

from __future__ import annotations

import uuid
from datetime import timedelta

from ecard_qr.challenge import Challenge, parse_challenge
from ecard_sdk.device import DeviceKey
from tests.verifier.counters.kit import House, Json, scan_body

SCANS, UPLOADS, SYSTEMS, SHIFT = (
    "/v1/counter/verifications",
    "/v1/counter/uploads",
    "/v1/verifications",
    "/v1/counter/shift",
)


def uploaded(code: str, at: str, **more: object) -> Json:
    fixed = {"purpose": "medical", "way": "camera", "outcome": "check", "reason": "offline_status"}
    return {"items": [{"scan_id": str(uuid.uuid4()), "code": code, "scanned_at": at, **fixed, **more}]}


def test_a_page_with_an_absurd_clock_spoils_no_list(house: House, hospital: Json) -> None:
    page = house.page(hospital)
    for at in (
        "9999-12-31T23:59:59.999Z",
        "0001-01-01T00:00:00+08:00",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59-08:00",
    ):
        answer = page.post(UPLOADS, json=uploaded(house.code(), at))
        assert answer.status_code in (200, 422), (at, answer.text)
    listed = page.get(SHIFT)
    assert listed.status_code == 200, listed.text
    assert page.get(SHIFT + ".csv").status_code == 200
    now = house.clock()
    kept = house.counters.administration.ledger.rows(hospital["counter_id"], now - timedelta(days=9), 100)
    assert all(row.at <= now + timedelta(seconds=60) for row in kept)


def test_a_system_that_repeats_a_code_alarms_both_counters(house: House, hospital: Json, shop: Json) -> None:
    code = house.code()
    assert house.page(shop).post(SCANS, json=scan_body(code, "query")).status_code == 200
    body = {"code": code, "purpose": "medical", "counter": hospital["counter_id"]}
    answer = hospital["system"].post(SYSTEMS, json=body).json()
    assert answer["reason"] == "replayed", answer
    assert answer["first_seen"]["where"] == "another counter"
    for group in (hospital, shop):
        alarms = group["manager"].get("/v1/alarms").json()["alarms"]
        assert [alarm for alarm in alarms if alarm["kind"] == "code_at_two_counters"], group["group_id"]


def test_what_a_system_accepted_without_a_purpose_is_known_to_uploads(house: House, hospital: Json, shop: Json) -> None:
    for body, client in (
        ({"code": house.code(), "counter": shop["counter_id"]}, shop["system"]),
        ({"code": house.code(), "counter": "desk"}, house.client("old")),
    ):
        assert client.post(SYSTEMS, json=body).json()["outcome"] == "valid"
        page = house.page(hospital)
        answer = page.post(UPLOADS, json=uploaded(body["code"], house.clock().isoformat())).json()["items"][0]
        assert (answer["outcome_now"], answer["reason_now"], answer["alarm"]) == ("invalid", "replayed", True)


def test_a_caller_of_no_group_is_no_counter_of_one(house: House, hospital: Json) -> None:
    device = DeviceKey.generate()
    credential = house.world.compact(house.world.credential(device))
    code = device.offline_code(credential, house.clock(), audience=hospital["counter_id"])
    answer = house.client("old").post(SYSTEMS, json={"code": code, "audience": hospital["counter_id"]})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_audience")


def test_what_a_holder_answered_for_one_purpose_is_verified_for_no_other(house: House, hospital: Json) -> None:
    until = int((house.clock() + timedelta(minutes=2)).timestamp())
    challenge = Challenge(hospital["counter_id"], "hospital", "query", until, bytes(range(16)))
    device = DeviceKey.generate()
    credential = house.world.compact(house.world.credential(device))
    code = device.offline_code(credential, house.clock(), challenge=parse_challenge(challenge.text))
    body = {"code": code, "counter": hospital["counter_id"], "challenge": challenge.text}
    answer = hospital["system"].post(SYSTEMS, json={**body, "purpose": "medical"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_challenge")
    assert hospital["system"].post(SYSTEMS, json={**body, "purpose": "query"}).json()["outcome"] == "valid"
