"""What the counter's page meets: an outcome every time, masked facts, and never `valid` twice."""

from __future__ import annotations

import csv
import io
import threading
from datetime import timedelta

import pytest

from ecard_card.card import ChipAssurance
from ecard_card.status import EcardStatus
from ecard_sdk.device import DeviceKey
from ecard_verifier.purposes.purposes import Field
from tests.verifier.counters.kit import PERSON, House, Json, scan_body

SCANS = "/v1/counter/verifications"


def test_the_page_is_told_where_it_is(house: House, hospital: Json) -> None:
    state = house.page(hospital).get("/v1/counter/session").json()
    assert state["group"] == {"group_id": hospital["group_id"], "name": "hospital", "level": "designated"}
    assert state["counter"]["counter_id"] == state["counter"]["audience"] == hospital["counter_id"]
    assert [purpose["purpose"] for purpose in state["purposes"]] == ["medical", "query", "payment", "other"]
    assert state["purposes"][0]["names"] == {"zh": "就医", "en": "Medical care"}
    assert (state["staff"], state["staff_needed"], state["online"]) == (None, False, True)
    assert state["trust_as_of"] < state["now"] < state["trust_expires_at"]
    assert state["status_as_of"] is not None


def test_a_page_gets_masked_facts_and_the_same_scan_the_same_answer(house: House, hospital: Json) -> None:
    page, body = house.page(hospital), scan_body(house.code())
    first = page.post(SCANS, json=body)
    assert first.status_code == 200
    answer = first.json()
    assert (answer["outcome"], answer["reason"], answer["chip_assurance"]) == ("valid", "ok", "challenge")
    assert answer["shown"] == {"name": "王**", "id_number": "410105********1230", "card_number": "*******78"}
    assert PERSON_WHOLE.isdisjoint(first.text.split('"'))
    assert first.headers["cache-control"] == "no-store"
    asked = house.people.asked
    assert page.post(SCANS, json=body).json() == answer
    assert house.people.asked == asked, "what was judged is not judged again"
    other = page.post(SCANS, json=body | {"code": house.code()})
    assert (other.status_code, other.json()["code"]) == (409, "scan_differs")


PERSON_WHOLE = frozenset(value for field, value in PERSON.items() if field not in (Field.REGION, Field.BIRTH_YEAR))


def test_what_a_merchant_sees_follows_its_level_and_purpose(house: House, shop: Json) -> None:
    page = house.page(shop)
    shown = {
        purpose: page.post(SCANS, json=scan_body(house.code(), purpose)).json()["shown"]
        for purpose in ("payment", "query", "other")
    }
    assert shown == {
        "payment": {"name": "王**"},
        "query": {"name": "王**", "id_number": "410***********1230"},
        "other": {"name": "王**", "birth_year": "1990"},
    }
    for purpose in ("medical", "benefit", "nothing"):  # not of this group, not of its level, not at all
        refused = page.post(SCANS, json=scan_body(house.code(), purpose))
        assert (refused.status_code, refused.json()["code"]) == (404, "purpose_unknown")


@pytest.mark.parametrize(
    "code", ["", "no code", "EC1:", "EC0:AAAA", "https://example.org/pay", "\x00", "６" * 64, "x" * 9000]
)
def test_every_text_gets_an_outcome(house: House, hospital: Json, code: str) -> None:
    answer = house.page(hospital).post(SCANS, json=scan_body(code))
    assert answer.status_code == 200, answer.text
    assert answer.json()["outcome"] == "invalid"
    assert answer.json()["shown"] == {}


