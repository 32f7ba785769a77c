"""Brochure lines 29 to 34: the social-security PIN, at outlets, hospitals and pharmacies."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import select

from ecard_issuer.pins.hashing import SecretHash
from ecard_issuer.register import tables
from ecard_issuer.register.engine import reading
from ecard_issuer.web import holder_models as models
from ecard_issuer.web import secret_models
from ecard_verifier.callers import Role
from tests.issuer.holding import Held, card_of, ecard_of
from tests.issuer.service import Service
from tests.journeys.services.counters import Counters

DESK, HOSPITAL, APP, HOTLINE = Role.DESK, Role.INSTITUTION, Role.CHANNEL, Role.HOTLINE
QUERY, PAYMENT = "01", "02"


def typed(held: Held, pin: str, business: str = QUERY) -> dict[str, Any]:
    return {"card_ref": held.card_ref, "pin": pin, "business_type": business}


def new(held: Held, old: str, pin: str) -> dict[str, Any]:
    return {"card_ref": held.card_ref, "old_pin": old, "new_pin": pin}


def test_line_29_card_pin_and_bank_pin_are_independent(service: Service, counters: Counters) -> None:
    """No route takes a bank PIN, and what is done to the card's PIN changes nothing else."""
    held = ecard_of(service)
    before = service.issuer.register.get_card(held.card_ref)
    counters.post(DESK, "/v1/pins/change", new(held, "123456", "739184"))
    assert service.issuer.register.get_card(held.card_ref) == before
    assert counters.refused(DESK, "/v1/pins/bank", {"pin": "739184"}, "invalid_request") == 422
    shown = counters.post(APP, "/v1/ecard-passwords/show", {"ecard_id": held.ecard_id})
    assert (shown["is_set"], shown["locked"]) == (False, False)


def test_line_30_the_initial_pin_is_123456_and_permits_queries_only(service: Service, counters: Counters) -> None:
    held = card_of(service)
    shown = counters.post(HOSPITAL, "/v1/pins/verify", typed(held, "123456"))
    assert (shown["initial"], shown["may_query"], shown["may_transact"]) == (True, True, False)
    assert counters.refused(HOSPITAL, "/v1/pins/verify", typed(held, "123456", PAYMENT), "pin_initial") == 422
    by_chip = {"identification_code": held.code, "pin": "１２３４５６", "business_type": QUERY}
    assert counters.post(HOSPITAL, "/v1/pins/verify", by_chip)["card_ref"] == held.card_ref


def test_line_31_the_pin_is_changed_at_outlets_and_reset_and_unlocked_there(
    service: Service, counters: Counters
) -> None:
    held = card_of(service)
    counters.post(DESK, "/v1/pins/change", new(held, "123456", "739184"))
    assert counters.post(DESK, "/v1/pins/verify", typed(held, "739184", PAYMENT))["may_transact"]
    document = {"card_ref": held.card_ref, "document_number": held.id_number.text}
    for role in (HOSPITAL, APP, HOTLINE):
        counters.refused(role, "/v1/pins/reset", document, "not_allowed")
        counters.refused(role, "/v1/pins/unlock", document, "not_allowed")
    assert counters.refused(DESK, "/v1/pins/unlock", document, "pin_not_locked") == 422
    counters.refused(HOSPITAL, "/v1/pins/verify", typed(held, "864209"), "pin_wrong")  # in two languages: twice
    counters.refused(HOSPITAL, "/v1/pins/verify", typed(held, "864209"), "pin_locked")
    assert counters.post(DESK, "/v1/pins/show", {"card_ref": held.card_ref})["locked"]
    stranger = document | {"document_number": card_of(service).id_number.text}
    assert counters.refused(DESK, "/v1/pins/unlock", stranger, "document_of_other_person") == 403
    first = counters.post(DESK, "/v1/pins/unlock", document | {"event_id": "u-1"})
    assert counters.post(DESK, "/v1/pins/unlock", document | {"event_id": "u-1"}) == first
    assert counters.post(DESK, "/v1/pins/verify", typed(held, "739184", PAYMENT))["unlocks_left"] == 9
    counters.post(DESK, "/v1/pins/reset", document)
    assert counters.post(DESK, "/v1/pins/verify", typed(held, "123456"))["initial"]
    counters.post(DESK, "/v1/pins/reset", document | {"new_pin": "402857"})
    assert not counters.post(DESK, "/v1/pins/verify", typed(held, "402857", PAYMENT))["initial"]


