"""Metrics of counters: what is counted, and that nobody can be told from it."""

from __future__ import annotations

from starlette.testclient import TestClient

from ecard_verifier.web.management import verifier_management_app
from tests.verifier.counters.kit import House, Json, scan_body


def test_verifications_counters_and_alarms_are_counted_without_names(house: House, hospital: Json) -> None:
    page, code = house.page(hospital), house.code()
    for body in (scan_body(code), scan_body(code), scan_body("王小三 410105199003071230", "payment")):
        page.post("/v1/counter/verifications", json=body)
    house.client("old").post("/v1/verifications", json={"code": "x"})
    house.counters.administration.alarms.admission_guessing(house.clock())
    ready = [True]
    watched = TestClient(verifier_management_app((house.counters,), lambda: True, lambda: ready[0]))
    text = watched.get("/metrics").text
    for line in (
        'ecard_verifications_total{outcome="valid",purpose="medical",reason="ok"} 1.0',
        'ecard_verifications_total{outcome="check",purpose="medical",reason="shown_again"} 1.0',
        'ecard_verifications_total{outcome="invalid",purpose="payment",reason="unreadable_code"} 1.0',
        'ecard_verifications_total{outcome="invalid",purpose="none",reason="unreadable_code"} 1.0',
        "ecard_counters_up 1.0",
        "ecard_counters_admitted 1.0",
        'ecard_counter_alarms{kind="admission_guessing"} 1.0',
        'ecard_counter_alarms{kind="many_failures"} 0.0',
    ):
        assert line in text, text
    for told in ("王", "4101", hospital["counter_id"], hospital["group_id"], "hospital"):
        assert told not in text
    assert [watched.get(f"/health/{name}").status_code for name in ("started", "live", "ready")] == [200] * 3
    ready[0] = False
    assert watched.get("/health/ready").status_code == 503
    assert watched.get("/v1/groups").status_code == 404


def test_a_revoked_counter_is_admitted_no_more_and_a_store_that_is_away_is_said(house: House) -> None:
    group = house.group("to revoke")
    house.page(group)
    watched = TestClient(verifier_management_app((house.counters,), lambda: True, lambda: True))
    before = watched.get("/metrics").text
    house.operator.post(f"/v1/counters/{group['counter_id']}/revoke")
    after = watched.get("/metrics").text
    count = [float(text.split("ecard_counters_admitted ")[-1].split("\n")[0]) for text in (before, after)]
    assert count[0] - count[1] == 1
    house.counters.close()
    assert "ecard_counters_up 0.0" in watched.get("/metrics").text