def test_the_same_counter_is_told_kindly_and_another_one_refused(house: House, hospital: Json, shop: Json) -> None:
    page, code = house.page(hospital), house.code()
    first = page.post(SCANS, json=scan_body(code)).json()
    house.clock.now += timedelta(seconds=5)
    again = page.post(SCANS, json=scan_body(code)).json()
    assert (again["outcome"], again["reason"]) == ("check", "shown_again")
    assert again["first_seen"] == {"at": first["recorded_at"], "here": True}
    assert again["shown"]["name"] == "王**", "the clerk may compare again"
    elsewhere = house.page(shop).post(SCANS, json=scan_body(code, "payment"))
    answer = elsewhere.json()
    assert (answer["outcome"], answer["reason"], answer["shown"]) == ("invalid", "replayed", {})
    assert answer["first_seen"] == {"at": first["recorded_at"], "here": False}
    assert hospital["counter_id"] not in elsewhere.text
    own = [alarm["counter_id"] for alarm in shop["manager"].get("/v1/alarms").json()["alarms"]]
    assert own == [shop["counter_id"]]
    theirs = hospital["manager"].get("/v1/alarms").json()["alarms"]
    assert [(alarm["kind"], alarm["counter_id"], alarm["incident"]) for alarm in theirs] == [
        ("code_at_two_counters", hospital["counter_id"], "")
    ]
    incidents = {alarm["incident"] for alarm in house.operator.get("/v1/alarms").json()["alarms"]}
    assert len(incidents) == 1


