"""Applying for a card: who may, where, with which papers; from the wish to the card in the hand."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from ecard_card import messages
from ecard_card.card import IdNumber
from ecard_verifier.callers import Role
from tests.issuer.intake.kit import CardSystem, foreign_source
from tests.issuer.people_kit import ADULT, CHILD, application, file, made_card, mandate, number, online, person, photo
from tests.journeys.services.counter_scene import SCAN, Scene, applied, approved, opened_scene, post, refusal


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with opened_scene(tmp_path_factory.mktemp("applying")) as opened:
        yield opened


def test_a_resident_applies_at_an_outlet_and_collects_the_card(scene: Scene) -> None:
    who = scene.person()
    desk, operator = scene.caller(Role.DESK), scene.caller(Role.OPERATOR)
    path = "/v1/applications"
    assert refusal(desk, path, application(who=who, original_seen=False), "zh") == "original_needed"
    identity = applied(desk, application(who=who))
    steps = []
    answer = post(desk, f"{path}/{identity}/review")
    assert refusal(desk, f"{path}/{identity}/approve", {}) == "application_incomplete"
    post(desk, f"{path}/{identity}/documents", file("photo", photo()))
    answer = post(desk, f"{path}/{identity}/approve")
    assert answer["national"] == {"status": "05", "audit": "01", "production": "00"}
    post(desk, f"{path}/{identity}/produce")
    assert refusal(desk, f"{path}/{identity}/ready", {"outlet": "zz-01"}) == "card_not_made"
    made = post(scene.caller(Role.SOURCE), f"{path}/{identity}/made", made_card(scene.service, 1))
    assert operator.get(f"/v1/cards/{made['card_ref']}").json()["status"] == 0  # sealed until it is handed over
    assert post(desk, f"{path}/{identity}/ready", {"outlet": "zz-01"})["outlet"] == "zz-01"
    answer = post(desk, f"{path}/{identity}/collect")
    assert (answer["state"], answer["national"]["status"], answer["source"]) == ("collected", "02", "03")
    card = operator.get(f"/v1/cards/{made['card_ref']}").json()
    assert (card["status"], card["ecard_status"]) == (1, "valid")
    assert post(desk, f"{path}/{identity}/collect") == answer  # asking again is harmless
    found = post(operator, "/v1/cards/find", {"id_number": who["document"]["number"]})["cards"]
    assert [item["card_ref"] for item in found] == [made["card_ref"]]
    opened = post(desk, f"{path}/{identity}/open")
    steps = [step["state"] for step in opened["steps"]]
    assert steps == ["submitted", "reviewing", "approved", "in_production", "in_production", "ready", "collected"]
    assert refusal(desk, path, application("a-2", who=who)) == "card_held_already"


def test_a_non_resident_who_is_entitled_by_law_applies(scene: Scene) -> None:
    desk, path = scene.caller(Role.DESK), "/v1/applications"
    hong_kong = {"document": {"kind": "04", "number": number(region="810000")}, "name": "陳測試"}
    assert refusal(desk, path, application(who=hong_kong)) == "not_eligible"
    assert refusal(desk, path, application(who=hong_kong, residency="entitled"), "zh") == "entitlement_needed"
    body = application(who=hong_kong, residency="entitled", entitlement="employed")
    assert post(desk, path, body, 201)["state"] == "submitted"
    passport = {"document": {"kind": "08", "number": "g1234567", "country": "DEU"}, "name": "ＭÜＬＬＥＲ Anna"}
    entitled = {"residency": "entitled", "entitlement": "employed"}
    assert refusal(desk, path, application("a-2", who=passport, **entitled)) == "birth_date_needed"
    identity = applied(desk, application("a-2", who=passport | {"born": ADULT}, **entitled), "photo")
    details = post(desk, f"{path}/{identity}/open")["details"]
    assert (details["id_number"], details["name"]) == ("DEU0000000G1234567", "MÜLLER Anna")
    approved(desk, identity)


CHANNELS = ["website", "app", "wechat", "alipay"]


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_card_is_applied_for_online(scene: Scene, channel: str) -> None:
    """Page, data, photo, picture of the document: over the website, the app, WeChat, Alipay."""
    who = scene.person()
    mine, desk, path = scene.caller(Role.CHANNEL), scene.caller(Role.DESK), "/v1/applications"
    assert refusal(mine, path, application(who=who)) == "not_allowed"  # a channel saw no original
    identity = applied(mine, online(channel=channel, who=who), "photo", "identity")
    post(desk, f"{path}/{identity}/review")
    assert post(desk, f"{path}/{identity}/open")["missing"] == ["identity_back"]
    assert refusal(desk, f"{path}/{identity}/approve", {}) == "application_incomplete"
    post(mine, f"{path}/{identity}/documents", file("identity_back", SCAN))
    post(desk, f"{path}/{identity}/approve")
    answer = scene.collected(desk, identity)
    assert (answer["channel"], answer["source"], answer["state"]) == (channel, "01", "collected")
    assert mine.get(f"{path}/{identity}").json()["state"] == "collected"
    assert scene.caller(Role.CHANNEL).get(f"{path}/{identity}").status_code == 404  # another channel's is not theirs


def test_a_minor_shows_the_household_register(scene: Scene) -> None:
    mine, desk, path = scene.caller(Role.CHANNEL), scene.caller(Role.DESK), "/v1/applications"
    child, parent = scene.person(CHILD), scene.person()
    assert refusal(mine, path, online(who=child, household_register=True), "zh") == "guardian_needed"
    guardian = post(mine, "/v1/mandates", mandate(child, parent), 201)["mandate_id"]
    acting = {"ground": "guardian", "mandate_id": guardian}
    identity = applied(mine, online(who=child, household_register=True, acting=acting), "photo", "household_register")
    assert post(desk, f"{path}/{identity}/open")["missing"] == []
    approved(desk, identity)
    grown = online("a-2", who=scene.person(), household_register=True)
    assert refusal(mine, path, grown) == "household_register_for_minors"


def test_a_child_under_seven_needs_no_photo(scene: Scene) -> None:
    desk = scene.caller(Role.DESK)
    child, parent = scene.person("2021-01-01"), scene.person()
    guardian = post(desk, "/v1/mandates", mandate(child, parent), 201)["mandate_id"]
    body = application(who=child, household_register=True, acting={"ground": "guardian", "mandate_id": guardian})
    approved(desk, applied(desk, body))


def test_a_refusal_has_a_reason_in_both_languages_and_a_new_application_may_follow(scene: Scene) -> None:
    who = scene.person()
    mine, desk, path = scene.caller(Role.CHANNEL), scene.caller(Role.DESK), "/v1/applications"
    identity = applied(mine, online(who=who), "photo")
    body = {"reason": "application_document_unreadable", "note": "反面看不清"}
    post(desk, f"{path}/{identity}/refuse", body)
    told = mine.get(f"{path}/{identity}").json()
    assert told["refusal"] == {
        "code": "application_document_unreadable",
        "en": messages.text("application_document_unreadable", "en"),
        "zh": messages.text("application_document_unreadable", "zh"),
    }
    assert told["national"] == {"status": "03", "audit": "02", "production": "00"}
    assert refusal(desk, f"{path}/{identity}/approve", {}) == "application_moved"
    assert post(desk, f"{path}/{identity}/open")["steps"][-1]["note"] == "反面看不清"
    again = applied(mine, online("a-2", who=who), "photo", "identity", "identity_back")
    approved(desk, again)
    found = post(desk, f"{path}/find", {"id_number": who["document"]["number"]})["applications"]
    assert [item["state"] for item in found] == ["refused", "approved"]


def test_two_applications_at_once_have_one_winner(scene: Scene) -> None:
    who = scene.person()
    mine, desk, path = scene.caller(Role.CHANNEL), scene.caller(Role.DESK), "/v1/applications"
    first = post(mine, path, online(who=who), 201)
    assert post(mine, path, online(who=who), 201) == first  # the same request again
    assert refusal(mine, path, online(who=who, phone="13800000000")) == "application_differs"
    assert refusal(mine, path, online(who=scene.person())) == "application_differs"
    assert refusal(desk, path, application(who=who), "zh") == "application_open"
    withdrawn = post(mine, f"{path}/{first['application_id']}/withdraw", {"note": "改去窗口"})
    assert (withdrawn["state"], withdrawn["national"]["status"]) == ("withdrawn", "01")
    assert post(mine, path, online(who=who), 201)["state"] == "withdrawn"  # still the same request
    post(desk, path, application(who=who), 201)


def test_nobody_applies_for_the_dead_or_the_unborn(scene: Scene) -> None:
    who = scene.person()
    desk, path = scene.caller(Role.DESK), "/v1/applications"
    tomorrow = person("2026-11-24", 5)  # it is the 23rd
    assert refusal(desk, path, application(who=tomorrow), "zh") == "born_in_future"
    identity = applied(desk, application(who=who), "photo")
    post(desk, f"{path}/{identity}/review")
    life = {"id_number": who["document"]["number"], "life": "dead", "since": "2026-11-20"}
    assert post(desk, "/v1/people/life", life)["applied"]
    assert refusal(desk, f"{path}/{identity}/approve", {}, "zh") == "holder_dead"
    post(desk, f"{path}/{identity}/refuse", {"reason": "application_not_eligible"})
    assert refusal(desk, path, application("a-2", who=who)) == "holder_dead"
    post(desk, "/v1/people/life", life | {"life": "normal"})  # it was an error
    post(desk, path, application("a-3", who=who), 201)
    emigrated = life | {"life": "emigrated", "since": "2027-01-01"}
    assert refusal(desk, "/v1/people/life", emigrated) == "life_bad_date"
    assert refusal(desk, "/v1/people/life", life | {"id_number": number(serial=999)}) == "person_unknown"


def test_the_work_list_has_pages_by_region_and_no_names(scene: Scene) -> None:
    desk = scene.caller(Role.DESK)
    for serial in range(1, 6):
        region = "410100" if serial % 2 else "411000"
        post(desk, "/v1/applications", application(f"a-{serial}", who=scene.person(), region=region), 201)
    seen, after = [], None
    while True:
        query: dict[str, Any] = {"region": "410000", "limit": 2} | ({"after": after} if after else {})
        page = desk.get("/v1/applications", params=query)
        assert "测试" not in page.text
        assert number() not in page.text
        seen += [item["application_id"] for item in page.json()["applications"]]
        if (after := page.json()["next"]) is None:
            break
    assert len(seen) == len(set(seen)) == 5
    one_city = desk.get("/v1/applications", params={"region": "410100"}).json()["applications"]
    assert {item["region"] for item in one_city} == {"410100"}
    assert desk.get("/v1/applications", params={"after": "AAAA"}).json()["code"] == "bad_cursor"


def test_who_opens_an_application_is_kept_for_its_person(scene: Scene) -> None:
    who = scene.person()
    desk = scene.caller(Role.DESK)
    identity = applied(desk, application(who=who), "photo")
    post(desk, f"/v1/applications/{identity}/open")
    shown = post(desk, f"/v1/applications/{identity}/documents/open", {"kind": "photo"})
    assert shown["content"] == file("photo", photo())["content"]
    assert refusal(desk, f"/v1/applications/{identity}/documents/open", {"kind": "identity"}) == "document_unknown"
    holder = scene.service.issuer.people.find(IdNumber(who["document"]["number"]))
    assert holder is not None
    seal = scene.service.issuer.people.seal_of(holder)
    sections = {data.section: data.of_holder(holder, seal) for data in scene.service.issuer.applications.subject_data}
    (kept,) = sections["applications"]
    assert kept["opened"]
    assert kept["details"]["name"] == "测试"  # type: ignore[index]
    assert kept["documents"] == [{"kind": "photo", "media_type": "image/jpeg", "content": shown["content"]}]


def test_logs_say_nothing_about_people(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    who = scene.person()
    caplog.set_level(logging.DEBUG)
    desk = scene.caller(Role.DESK)
    identity = applied(desk, application(who=who), "photo")
    post(desk, f"/v1/applications/{identity}/open")
    post(desk, f"/v1/applications/{identity}/refuse", {"reason": "application_refused_otherwise", "note": "机密备注"})
    refusal(desk, "/v1/applications", application("a-2", who=scene.person(), phone="x" * 20))
    for secret in ("测试", who["document"]["number"], "机密备注"):
        assert secret not in caplog.text


def test_rare_names_reach_the_card_whole(scene: Scene) -> None:
    """Characters of the extensions, private-use ones, middle dots, and names that no chip holds."""
    desk = scene.caller(Role.DESK)
    names = {
        "张\U00020bb7\ue81e": (True, False),
        "阿卜杜热合曼•买买提艾力": (True, True),
        "古丽·" * 12 + "\U000301a0": (False, False),
    }
    for request_id, (name, expected) in enumerate(names.items()):
        who = scene.person(name=name)
        identity = approved(desk, applied(desk, application(f"r-{request_id}", who=who), "photo"))
        opened = post(desk, f"/v1/applications/{identity}/open")
        held = opened["name_on_chip"]
        assert (held["complete"], held["gbk"]) == expected
        assert opened["details"]["name"].startswith(bytes.fromhex(held["name"] + held["extension"]).decode("gb18030"))
        card_ref = scene.collected(desk, identity)["card_ref"]
        register = scene.service.issuer.register
        person = scene.service.issuer.cards.identity(register.get_card(card_ref)).holder
        assert person.name == name.replace("•", "·")


def test_a_name_typed_wrongly_once_does_not_stay(scene: Scene) -> None:
    desk, who = scene.caller(Role.DESK), scene.person(name="王小名")
    first = applied(desk, application(who=who))
    post(desk, f"/v1/applications/{first}/refuse", {"reason": "application_data_differs"})
    right = who | {"name": "王小明"}
    second = applied(desk, application("a-2", who=right), "photo")
    assert post(desk, f"/v1/applications/{second}/open")["name_differs"]
    old = scene.collected(desk, approved(desk, second))["card_ref"]
    lost = application("a-3", who=who, kind="05", replaces=old)
    third = applied(desk, lost, "photo")
    post(desk, f"/v1/applications/{third}/review")
    assert refusal(desk, f"/v1/applications/{third}/approve", {}, "zh") == "name_differs_from_card"
    post(desk, f"/v1/applications/{third}/withdraw")
    changed = application("a-4", who=right | {"name": "王晓明"}, kind="06", replaces=old)
    new = scene.collected(desk, approved(desk, applied(desk, changed, "photo")))["card_ref"]
    operator = scene.caller(Role.OPERATOR)
    assert [operator.get(f"/v1/cards/{card}").json()["status"] for card in (old, new)] == [9, 1]
    assert refusal(desk, "/v1/applications", application("a-5", who=who, kind="05", replaces=old)) == (
        "card_not_replaceable"
    )


def test_files_may_be_larger_than_other_bodies(scene: Scene) -> None:
    desk, who = scene.caller(Role.DESK), scene.person()
    identity = applied(desk, application(who=who))
    path = f"/v1/applications/{identity}/documents"
    post(desk, path, file("identity", b"\xff\xd8\xff" + bytes((512 << 10) - 3)))
    assert desk.post(path, json=file("identity", bytes(600 << 10))).status_code == 413
    assert desk.post("/v1/applications/find", json={"id_number": "x" * (65 << 10)}).status_code == 413
    assert refusal(desk, path, file("photo", SCAN)) == "photo_bytes_refused"
    assert refusal(desk, path, file("identity", SCAN, "image/png"), "zh") == "document_type_refused"
    assert refusal(desk, path, file("identity", SCAN) | {"content": "é" * 8}) == "document_type_refused"


def test_a_card_system_makes_the_cards_of_its_own_regions_only(scene: Scene) -> None:
    desk, issuer, now = scene.caller(Role.DESK), scene.service.issuer, scene.service.clock()
    identity = approved(desk, applied(desk, application(who=scene.person()), "photo"))
    path = f"/v1/applications/{identity}"
    county = foreign_source(scene.service, desk)
    assert refusal(county, f"{path}/produce", {}, "zh") == "region_not_of_source"
    post(desk, f"{path}/produce")
    made = made_card(scene.service, 903)
    assert refusal(county, f"{path}/made", made) == "region_not_of_source"
    post(desk, f"{path}/made", made)
    assert refusal(county, f"{path}/ready", {"outlet": "zz-01"}) == "region_not_of_source"
    issuer.intake.sources.put(CardSystem("county").source(), "admin", now)  # of the whole country from now on
    assert post(county, f"{path}/ready", {"outlet": "zz-01"})["outlet"] == "zz-01"


def test_a_card_of_somebody_else_is_not_handed_over(scene: Scene) -> None:
    desk, source = scene.caller(Role.DESK), scene.caller(Role.SOURCE)
    mine, theirs = (approved(desk, applied(desk, application(f"a-{n}", who=scene.person()), "photo")) for n in range(2))
    made = made_card(scene.service, 901)
    for identity in (mine, theirs):
        post(source, f"/v1/applications/{identity}/produce")
    first = post(source, f"/v1/applications/{mine}/made", made)
    assert post(source, f"/v1/applications/{mine}/made", made) == first
    assert refusal(source, f"/v1/applications/{theirs}/made", made) == "card_exists"
    assert refusal(source, f"/v1/applications/{mine}/made", made_card(scene.service, 902)) == "application_moved"
    assert refusal(desk, f"/v1/applications/{theirs}/collect", {}) == "application_moved"
