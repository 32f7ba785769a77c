"""What a system behind the counter does: it fetches the result by its id, and never trusts the page."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ecard_verifier.web.models import Verification
from tests.verifier.counters.kit import House, Json, scan_body

SCANS, VERIFY = "/v1/counter/verifications", "/v1/verifications"


def test_a_result_is_fetched_by_its_group_for_fifteen_minutes(house: House, hospital: Json, shop: Json) -> None:
    done = house.page(hospital).post(SCANS, json=scan_body(house.code())).json()
    path = f"{VERIFY}/{done['verification_id']}"
    got = hospital["system"].get(path).json()
    assert (got["outcome"], got["reason"], got["counter_id"]) == ("valid", "ok", hospital["counter_id"])
    assert got["facts"] == {
        "name": "王小三",
        "id_number": "410105199003071230",
        "card_number": "A12345678",
        "region": "410100",
    }
    assert (got["purpose"], got["business_type"]) == ("medical", "03")
    assert house.operator.get(path).status_code == 200
    assert shop["system"].get(path).json()["code"] == "verification_unknown"
    assert house.client("old").get(path).json()["code"] == "verification_unknown", "a caller of no group has none"
    house.clock.now += timedelta(minutes=15)
    try:
        assert hospital["system"].get(path).json()["code"] == "verification_unknown"
    finally:
        house.clock.now -= timedelta(minutes=15)


def test_a_result_is_used_once_also_where_the_code_was_scanned_twice(house: House, hospital: Json) -> None:
    page, code, system = house.page(hospital), house.code(), hospital["system"]
    first = page.post(SCANS, json=scan_body(code)).json()
    second = page.post(SCANS, json=scan_body(code)).json()

    def use(answer: Json, reference: str) -> tuple[int, str]:
        used = system.post(f"{VERIFY}/{answer['verification_id']}/use", json={"reference": reference})
        return used.status_code, used.json().get("code", "")

    assert use(first, "HIS-1") == (200, "")
    assert use(first, "HIS-1") == (200, ""), "a lost answer is asked for again"
    assert use(first, "HIS-2") == (409, "verification_used")
    assert second["outcome"] == "check"
    assert use(second, "HIS-2") == (409, "verification_used")
    refused = page.post(SCANS, json=scan_body("no code")).json()
    assert use(refused, "HIS-3") == (422, "verification_not_usable")


def test_a_system_verifies_for_its_counter_by_itself(house: House, hospital: Json, shop: Json) -> None:
    house.clock.now += timedelta(seconds=1)
    body = {"code": house.code(), "purpose": "medical", "counter": hospital["counter_id"]}
    answer = hospital["system"].post(VERIFY, json=body).json()
    Verification.model_validate(answer)
    assert (answer["outcome"], answer["purpose"], answer["claims"]) == ("valid", "medical", {})
    assert answer["facts"]["name"] == "王小三"
    assert hospital["system"].get(f"{VERIFY}/{answer['verification_id']}").json()["facts"] == answer["facts"]
    rows = house.page(hospital).get("/v1/counter/shift").json()["rows"]
    assert rows[0]["source"] == "system"
    foreign = shop["system"].post(VERIFY, json=body | {"purpose": "payment"})
    assert (foreign.status_code, foreign.json()["code"]) == (404, "counter_unknown")
    other = shop["system"].post(VERIFY, json={"code": body["code"], "purpose": "payment"}).json()
    assert (other["reason"], other["facts"], other["first_seen"]["where"]) == ("replayed", {}, "another counter")
    assert shop["system"].post(VERIFY, json={"code": "x", "purpose": "medical"}).json()["code"] == "purpose_unknown"


def test_a_system_in_its_own_name_is_told_so(house: House, hospital: Json) -> None:
    body = {"code": house.code(), "purpose": "medical"}
    first, second = (hospital["system"].post(VERIFY, json=body).json() for _ in range(2))
    assert (first["outcome"], second["reason"]) == ("valid", "replayed")
    assert second["first_seen"]["where"] == f"{hospital['group_id']}/counter"


def test_an_old_caller_is_answered_as_before(house: House, hospital: Json) -> None:
    old, code = house.client("old"), house.code()
    first = old.post(VERIFY, json={"code": code, "counter": "gate 2"}).json()
    assert (first["outcome"], first["purpose"], first["facts"]) == ("valid", None, {})
    second = old.post(VERIFY, json={"code": code}).json()
    assert (second["reason"], second["first_seen"]["where"]) == ("replayed", "gate 2")
    named = old.post(VERIFY, json={"code": house.code(), "purpose": "payment"})
    assert (named.status_code, named.json()["code"]) == (403, "group_needed")


@pytest.mark.parametrize("name", ["{counter_id}", "{group_id}/counter"])
def test_nobody_else_takes_the_name_of_a_counter(house: House, hospital: Json, name: str) -> None:
    """Else a code of theirs would be told kindly there, and theirs would be refused as that counter's."""
    old = house.client("old")
    answer = old.post(VERIFY, json={"code": house.code(), "counter": name.format(**hospital)})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_counter")


def test_a_code_for_one_counter_is_of_no_use_at_another(house: House, hospital: Json) -> None:
    named = house.counter(hospital, audience="hospital-1/window-7")
    body = {"code": "x", "purpose": "medical", "counter": named, "audience": "somebody-else"}
    refused = hospital["system"].post(VERIFY, json=body)
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_audience")
    taken = hospital["manager"].post(
        "/v1/counters", json={"branch_id": hospital["branch_id"], "name": "x", "audience": "hospital-1/window-7"}
    )
    assert (taken.status_code, taken.json()["code"]) == (409, "audience_taken")


def test_a_token_that_was_taken_back_opens_nothing(house: House, hospital: Json) -> None:
    path = f"/v1/groups/{hospital['group_id']}/tokens"
    made = house.made(path, {"name": "till 3", "role": "counter"}, hospital["manager"])
    till = house.client(made["token"])
    assert till.post(VERIFY, json={"code": "x"}).status_code == 200
    listed = hospital["manager"].get(path)
    assert made["token"] not in listed.text
    assert [token["name"] for token in listed.json()["tokens"]] == ["counter", "merchant", "till 3"]
    assert hospital["manager"].delete(f"{path}/till 3").status_code == 204
    assert till.post(VERIFY, json={"code": "x"}).status_code == 401
    assert house.client(made["token"][:-6] + "AAAAAA").post(VERIFY, json={"code": "x"}).status_code == 401
