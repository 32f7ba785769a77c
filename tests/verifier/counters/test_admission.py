"""Who is let in as a counter, for how long, and how fast they are out."""

from __future__ import annotations

import secrets
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from ecard_verifier.counters.entrance import DEVICE_LIFE, IDLE, MOST_TRIES, MOST_WRONG, MOST_WRONG_IN_ALL
from ecard_verifier.counters.secret import CODE_ALPHABET, new_code
from tests.verifier.counters.kit import BASE, House, Json, open_house, scan_body

SESSION = "/v1/counter/session"


def refusal(client: TestClient) -> tuple[int, str]:
    answer = client.get(SESSION)
    return answer.status_code, "" if answer.status_code == 200 else answer.json()["code"]


def admit(client: TestClient, code: str) -> tuple[int, str]:
    answer = client.post(SESSION, json={"admission_code": code})
    return answer.status_code, "" if answer.status_code == 201 else answer.json()["code"]


def test_a_code_admits_one_page_once(house: House, hospital: Json) -> None:
    code = house.admission(hospital)
    assert len(code) == 8
    assert not set(code) - set(CODE_ALPHABET)
    page = house.client()
    answer = page.post(SESSION, json={"admission_code": f" {code[:4].lower()}-{code[4:]} "})
    assert answer.status_code == 201
    cookie = answer.headers["set-cookie"]
    for part in ("__Host-ecard-counter=eccs_", "HttpOnly", "Secure", "SameSite=strict", "Path=/"):
        assert part in cookie
    assert "Domain" not in cookie
    assert code not in answer.text
    assert refusal(page) == (200, "")
    assert admit(house.client(), code) == (401, "admission_wrong")


def test_a_code_is_over_after_ten_minutes_and_when_a_newer_one_is_made(house: House, hospital: Json) -> None:
    old, new = house.admission(hospital), house.admission(hospital)
    assert admit(house.client(), old) == (401, "admission_wrong")
    house.clock.now += timedelta(minutes=10)
    assert admit(house.client(), new) == (401, "admission_wrong")


@pytest.mark.parametrize("code", ["", "O0O0O0O0", "A" * 64, "王王王王王王王王", "AAAA AAA"])
def test_what_is_no_code_admits_nobody(house: House, code: str) -> None:
    stranger = TestClient(house.app, base_url=BASE, headers={"Origin": BASE}, client=(f"192.0.2.{len(code)}", 1))
    assert admit(stranger, code) == (401, "admission_wrong")


def test_a_page_ends_by_rest_and_by_age(house: House, hospital: Json) -> None:
    start = house.clock.now
    page = house.page(hospital)
    try:
        house.clock.now = start + IDLE - timedelta(minutes=1)
        assert refusal(page) == (200, "")
        house.clock.now += IDLE - timedelta(minutes=2)
        assert refusal(page) == (200, ""), "each use counts"
        house.clock.now += IDLE + timedelta(minutes=2)
        assert refusal(page) == (401, "counter_not_admitted")
        again = house.page(hospital)
        admitted_at = house.clock.now
        while house.clock.now + timedelta(hours=12) < admitted_at + DEVICE_LIFE:
            house.clock.now += timedelta(hours=12)
            assert refusal(again) == (200, "")
        house.clock.now += timedelta(hours=12)
        assert refusal(again) == (401, "counter_not_admitted")
    finally:
        house.clock.now = start


def test_one_device_more_ends_the_one_that_rested_longest(house: House, hospital: Json) -> None:
    one = house.page(hospital)
    two = house.page(hospital)
    assert (refusal(one), refusal(two)) == ((401, "counter_not_admitted"), (200, ""))
    wide = house.counter(hospital, devices=2)
    pages = []
    for _ in range(3):
        pages.append(house.page(hospital, wide))
        house.clock.now += timedelta(minutes=2)
    assert [refusal(page)[0] for page in pages] == [401, 200, 200]
    assert len(hospital["manager"].get(f"/v1/counters/{wide}/devices").json()["devices"]) == 2


def test_a_page_can_leave(house: House, hospital: Json) -> None:
    page = house.page(hospital)
    kept = house.client()
    kept.cookies = dict(page.cookies)
    assert page.delete(SESSION).status_code == 204
    assert refusal(kept) == (401, "counter_not_admitted")


