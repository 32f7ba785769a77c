"""What a page judged without a network is judged again: nothing is used up, and what contradicts is an alarm."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import pytest
from starlette.testclient import TestClient

from ecard_card.status import EcardStatus
from ecard_verifier.counters.model import Source
from tests.verifier.counters.kit import House, Json, scan_body

UPLOADS = "/v1/counter/uploads"


def item(house: House, code: str, scanned_at: datetime | None = None, **more: object) -> Json:
    at = (scanned_at or house.clock.now).isoformat()
    body = {"scan_id": str(uuid.uuid4()), "code": code, "purpose": "medical", "way": "camera"}
    return {**body, "outcome": "check", "reason": "status_aging", "scanned_at": at, **more}


def hand_in(page: TestClient, *items: Json) -> list[Json]:
    answer = page.post(UPLOADS, json={"items": list(items)})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def told(answer: Json) -> tuple[str, str, bool]:
    return answer["outcome_now"], answer["reason_now"], answer["alarm"]


def test_an_hour_later_a_good_code_is_still_good_and_the_same_upload_the_same_answer(
    house: House, hospital: Json
) -> None:
    house.clock.now += timedelta(seconds=1)
    page, sent = house.page(hospital), item(house, house.code())
    house.clock.now += timedelta(hours=1)
    [first] = hand_in(page, sent)
    assert told(first) == ("valid", "ok", False)
    assert hand_in(page, sent) == [first]
    row = page.get("/v1/counter/shift").json()["rows"][0]
    assert (row["source"], row["at"][:19]) == ("upload", sent["scanned_at"][:19])
    assert hospital["system"].get(f"/v1/verifications/{first['verification_id']}").json()["facts"] == {}


def test_a_code_that_was_stale_when_it_was_scanned_is_refused(house: House, hospital: Json) -> None:
    page, code, shown = house.page(hospital), house.code(), house.clock.now
    house.clock.now += timedelta(hours=1)
    old = item(house, code, shown + timedelta(minutes=3))
    early = item(house, code, shown - timedelta(minutes=10))
    ahead = item(house, code, house.clock.now + timedelta(minutes=10))
    ancient = item(house, code, house.clock.now - timedelta(days=8))
    assert [told(answer) for answer in hand_in(page, old, early, ahead, ancient)] == [
        ("invalid", "code_expired", True),
        ("invalid", "code_from_future", True),
        ("undecided", "clock_behind", False),
        ("undecided", "upload_too_old", False),
    ]


def test_what_contradicts_is_an_alarm_of_its_counter(house: House, hospital: Json) -> None:
    page = house.page(hospital)
    lost, forged = item(house, house.code()), item(house, house.code()[:-8] + "AAAAAAAA", outcome="valid", reason="ok")
    refused = item(house, "no code", outcome="invalid", reason="unreadable_code")
    house.statuses.value = EcardStatus.SUSPENDED
    try:
        answers = hand_in(page, lost, forged, refused)
    finally:
        house.statuses.value = EcardStatus.VALID
    assert told(answers[0]) == ("invalid", "suspended", True)
    assert (answers[1]["outcome_now"], answers[1]["alarm"]) == ("invalid", True)
    assert told(answers[2])[2] is False, "the page had refused it too"
    kinds = [alarm["kind"] for alarm in hospital["manager"].get("/v1/alarms").json()["alarms"]]
    assert kinds.count("upload_contradicts") >= 2


def test_one_code_at_two_pages_without_a_network(house: House, hospital: Json, shop: Json) -> None:
    code = house.code()
    here, there = house.page(hospital), house.page(shop)
    assert told(hand_in(here, item(house, code))[0]) == ("valid", "ok", False)
    assert told(hand_in(here, item(house, code))[0]) == ("check", "shown_again", False)
    assert told(hand_in(there, item(house, code, purpose="payment"))[0]) == ("invalid", "replayed", True)
    online = there.post("/v1/counter/verifications", json=scan_body(code, "payment")).json()
    assert (online["outcome"], online["reason"]) == ("invalid", "replayed"), "used without a network is used"
    kinds = {alarm["kind"] for alarm in hospital["manager"].get("/v1/alarms").json()["alarms"]}
    assert "code_at_two_counters" in kinds


def test_a_scan_whose_answer_was_lost_is_told_as_it_was(house: House, hospital: Json) -> None:
    page, body = house.page(hospital), scan_body(house.code())
    online = page.post("/v1/counter/verifications", json=body).json()
    sent = item(house, body["code"], scan_id=body["scan_id"])
    [answer] = hand_in(page, sent)
    assert answer["verification_id"] == online["verification_id"]
    assert told(answer) == ("valid", "ok", False)


@pytest.mark.parametrize("later", [timedelta(minutes=16), timedelta(days=6)])
def test_what_is_handed_in_again_much_later_is_the_same_scan(house: House, hospital: Json, later: timedelta) -> None:
    """A page that never heard the answer asks again when it has a network: one row, one count, one answer."""
    counter_id = house.counter(hospital)
    page, body = house.page(hospital, counter_id), scan_body(house.code())
    online = page.post("/v1/counter/verifications", json=body).json()
    sent, refused = item(house, house.code()), item(house, "no code", outcome="invalid", reason="unreadable_code")
    first = hand_in(page, sent, refused)
    before = house.clock.now
    try:
        house.clock.now += later
        again = house.page(hospital, counter_id)  # which tidies up as well
        assert hand_in(again, sent, refused) == first
        [told_online] = hand_in(again, item(house, body["code"], before, scan_id=body["scan_id"]))
        assert told_online["verification_id"] == online["verification_id"]
        assert told(told_online) == ("valid", "ok", False)
        rows = house.counters.administration.ledger.rows(counter_id, before - timedelta(days=9), 100)
        assert sorted(row.source for row in rows) == [Source.ONLINE, Source.UPLOAD, Source.UPLOAD]
    finally:
        house.clock.now = before


def test_a_batch_is_bounded_and_one_bad_item_spoils_no_other(house: House, hospital: Json) -> None:
    page = house.page(hospital)
    many = [item(house, "x" * 4000) for _ in range(100)]
    assert len(hand_in(page, *many)) == 100
    assert page.post(UPLOADS, json={"items": [*many, item(house, "x")]}).status_code == 422
    assert page.post(UPLOADS, json={"items": []}).status_code == 422
    foreign = item(house, house.code(), purpose="benefit")
    answers = hand_in(page, foreign, item(house, house.code()))
    assert (answers[0]["verification_id"], answers[0]["reason_now"]) == ("", "purpose_unknown")
    assert told(answers[1]) == ("valid", "ok", False)