def test_line_32_the_pin_is_changed_at_designated_hospitals_and_pharmacies(
    service: Service, counters: Counters
) -> None:
    held = card_of(service)
    body = new(held, "123456", "739184") | {"event_id": "c-1"}
    first = counters.post(HOSPITAL, "/v1/pins/change", body)
    assert counters.post(HOSPITAL, "/v1/pins/change", body) == first  # the answer was lost: asked again
    assert counters.post(HOSPITAL, "/v1/pins/verify", typed(held, "739184", PAYMENT))["tries_left"] == 3
    for role in (APP, HOTLINE, Role.COUNTER, Role.PARTNER):
        counters.refused(role, "/v1/pins/change", new(held, "739184", "402857"), "not_allowed")


@pytest.mark.parametrize(
    ("pin", "code"),
    [
        ("123456", "secret_is_initial"),
        ("１２３４５６", "secret_is_initial"),
        ("654321", "secret_in_sequence"),
        ("888888", "secret_repeats"),
        ("199001", "secret_from_id_number"),
        ("73918", "secret_not_six_digits"),
        ("73918X", "secret_not_six_digits"),
        ("七三九一八四", "secret_not_six_digits"),
    ],
)
def test_line_33_the_new_pin_is_not_the_initial_one_nor_a_weak_one(
    service: Service, counters: Counters, pin: str, code: str
) -> None:
    counters.refused(DESK, "/v1/pins/change", new(card_of(service), "123456", pin), code)


def test_line_34_the_bank_pin_is_the_partner_banks_business(counters: Counters) -> None:
    for role in (DESK, HOSPITAL, APP, HOTLINE):
        answer = counters.post(role, "/v1/pins/bank", {})
        assert (answer["code"], answer["go_to"]) == ("bank_pin_at_bank", "partner_bank")
        assert "bank" in answer["text"]["en"]
        assert "合作银行" in answer["text"]["zh"]


def test_the_ecard_password_holds_in_every_channel(service: Service, counters: Counters) -> None:
    held = ecard_of(service)
    ecard = {"ecard_id": held.ecard_id}
    path = "/v1/ecard-passwords"
    counters.refused(APP, f"{path}/verify", ecard | {"password": "123456"}, "ecard_password_not_set")
    counters.refused(APP, f"{path}/set", ecard | {"password": "739184", "card_pin": "739184"}, "secrets_equal")
    body = ecard | {"password": "739184", "event_id": "s-1"}
    assert counters.post(APP, f"{path}/set", body, 201) == counters.post(APP, f"{path}/set", body, 201)
    assert counters.refused(DESK, f"{path}/set", ecard | {"password": "402857"}, "ecard_password_exists") == 409
    assert counters.post(HOSPITAL, f"{path}/verify", ecard | {"password": "739184"})["tries_left"] == 3
    change = ecard | {"old_password": "739184", "new_password": "402857"}
    counters.post(APP, f"{path}/change", change)
    counters.refused(HOSPITAL, f"{path}/verify", ecard | {"password": "739184"}, "ecard_password_wrong")
    counters.refused(HOSPITAL, f"{path}/verify", ecard | {"password": "739184"}, "ecard_password_locked")
    reset = ecard | {"document_number": held.id_number.text, "new_password": "950371"}
    counters.refused(HOSPITAL, f"{path}/reset", reset, "not_allowed")
    counters.post(DESK, f"{path}/reset", reset)
    assert counters.post(APP, f"{path}/verify", ecard | {"password": "950371"})["is_set"]
    counters.refused(APP, f"{path}/verify", {"ecard_id": "ab" * 16, "password": "950371"}, "ecard_unknown")