def test_at_two_counters_in_the_same_moment_one_wins(house: House, hospital: Json, shop: Json) -> None:
    pages = [(house.page(hospital), "medical"), (house.page(shop), "payment")]
    for _ in range(3):
        outcomes: list[str] = []
        code, gate = house.code(), threading.Barrier(2)

        def scan(number: int, code: str = code, outcomes: list[str] = outcomes, gate: threading.Barrier = gate) -> None:
            page, purpose = pages[number]
            gate.wait(10)
            outcomes.append(page.post(SCANS, json=scan_body(code, purpose)).json()["reason"])

        threads = [threading.Thread(target=scan, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert sorted(outcomes) == ["ok", "replayed"]


def test_twins_of_one_scan_are_one_verification(house: House, hospital: Json) -> None:
    page, body, gate = house.page(hospital), scan_body(house.code()), threading.Barrier(4)
    answers: list[tuple[int, str]] = []

    def scan() -> None:
        gate.wait(10)
        answer = page.post(SCANS, json=body)
        answers.append((answer.status_code, answer.json().get("verification_id", answer.json().get("code"))))

    threads = [threading.Thread(target=scan) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    given = {text for status, text in answers if status == 200}
    assert len(given) == 1
    assert {answer for answer in answers if answer[0] != 200} <= {(409, "scan_in_flight")}
    assert page.post(SCANS, json=body).json()["verification_id"] in given


def test_without_a_name_a_person_must_look(house: House, hospital: Json) -> None:
    page = house.page(hospital)
    house.people.away = True
    try:
        compared = page.post(SCANS, json=scan_body(house.code(), "medical")).json()
        paid = page.post(SCANS, json=scan_body(house.code(), "payment")).json()
    finally:
        house.people.away = False
    assert (compared["outcome"], compared["reason"]) == ("check", "name_unavailable")
    assert (paid["outcome"], paid["reason"]) == ("valid", "ok"), "nobody compares a name for this purpose"
    for answer in (compared, paid):
        assert (answer["shown"], answer["shown_missing"]) == ({}, "facts_unavailable")


def test_a_refused_code_asks_nobody_about_the_holder(house: House, hospital: Json) -> None:
    page, asked = house.page(hospital), house.people.asked
    house.statuses.value = EcardStatus.SUSPENDED
    try:
        lost = page.post(SCANS, json=scan_body(house.code())).json()
    finally:
        house.statuses.value = EcardStatus.VALID
    assert (lost["outcome"], lost["reason"], lost["shown"]) == ("invalid", "suspended", {})
    assert house.people.asked == asked


def test_what_a_purpose_demands(house: House, hospital: Json) -> None:
    page = house.page(hospital)
    typed = DeviceKey.generate()
    weak = house.code(typed, assurance=ChipAssurance.DECLARED)
    assert page.post(SCANS, json=scan_body(weak, "medical")).json()["reason"] == "assurance_too_low"
    assert page.post(SCANS, json=scan_body(weak, "query")).json()["outcome"] == "valid"
    house.statuses.age = 6
    try:
        stale = page.post(SCANS, json=scan_body(house.code(), "medical")).json()
    finally:
        house.statuses.age = 1
    assert (stale["outcome"], stale["reason"]) == ("check", "status_aging")
    challenged = page.post(SCANS, json=scan_body(house.code(), challenge_id="none"))
    assert (challenged.status_code, challenged.json()["code"]) == (404, "challenge_unknown")


def test_the_shift_list_has_no_names_and_its_csv_no_formulas(house: House, hospital: Json) -> None:
    counter = house.counter(hospital, staff_needed=True)
    alias = "=cmd|' /C calc'!A1"
    body = {"branch_id": hospital["branch_id"], "alias": alias, "pin": "271828"}
    house.made("/v1/staff", body, hospital["manager"])
    page = house.page(hospital, counter)
    refused = page.post(SCANS, json=scan_body(house.code()))
    assert (refused.status_code, refused.json()["code"]) == (403, "staff_needed")
    assert page.post("/v1/counter/staff", json={"alias": alias, "pin": "271828"}).json()["staff"] == {"alias": alias}
    done = page.post(SCANS, json=scan_body(house.code())).json()
    shift = page.get("/v1/counter/shift")
    [row] = shift.json()["rows"]
    assert (row["reference"], row["outcome"], row["staff"], row["source"]) == (
        done["reference"],
        "valid",
        alias,
        "online",
    )
    exported = page.get("/v1/counter/shift.csv")
    assert exported.headers["content-type"].startswith("text/csv")
    [_, line] = list(csv.reader(io.StringIO(exported.text.removeprefix("\ufeff"))))
    assert line[8] == "'" + alias
    for text in (shift.text, exported.text):
        assert not any(secret in text for secret in ("王", "4101", done["verification_id"]))
    assert hospital["manager"].get(f"/v1/counters/{counter}/shift.csv").text == exported.text


def test_the_days_verifications_end(house: House, hospital: Json) -> None:
    counter = house.counter(hospital, daily_limit=2)
    page = house.page(hospital, counter)
    body = scan_body("x")
    assert [page.post(SCANS, json=body).status_code for _ in range(3)] == [200] * 3, "the same scan counts once"
    assert page.post(SCANS, json=scan_body("x")).status_code == 200
    beyond = scan_body("x")
    for _ in range(2):  # a scan that was not judged holds its id for nobody
        over = page.post(SCANS, json=beyond)
        assert (over.status_code, over.json()["code"]) == (429, "counter_quota_used_up")
    assert 0 < int(over.headers["retry-after"]) <= 86_401
    house.clock.now += timedelta(days=1)
    try:
        assert page.get("/v1/counter/session").status_code == 401, "it rested for more than 16 hours"
        assert house.page(hospital, counter).post(SCANS, json=scan_body("x")).status_code == 200
    finally:
        house.clock.now -= timedelta(days=1)


def test_a_hundred_failures_in_an_hour_are_an_alarm(house: House, shop: Json) -> None:
    counter = house.counter(shop)
    page = house.page(shop, counter)
    for _ in range(100):
        page.post(SCANS, json=scan_body("no code", "payment"))

    def alarms() -> list[Json]:
        found = shop["manager"].get("/v1/alarms").json()["alarms"]
        return [alarm for alarm in found if (alarm["kind"], alarm["counter_id"]) == ("many_failures", counter)]

    [alarm] = alarms()
    seen = shop["manager"].post(f"/v1/alarms/{alarm['alarm_id']}/acknowledge")
    assert (seen.json()["acknowledged_by"], alarms()) == ("merchant", [])
    again = house.operator.post(f"/v1/alarms/{alarm['alarm_id']}/acknowledge").json()
    assert again["acknowledged_by"] == "merchant", "the first one stays"


def test_a_foreign_page_changes_nothing(house: House, hospital: Json) -> None:
    page = house.page(hospital)
    for origin in (
        "https://evil.example",
        "null",
        "https://verifier.example.evil.example",
        "https://verifier.example:1",
    ):
        refused = page.post(SCANS, json=scan_body(house.code()), headers={"Origin": origin})
        assert (refused.status_code, refused.json()["code"]) == (403, "foreign_origin")
    bare = house.client(origin=None)
    bare.cookies = page.cookies
    assert bare.post(SCANS, json=scan_body(house.code())).json()["code"] == "foreign_origin"
    typed = page.post(SCANS, content=b"scan_id=1", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert typed.status_code == 415
