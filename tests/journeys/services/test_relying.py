"""On the strength of a card: each line of the catalogue that a relying service serves, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from ecard_card.status import CardStatus
from ecard_issuer.register import tables
from ecard_issuer.relying.catalogue import Entry, catalogue
from ecard_issuer.relying.claims import ACCOUNT_CLAIMS, Claim, mask_name, mask_tail
from ecard_verifier.callers import Role
from tests.journeys.services.relying_town import Person, Town, open_town

#: The lines on which nobody is paid and nothing is confirmed: those have journeys of their own.
LINES = [entry for entry in catalogue().lines if not ACCOUNT_CLAIMS & set(entry.claims) and entry.line != 65]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with open_town(tmp_path_factory.mktemp("town")) as opened:
        yield opened


@pytest.fixture(scope="module")
def person(town: Town) -> Person:
    return town.person()


def register(town: Town, entry: Entry) -> str:
    """A service of just that line, with what the catalogue suggests."""
    service_id = entry.business.replace("_", "-")
    town.relying(
        service_id,
        names={"zh": entry.zh, "en": entry.en},
        lines=[entry.line],
        claims=[claim.value for claim in entry.claims],
        proof=entry.proof.label,
        level=entry.level,
        business_types=list(entry.business_types),
    )
    return service_id


def ask(town: Town, service_id: str, entry: Entry, person: Person, status: int = 200, **said: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {"line": entry.line, "business_type": entry.business_types[0], "code": town.code(person)}
    return town.check(service_id, status, **(asked | said))


@pytest.mark.parametrize("entry", LINES, ids=lambda entry: f"line-{entry.line}")
def test_a_registered_service_gets_its_claims_and_another_one_nothing(town: Town, person: Person, entry: Entry) -> None:
    service_id = register(town, entry)
    claims = [claim.value for claim in entry.claims]
    permission = ask(town, service_id, entry, person, claims=claims)
    assert set(permission["claims"]) == set(claims)
    assert (permission["status"], permission["way"], permission["missing"]) == ("valid", "code", {})
    if "name" in claims:
        assert permission["claims"]["name"] == person.name
    if "name_masked" in claims:
        assert permission["claims"]["name_masked"] == mask_name(person.name)
    if "personal_administrative_number_masked" in claims:
        assert permission["claims"]["personal_administrative_number_masked"] == mask_tail(person.id_number)

    foreign = next(claim.value for claim in Claim if claim not in entry.claims)
    refused = ask(town, service_id, entry, person, 422, claims=[foreign])
    assert refused["code"] == "claim_not_permitted"
    other = next(line for line in LINES if line.line != entry.line)
    assert ask(town, service_id, other, person, 422)["code"] == "line_not_served"
    foreign_service = register(town, other)
    stolen = town.call(
        "POST",
        f"/v1/relying/{service_id}/checks",
        {"request_id": "x", "line": entry.line, "business_type": entry.business_types[0], "code": town.code(person)},
        role=Role.RELYING,
        name=foreign_service,
        status=404,
    )
    assert stolen["code"] == "relying_service_unknown"


@pytest.mark.parametrize("category", ["social_insurance", "employment", "personnel", "labour"])
def test_a_group_of_services_is_applied_for_online(town: Town, person: Person, category: str) -> None:
    """Lines 67 to 70: one portal for every service of a group."""
    entries = [entry for entry in catalogue().lines if entry.category == category]
    town.relying(
        f"portal-{category.replace('_', '-')}",
        lines=[entry.line for entry in entries],
        claims=["name", "personal_administrative_number"],
        business_types=["01", "03"],
    )
    for entry in entries:
        kind = "01" if entry.business_types == ("01",) else "03"
        permission = ask(
            town,
            f"portal-{category.replace('_', '-')}",
            entry,
            person,
            business_type=kind,
            claims=["name", "personal_administrative_number"],
        )
        assert permission["claims"] == {"name": person.name, "personal_administrative_number": person.id_number}
    (group,) = (item for item in catalogue().categories if item.category == category)
    assert group.line in (67, 68, 69, 70)


def test_the_catalogue_is_public_and_in_both_languages(town: Town) -> None:
    answer = town.client.get("/v1/catalogue").json()
    assert {item["line"] for item in answer["lines"]} == {64, 65, *range(71, 101)}
    assert all(item["names"]["zh"] and item["names"]["en"] for item in answer["lines"])


def test_two_services_know_a_person_by_references_that_say_nothing_to_each_other(town: Town, person: Person) -> None:
    for service_id in ("pair-one", "pair-two"):
        town.relying(service_id)
    one, two = (town.check(service_id, code=town.code(person)) for service_id in ("pair-one", "pair-two"))
    again = town.check("pair-one", code=town.code(person))
    assert one["subject"] == again["subject"] != two["subject"]


def test_a_code_is_good_for_one_request_which_may_be_repeated(town: Town, person: Person) -> None:
    town.relying("once", claims=["name"])
    code = town.code(person)
    first = town.check("once", code=code, request_id="r-1", claims=["name"])
    assert town.check("once", code=code, request_id="r-1", claims=["name"]) == first
    assert town.check("once", 422, code=code, request_id="r-2", claims=["name"])["code"] == "replayed"
    assert town.check("once", 422, code=code, request_id="r-1")["code"] == "replayed"  # not the same request
    assert town.check("once", 409, code=town.code(person), request_id="r-1")["code"] == "relying_request_differs"


def test_of_many_requests_with_one_code_one_is_answered(town: Town, person: Person) -> None:
    town.relying("racing")
    code, headers = town.code(person), town.headers(Role.RELYING, "racing")

    def ask_once(number: int) -> int:
        body = {"request_id": f"r-{number}", "line": 82, "business_type": "03", "code": code}
        return town.client.post("/v1/relying/racing/checks", json=body, headers=headers).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(ask_once, range(8))) == [200] + [422] * 7


def test_a_card_on_the_desk_is_proven_to_one_service_once(town: Town) -> None:
    town.relying("desk-one", proof="signature", claims=["card_number_masked"])
    town.relying("desk-two")
    holder = town.person(card_only=True)
    as_service: dict[str, Any] = {"role": Role.RELYING, "name": "desk-one"}
    opened = town.call("POST", "/v1/relying/desk-one/readings", status=201, **as_service)
    reading_id = opened["enrolment_id"]
    unproven = town.check("desk-one", 422, reading_id=reading_id)
    assert unproven["code"] == "enrolment_not_proven"
    evidence = town.service.evidence(holder.serial, bytes.fromhex(opened["challenge"]))
    path = f"/v1/relying/desk-one/readings/{reading_id}/evidence"
    assert town.call("POST", path, evidence, **as_service)["chip_assurance"] == "signature"
    assert town.check("desk-two", 404, reading_id=reading_id)["code"] == "enrolment_unknown"
    permission = town.check("desk-one", reading_id=reading_id, claims=["card_number_masked"])
    assert (permission["way"], permission["chip_assurance"]) == ("chip", "signature")
    assert permission["claims"]["card_number_masked"].startswith("*****")
    assert town.check("desk-one", 422, reading_id=reading_id)["code"] == "replayed"
    town.service.clock.advance(31 * 60)
    assert town.check("desk-one", 422, reading_id=reading_id, request_id="late")["code"] == "enrolment_expired"


@pytest.mark.parametrize(("change", "code"), [("report_loss", "suspended"), ("lock", "suspended"), ("cancel", "ended")])
def test_a_card_that_may_not_be_used_opens_nothing(town: Town, change: str, code: str) -> None:
    town.relying("strict", claims=["name"])
    holder = town.person()
    town.change(holder, change)
    refused = town.check("strict", 422, code=town.code(holder), claims=["name"], language="zh")
    assert refused["code"] == code
    assert any("\u4e00" <= char <= "\u9fff" for char in refused["title"])
    (access,) = town.record_of(holder, "accesses")
    assert (access["outcome"], access["reason"], access["claims"]) == ("refused", code, ["name"])


def test_every_access_stands_on_the_persons_own_record(town: Town) -> None:
    town.relying("recorded", names={"zh": "失业登记处", "en": "Unemployment office"}, claims=["name"])
    holder = town.person()
    town.check("recorded", code=town.code(holder), claims=["name"])
    town.service.clock.advance(1)
    town.check("recorded", 422, code=town.code(holder), claims=["birthdate"])
    told = town.record_of(holder, "accesses")
    assert [(item["outcome"], item["reason"]) for item in told] == [
        ("permitted", "ok"),
        ("refused", "claim_not_permitted"),
    ]
    assert told[0]["names"] == {"zh": "失业登记处", "en": "Unemployment office"}
    assert told[0]["business"]["zh"] == "失业登记"
    store = town.service.issuer.relying.store
    now = town.service.clock()
    store.purge(now, 100_000)  # older ones of this town, and the first of these
    assert [item["outcome"] for item in town.record_of(holder, "accesses")] == ["refused"]
    assert store.purge(now, 100) == 0
    assert store.purge(now + timedelta(seconds=1), 100) == 1
    assert town.record_of(holder, "accesses") == []


def test_what_a_service_was_not_registered_for_is_refused(town: Town, person: Person) -> None:
    town.relying("narrow", region="410000", business_types=["01"])
    assert town.check("narrow", 422, code=town.code(person))["code"] == "business_type_not_permitted"
    here: dict[str, Any] = {"business_type": "01", "code": town.code(person)}
    assert town.check("narrow", 422, **here)["code"] == "service_region_differs"
    town.relying("for-payment", level=2)
    assert town.check("for-payment", 422, code=town.code(person))["code"] == "level_too_low"
    town.relying("with-pin", pin=True)
    assert town.check("with-pin", 422, code=town.code(person))["code"] == "pin_needed"
    assert town.check("with-pin", 422, code=town.code(person), pin="654321")["code"] == "pin_wrong"
    town.relying("by-mandate")
    mandate = {"ground": "mandate", "mandate_id": "m-1"}
    assert town.check("by-mandate", 422, code=town.code(person), acting=mandate)["code"] == "mandate_unknown"


def test_a_service_has_a_beginning_and_an_end(town: Town, person: Person) -> None:
    town.relying("early", starts_at="2030-01-01T00:00:00Z")
    assert town.check("early", 422, code=town.code(person))["code"] == "relying_service_not_yet"
    town.relying("short")
    town.check("short", code=town.code(person))
    ended = town.call("POST", "/v1/relying/short/end")
    assert town.call("POST", "/v1/relying/short/end") == ended
    assert town.check("short", 422, code=town.code(person))["code"] == "relying_service_ended"
    record = town.call("GET", "/v1/relying/short/record")["changes"]
    assert [(item["action"], item["changed_by"]) for item in record] == [("added", "office"), ("ended", "office")]


def test_a_code_for_somebody_else_or_too_old_is_refused(town: Town, person: Person) -> None:
    town.relying("here")
    assert town.check("here", 422, code=town.code(person, "elsewhere"))["code"] == "wrong_audience"
    assert town.check("here", code=town.code(person, "here"))["status"] == "valid"
    code = town.code(person)
    town.service.clock.advance(600)
    assert town.check("here", 422, code=code)["code"] == "code_expired"
    assert town.check("here", 422, code="nonsense")["code"] == "unreadable_code"
    assert town.check("here", 400, code=town.code(person), reading_id="ab")["code"] == "bad_relying_request"
    assert town.check("here", 400)["code"] == "bad_relying_request"


def test_not_even_an_operator_asks_in_the_name_of_a_service(town: Town, person: Person) -> None:
    town.relying("owned")
    body = {"request_id": "r", "line": 82, "business_type": "03", "code": town.code(person)}
    assert town.call("POST", "/v1/relying/owned/checks", body, status=404)["code"] == "relying_service_unknown"
    own = town.call("GET", "/v1/relying/owned", role=Role.RELYING, name="owned")
    assert own == town.call("GET", "/v1/relying/owned")
    listed = town.call("GET", "/v1/relying")["services"]
    assert own in listed


def test_registering_takes_a_second_operator(tmp_path_factory: pytest.TempPathFactory) -> None:
    with open_town(tmp_path_factory.mktemp("eyes"), approvals_needed=1) as town:
        town.headers(Role.OPERATOR, "ben")
        body = {
            "names": {"zh": "失业登记", "en": "Unemployment registration"},
            "owner": "jobs",
            "region": "410000",
            "lines": [82],
            "claims": ["name"],
            "proof": "read",
            "business_types": ["03"],
            "starts_at": "2026-01-01T00:00:00Z",
        }
        waiting = town.call("PUT", "/v1/relying/jobs", body, status=202)["approval"]
        assert waiting["facts"]["after"]["claims"] == ["name"]
        town.call("POST", f"/v1/approvals/{waiting['id']}/approve", {}, name="ben")
        assert town.call("PUT", "/v1/relying/jobs", body | {"claims": []}, status=202)  # not what was agreed to
        assert town.call("PUT", "/v1/relying/jobs", body)["claims"] == ["name"]
        assert town.call("PUT", "/v1/relying/jobs", body)["claims"] == ["name"]  # the same again needs nobody
        wider = body | {"claims": ["name", "personal_administrative_number"]}
        assert town.call("PUT", "/v1/relying/jobs", wider, status=202)
        assert town.call("GET", "/v1/relying/jobs")["claims"] == ["name"]


def test_a_service_that_makes_no_sense_is_refused(town: Town) -> None:
    for said, code in (
        ({"lines": [1]}, "catalogue_line_unknown"),
        ({"lines": [82, 82]}, "bad_relying_service"),
        ({"names": {"zh": " 前后有空格 ", "en": "x"}}, "bad_relying_service"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, "bad_relying_service"),
    ):
        body = {
            "names": {"zh": "测试", "en": "test"},
            "owner": "odd",
            "region": "000000",
            "lines": [82],
            "claims": [],
            "proof": "read",
            "business_types": ["03"],
            "starts_at": "2026-01-01T00:00:00Z",
        }
        assert town.call("PUT", "/v1/relying/odd", body | said, status=400)["code"] == code


def test_what_a_stolen_key_signed_opens_nothing_even_before_a_list_says_so(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_town(tmp_path_factory.mktemp("stolen")) as town:
        town.relying("jobs")
        person = town.person()
        assert town.check("jobs", code=town.code(person))["status"] == "valid"
        keys = town.call("GET", "/v1/keys")["keys"]
        (kid,) = [key["kid"] for key in keys if key["purpose"] == "credential" and key["state"] == "active"]
        monkeypatch.setattr(town.service.issuer.keys, "publish", lambda now: False)  # the roots are elsewhere
        town.call("POST", f"/v1/keys/{kid}/compromise", {"cut_off": None})
        assert town.check("jobs", 422, code=town.code(person))["code"] == "key_compromised"


def test_the_cards_own_row_is_asked_too(town: Town) -> None:
    """A list that is behind its card, by whatever fault, opens nothing."""
    town.relying("two-looks")
    holder = town.person()
    with town.service.issuer.engine.begin() as connection:
        lost = update(tables.card).where(tables.card.c.card_ref == holder.card_ref).values(status=CardStatus.LOST)
        connection.execute(lost)
    assert town.check("two-looks", 422, code=town.code(holder))["code"] == "suspended"