def test_bad_input_is_refused_and_costs_nothing(service: Service, counters: Counters) -> None:
    held = card_of(service)
    path, good = "/v1/pins/verify", typed(held, "739184")
    for wrong in (
        good | {"pin": 739184},
        good | {"pin": "7" * 10_000},
        good | {"business_type": "05"},
        good | {"surprise": "739184"},
        {"pin": "739184", "business_type": QUERY, "card_ref": "../" + held.card_ref},
    ):
        counters.refused(HOSPITAL, path, wrong, "invalid_request")
    counters.refused(HOSPITAL, path, {"pin": "739184", "business_type": QUERY}, "bad_search")
    counters.refused(HOSPITAL, path, good | {"identification_code": held.code}, "bad_search")
    counters.refused(HOSPITAL, path, typed(held, "7391\u0000" + "4"), "secret_not_six_digits")
    acting = {"acting": {"ground": "mandate"}}
    counters.refused(DESK, "/v1/pins/change", new(held, "123456", "739184") | acting, "bad_acting")
    unknown = {"acting": {"ground": "mandate", "mandate_id": "m-1"}}
    counters.refused(DESK, "/v1/pins/change", new(held, "123456", "739184") | unknown, "mandate_unknown")
    assert counters.post(DESK, "/v1/pins/show", {"card_ref": held.card_ref})["tries_left"] == 3


CANARIES = ("530917", "816402", "297531", "640285")


def test_no_digit_that_was_typed_is_logged_answered_or_stored(
    service: Service, counters: Counters, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    held = ecard_of(service)
    right, wrong, password, odd = CANARIES
    ecard = {"ecard_id": held.ecard_id}
    calls = [
        ("/v1/pins/change", new(held, "123456", right)),
        ("/v1/pins/verify", typed(held, wrong)),
        ("/v1/pins/verify", typed(held, right, PAYMENT)),
        ("/v1/pins/verify", typed(held, odd + "x")),
        ("/v1/pins/verify", typed(held, odd) | {"business_type": odd}),
        ("/v1/pins/verify", typed(held, odd) | {odd: odd}),
        ("/v1/pins/verify", {"pin": [odd]}),
        ("/v1/ecard-passwords/set", ecard | {"password": password, "card_pin": right}),
        ("/v1/ecard-passwords/verify", ecard | {"password": wrong}),
        ("/v1/ecard-passwords/change", ecard | {"old_password": password, "new_password": password}),
    ]
    said = []
    for path, body in calls:
        for role in (Role.OPERATOR, DESK):
            said.append(counters.client(role).post(path, json=body).text)
            said.append(counters.client(role).post(f"{path}?pin={len(path)}", content=json.dumps(body)[:-1]).text)
    with reading(service.issuer.engine) as connection:
        kept = [row.hash for row in connection.execute(select(tables.secret))]
        kept += [str(tuple(row)[3:]) for row in connection.execute(select(tables.secret_event))]
    assert len(kept) > 3
    for canary in CANARIES:
        assert canary not in caplog.text
        assert not [answer for answer in said if canary in answer]
        assert not [row for row in kept if canary in (row or "")]


def test_the_service_goes_on_while_secrets_are_compared(
    service: Service, counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, other = card_of(service), card_of(service)
    entered, go_on = Event(), Event()

    def slow(*_: object) -> bool:
        entered.set()
        return go_on.wait(20)

    monkeypatch.setattr(SecretHash, "holds", slow)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(counters.post, HOSPITAL, "/v1/pins/verify", typed(held, "123456"))
        assert entered.wait(20)
        assert counters.client(DESK).get("/health/live").status_code == 200
        counters.post(Role.OPERATOR, f"/v1/cards/{other.card_ref}/changes", {"change": "lock"})
        go_on.set()
        assert answer.result(20)["initial"]


def test_a_body_shows_nothing_in_its_repr(service: Service) -> None:
    held = card_of(service)
    number, digits = held.id_number.text, CANARIES[0]
    consent = {"text": "c", "ecard_password": digits, "document_number": number}
    said: list[tuple[type[BaseModel], dict[str, Any]]] = [
        (secret_models.VerifyPin, typed(held, digits)),
        (secret_models.ResetPin, {"card_ref": held.card_ref, "document_number": number, "new_pin": digits}),
        (secret_models.SetPassword, {"ecard_id": "ab", "password": digits, "card_pin": digits}),
        (models.OpenLevel, {"ecard_id": "ab", "password": digits, "consent": "c"}),
        (models.FindHolderCards, {"id_number": number}),
        (models.EndLink, {"id_number": number}),
        (models.Shown, {"viewer": number, "showing_id": "s"}),
        (models.AddRelative, {"viewer": number, "relative": number, "relation": "child", "consent": consent}),
    ]
    bodies: list[object] = [kind.model_validate(body) for kind, body in said]
    bodies.append(models.ConsentBody.model_validate(consent).to_consent())
    for body in bodies:
        assert digits not in f"{body!r} {body}"
        assert number not in f"{body!r} {body}"
