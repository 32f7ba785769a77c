"""Brochure line 54: the e-card as credential and settlement instrument. And cards in two places."""

from __future__ import annotations

from datetime import date

from ecard_card.status import CardChange
from ecard_verifier.callers import Role
from tests.issuer.holding import card_of, change, ecard_of, number_of
from tests.issuer.service import Service
from tests.journeys.services.counters import Counters

DESK, HOSPITAL, APP = Role.DESK, Role.INSTITUTION, Role.CHANNEL


def test_line_54_a_settlement_instrument_once_payment_is_opened(service: Service, counters: Counters) -> None:
    held = ecard_of(service)
    ecard = {"ecard_id": held.ecard_id}
    shown = counters.post(HOSPITAL, "/v1/levels/show", ecard)
    assert (shown["level"], shown["business_types"]) == (1, ["01", "03"])
    wish = ecard | {"password": "739184", "consent": "payment-2026-1"}
    assert counters.refused(APP, "/v1/levels/open", wish, "ecard_password_not_set") == 422
    counters.post(APP, "/v1/ecard-passwords/set", ecard | {"password": "739184"}, 201)
    counters.refused(APP, "/v1/levels/open", ecard | {"password": "739184"}, "invalid_request")  # without a consent
    opened = counters.post(APP, "/v1/levels/open", wish)
    assert (opened["level"], opened["consent"]) == (2, "payment-2026-1")
    assert opened["business_types"] == ["01", "02", "03", "04"]
    assert counters.post(DESK, "/v1/levels/open", wish | {"consent": "other"}) == opened  # asked again: as it was
    change(service, held, CardChange.REPORT_LOSS)
    assert not counters.post(HOSPITAL, "/v1/levels/show", ecard)["usable"]
    closed = counters.post(APP, "/v1/levels/close", ecard | {"closing": "release"})
    assert (closed["level"], closed["closing"]) == (1, "release")
    assert counters.post(APP, "/v1/levels/close", ecard) == closed
    counters.refused(HOSPITAL, "/v1/levels/open", wish, "not_allowed")
    change(service, held, CardChange.CANCEL)
    assert counters.refused(APP, "/v1/levels/show", ecard, "ecard_ended") == 422


def test_a_clerk_sees_the_cards_of_two_places_and_which_one_a_counter_meets(
    service: Service, counters: Counters
) -> None:
    person = number_of(date(1985, 5, 6))
    here, there = card_of(service, region="410105", person=person), card_of(service, region="330100", person=person)
    wish = {"id_number": person.text, "region": "410300"}
    answer = counters.post(DESK, "/v1/holders/cards", wish)
    assert [card["region"] for card in answer["cards"]] == ["330100", "410105"]
    assert answer["met"] == here.card_ref
    change(service, here, CardChange.REPORT_LOSS)
    answer = counters.post(Role.HOTLINE, "/v1/holders/cards", wish)
    assert answer["met"] == there.card_ref
    assert [card["ecard_status"] for card in answer["cards"]] == ["valid", "suspended"]
    assert person.text not in str(answer)
    unknown = {"id_number": number_of(date(1985, 5, 7)).text, "region": "410300"}
    assert counters.post(DESK, "/v1/holders/cards", unknown) == {"cards": [], "met": None}
    assert counters.post(DESK, "/v1/holders/cards", {"id_number": person.text})["met"] is None
    counters.refused(DESK, "/v1/holders/cards", wish | {"id_number": person.text[:17] + "Y"}, "bad_id_number")
    counters.refused(DESK, "/v1/holders/cards", wish | {"region": "河南"}, "invalid_request")
    counters.refused(HOSPITAL, "/v1/holders/cards", wish, "not_allowed")
