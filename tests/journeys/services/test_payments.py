"""Money that goes to the card's bank account, or is paid from it: the account is its bank's, whatever becomes of the
card."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from ecard_issuer.chip.simulator import synthetic
from ecard_issuer.relying.catalogue import Entry, catalogue
from ecard_issuer.relying.claims import ACCOUNT_CLAIMS
from ecard_verifier.callers import Role
from tests.journeys.services.relying_town import Person, Town, open_town

LINES = [entry for entry in catalogue().lines if ACCOUNT_CLAIMS & set(entry.claims)]
_EVENTS = count(1)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with open_town(tmp_path_factory.mktemp("town")) as opened:
        names = {"zh": "工商银行", "en": "ICBC"}
        opened.call("PUT", "/v1/banks/ICBC", {"names": names, "caller": "icbc"})
        opened.call("PUT", "/v1/banks/CCB", {"names": {"zh": "建设银行", "en": "CCB"}, "caller": "ccb"})
        opened.service.issuer.relying.desk._level_of = lambda ecard_id, now: 2  # opened for payment
        yield opened


def number_of(person: Person) -> str:
    return f"62220000{person.serial:08d}"


def load(town: Town, person: Person, status: int = 201, caller: str = "icbc", **said: Any) -> dict[str, Any]:
    data = synthetic(person.serial)
    body = {
        "event_id": f"e-{next(_EVENTS)}",
        "bank_code": "ICBC",
        "account_number": number_of(person),
        "card_number": data.card_number,
        "id_number": data.id_number,
    }
    return town.call("POST", "/v1/bank-accounts", body | said, role=Role.PARTNER, name=caller, status=status)


def change(
    town: Town, person: Person, state: str, status: int = 200, caller: str = "icbc", **said: Any
) -> dict[str, Any]:
    body = {
        "event_id": f"e-{next(_EVENTS)}",
        "bank_code": "ICBC",
        "account_number": number_of(person),
        "state": state,
    }
    return town.call("POST", "/v1/bank-accounts/changes", body | said, role=Role.PARTNER, name=caller, status=status)


def activate(town: Town, person: Person, status: int = 200, **said: Any) -> dict[str, Any]:
    path = f"/v1/cards/{person.card_ref}/bank-account/activation"
    body = {"event_id": f"e-{next(_EVENTS)}"} | said
    return town.call("POST", path, body, role=Role.DESK, name="desk", status=status)


def state_of(town: Town, person: Person) -> str:
    return str(town.call("GET", f"/v1/cards/{person.card_ref}/bank-account", role=Role.DESK, name="desk")["state"])


@pytest.fixture(scope="module")
def payee(town: Town) -> Person:
    """Somebody with an active account."""
    person = town.person()
    assert load(town, person)["state"] == "not_activated"
    assert activate(town, person)["state"] == "active"
    return person


@pytest.mark.parametrize("entry", LINES, ids=lambda entry: f"line-{entry.line}")
def test_a_paying_service_learns_the_account_and_another_one_does_not(town: Town, payee: Person, entry: Entry) -> None:
    service_id = entry.business.replace("_", "-")
    (claim,) = {claim.value for claim in ACCOUNT_CLAIMS & set(entry.claims)}
    town.relying(
        service_id,
        lines=[entry.line],
        claims=[claim.value for claim in entry.claims],
        proof=entry.proof.label,
        level=entry.level,
        business_types=list(entry.business_types),
        standing_days=31,
    )
    asked: dict[str, Any] = {"line": entry.line, "business_type": "02"}
    permission = town.check(service_id, code=town.code(payee), claims=[claim], **asked)
    told = permission["claims"][claim]
    assert told["bank_code"] == "ICBC"
    assert (told["number"] == number_of(payee)) is (claim == "bank_account")
    if claim == "bank_account_token":
        assert told["number"].startswith("****")
        assert len(told["token"]) == 32

    later = asked | {"subject": permission["subject"], "claim": claim}
    as_service: dict[str, Any] = {"role": Role.RELYING, "name": service_id}
    path = f"/v1/relying/{service_id}/accounts"
    again = town.call("POST", path, later | {"request_id": "month-1"}, **as_service)
    assert (again["claims"], again["way"]) == (permission["claims"], "standing")
    assert town.call("POST", path, later | {"request_id": "month-1"}, **as_service)["claims"] == again["claims"]
    wrong = "bank_account" if claim == "bank_account_token" else "bank_account_token"
    refused = town.call("POST", path, later | {"request_id": "m-2", "claim": wrong}, status=422, **as_service)
    assert refused["code"] == "claim_not_permitted"

    town.relying("no-payer", lines=[entry.line], claims=["name_masked"], business_types=["02"])
    other = town.check("no-payer", 422, code=town.code(payee), claims=[claim], **asked)
    assert other["code"] == "claim_not_permitted"
    foreign = town.call(
        "POST",
        "/v1/relying/no-payer/accounts",
        later | {"request_id": "m-3"},
        role=Role.RELYING,
        name="no-payer",
        status=404,
    )
    assert foreign["code"] == "relying_subject_unknown"


def test_a_standing_permission_ends_and_every_use_is_on_the_record(town: Town, payee: Person) -> None:
    town.relying("monthly", lines=[79], claims=["bank_account"], business_types=["02"], standing_days=31)
    asked: dict[str, Any] = {"line": 79, "business_type": "02"}
    subject = town.check("monthly", code=town.code(payee), claims=["bank_account"], **asked)["subject"]
    body = asked | {"subject": subject, "claim": "bank_account", "request_id": "later"}
    path = "/v1/relying/monthly/accounts"
    as_service: dict[str, Any] = {"role": Role.RELYING, "name": "monthly"}
    town.wait(days=30)
    town.call("POST", path, body, **as_service)
    told = town.record_of(payee, "accesses")
    assert [item["way"] for item in told if item.get("service") == "monthly" and "way" in item] == ["code", "standing"]
    assert any("standing_permission_until" in item for item in told)
    town.wait(days=2)
    refused = town.call("POST", path, body | {"request_id": "too-late"}, status=404, **as_service)
    assert refused["code"] == "relying_subject_unknown"
    town.service.issuer.relying.upkeep(town.service.clock() + timedelta(hours=1))
    assert not any("standing_permission_until" in item for item in town.record_of(payee, "accesses"))


def test_what_happens_to_the_card_leaves_the_account_alone(town: Town) -> None:
    person = town.person()
    load(town, person)
    activate(town, person)
    town.relying("payer", lines=[100], claims=["bank_account"], business_types=["02"], standing_days=400)
    asked: dict[str, Any] = {"line": 100, "business_type": "02"}
    subject = town.check("payer", code=town.code(person), claims=["bank_account"], **asked)["subject"]
    for happened in ("lock", "unlock", "report_temporary_loss", "report_loss", "cancel"):
        town.change(person, happened)
        assert state_of(town, person) == "active"
        body = asked | {"subject": subject, "claim": "bank_account", "request_id": happened}
        answer = town.call("POST", "/v1/relying/payer/accounts", body, role=Role.RELYING, name="payer")
        assert answer["claims"]["bank_account"]["number"] == number_of(person)
    assert change(town, person, "closed")["state"] == "closed"  # the bank closes it, by its own rules
    assert [item["state"] for item in town.record_of(person, "bank_accounts")[0]["changes"]] == [
        "not_activated",
        "active",
        "closed",
    ]


def test_why_there_is_no_account_to_pay_to(town: Town) -> None:
    town.relying("asks-why", lines=[90], claims=["bank_account"], business_types=["02"])
    asked: dict[str, Any] = {"line": 90, "business_type": "02", "claims": ["bank_account"]}
    person = town.person()

    def reason() -> str:
        answer = town.check("asks-why", code=town.code(person), **asked)
        assert answer["claims"] == {}
        return str(answer["missing"]["bank_account"])

    assert reason() == "bank_account_missing"
    load(town, person)
    assert reason() == "bank_account_not_activated"
    activate(town, person)
    change(town, person, "lost")
    assert reason() == "bank_account_lost"
    change(town, person, "active")
    change(town, person, "closed")
    assert reason() == "bank_account_closed"
    assert change(town, person, "active", 422)["code"] == "account_change_impossible"


def test_only_the_bank_itself_changes_its_accounts(town: Town) -> None:
    person = town.person()
    assert load(town, person, 403, caller="ccb")["code"] == "not_this_bank"
    assert load(town, person, 403, bank_code="ABC")["code"] == "not_this_bank"
    first = load(town, person, event_id="load-1")
    assert load(town, person, event_id="load-1") == first
    assert change(town, person, "lost", 403, caller="ccb")["code"] == "not_this_bank"
    assert change(town, person, "lost", 404, caller="ccb", bank_code="CCB")["code"] == "account_unknown"
    assert load(town, person, 409, account_number="622200009999")["code"] == "account_exists"
    other = town.person()
    assert load(town, other, 409, account_number=number_of(person))["code"] == "account_of_other_card"
    assert load(town, other, 404, card_number=synthetic(person.serial).card_number)["code"] == "card_unknown"


def test_a_late_repetition_of_a_banks_event_undoes_nothing(town: Town) -> None:
    person = town.person()
    load(town, person)
    activate(town, person, event_id="act-1")
    assert change(town, person, "lost", event_id="lost-1")["applied"]
    assert change(town, person, "active", event_id="found-1")["applied"]
    repeated = change(town, person, "lost", event_id="lost-1")
    assert (repeated["applied"], repeated["state"]) == (False, "active")
    assert change(town, person, "closed", 409, event_id="lost-1")["code"] == "account_event_differs"
    assert not activate(town, person, event_id="act-1")["applied"]


def test_an_agent_never_activates_the_account(town: Town) -> None:
    person = town.person()
    load(town, person)
    agent = {"ground": "mandate", "mandate_id": "m-1"}
    refused = activate(town, person, 422, acting=agent)
    assert refused["code"] in ("mandate_unknown", "mandate_out_of_scope")
    assert state_of(town, person) == "not_activated"


def test_a_closed_account_makes_room_and_its_number_stays_its_own(town: Town) -> None:
    person = town.person()
    load(town, person)
    change(town, person, "closed")
    assert load(town, person, account_number="622200007777")["state"] == "not_activated"
    assert change(town, person, "active", 404)["code"] == "account_unknown"  # the old number is no key to the new one
    assert change(town, person, "active", account_number="622200007777")["applied"]