@pytest.mark.parametrize("kind", ["group", "branch", "counter", "device"])
def test_what_is_revoked_is_out_at_the_next_request(house: House, kind: str) -> None:
    group = house.group(f"to revoke the {kind}")
    page, code, admission = house.page(group), house.code(), house.counter(group)
    second = house.admission(group, admission)
    body = scan_body(code)
    assert refusal(page) == (200, "")
    if kind == "device":
        [device] = group["manager"].get(f"/v1/counters/{group['counter_id']}/devices").json()["devices"]
        path = f"/v1/counters/{group['counter_id']}/devices/{device['device_id']}"
        assert group["manager"].delete(path).status_code == 204
        expected = (401, "counter_not_admitted")
    else:
        plural = {"group": "groups", "branch": "branches", "counter": "counters"}[kind]
        assert house.operator.post(f"/v1/{plural}/{group[kind + '_id']}/revoke").status_code == 200
        expected = (401, "counter_revoked")
    assert refusal(page) == expected
    assert page.post("/v1/counter/verifications", json=body).json()["code"] == expected[1]
    if kind in ("group", "branch"):
        assert admit(house.client(), second) == (401, "admission_wrong"), "a code that was out is out too"
        made = house.operator.post("/v1/counters", json={"branch_id": group["branch_id"], "name": "new"})
        assert (made.status_code, made.json()["code"]) == (422, f"{kind}_revoked")
    if kind == "counter":
        offered = house.operator.post(f"/v1/counters/{group['counter_id']}/admissions")
        assert (offered.status_code, offered.json()["code"]) == (422, "counter_revoked")
    if kind == "group":
        for role in ("manager", "system"):
            assert group[role].get("/v1/groups").status_code == 401


def test_guesses_of_one_address_are_counted_and_of_all(tmp_path_factory: pytest.TempPathFactory) -> None:
    house = open_house(tmp_path_factory.mktemp("guessing"))
    group = house.group("hospital")
    client = house.client()
    assert {admit(client, new_code()) for _ in range(MOST_WRONG)} == {(401, "admission_wrong")}
    good = house.admission(group)
    assert admit(client, good) == (429, "admission_guesses"), "a right one neither"
    other = TestClient(house.app, base_url=BASE, headers={"Origin": BASE}, client=("192.0.2.9", 1))
    assert admit(other, good) == (201, "")
    for number in range(MOST_WRONG_IN_ALL - MOST_WRONG):
        house.counters.administration.doors.add_guess((f"address {number}", "admission"), house.clock.now)
    assert admit(other, house.admission(group)) == (429, "admission_guesses")
    alarms = house.operator.get("/v1/alarms").json()["alarms"]
    assert [(alarm["kind"], alarm["group_id"]) for alarm in alarms] == [("admission_guessing", None)]
    assert group["manager"].get("/v1/alarms").json()["alarms"] == []
    house.clock.now += timedelta(minutes=11)
    assert admit(client, house.admission(group)) == (201, "")
    house.counters.close()


def test_a_pin_is_tried_five_times(house: House) -> None:
    group = house.group("with staff")
    body = {"branch_id": group["branch_id"], "alias": "柜员07", "pin": "314159"}
    staff_id = house.made("/v1/staff", body, group["manager"])["staff_id"]
    page = house.page(group)

    def log_in(pin: str, alias: str = "柜员07") -> tuple[int, str]:
        answer = page.post("/v1/counter/staff", json={"alias": alias, "pin": pin})
        return answer.status_code, answer.json().get("code", "")

    assert log_in("314159") == (200, "")
    assert page.delete("/v1/counter/staff").json()["staff"] is None
    assert log_in("314159", "nobody") == log_in("000001") == (400, "staff_pin_wrong")
    assert log_in("314159") == (200, ""), "a right one begins anew"
    assert {log_in(f"{number}0000"[:6]) for number in range(MOST_TRIES)} == {(400, "staff_pin_wrong")}
    assert log_in("314159") == (422, "staff_pin_locked")
    assert page.get(SESSION).json()["staff"] == {"alias": "柜员07"}, "who is logged in stays"
    [person] = [one for one in group["manager"].get("/v1/staff").json()["staff"] if one["staff_id"] == staff_id]
    assert person["locked"]
    assert "staff_pin_guessing" in [one["kind"] for one in group["manager"].get("/v1/alarms").json()["alarms"]]
    for weak in ("111111", "123456", "4321", "12345678", "123", "１２３４", "abcd", "123456789"):
        answer = group["manager"].post(f"/v1/staff/{staff_id}/pin", json={"pin": weak})
        assert (answer.status_code, answer.json()["code"]) == (400, "staff_pin_bad"), weak
    assert not group["manager"].post(f"/v1/staff/{staff_id}/pin", json={"pin": "271828"}).json()["locked"]
    assert log_in("314159") == (400, "staff_pin_wrong")
    assert log_in("271828") == (200, "")
    assert group["manager"].post(f"/v1/staff/{staff_id}/revoke").status_code == 200
    assert page.get(SESSION).json()["staff"] is None
    assert log_in("271828") == (400, "staff_pin_wrong")
    house.made("/v1/staff", body, group["manager"])  # the alias is free again


def test_pins_of_one_counter_are_counted_whosever_they_are(house: House) -> None:
    group = house.group("guessing at the counter")
    page = house.page(group)
    asker_full = [
        (page.post("/v1/counter/staff", json={"alias": secrets.token_hex(4), "pin": "0000"})) for _ in range(31)
    ]
    assert {answer.json()["code"] for answer in asker_full[:30]} == {"staff_pin_wrong"}
    assert (asker_full[30].status_code, asker_full[30].json()["code"]) == (429, "staff_pin_guesses")
