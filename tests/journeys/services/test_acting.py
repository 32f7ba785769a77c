"""Acting for another: guardians, written mandates, agencies; proof, scope and end of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ecard_card.acting import Act, Acting, Ground
from ecard_card.card import IdNumber
from ecard_card.errors import EcardError
from ecard_verifier.callers import Role
from tests.issuer.people_kit import CHILD, application, file, made_card, mandate, online, photo
from tests.journeys.services.counter_scene import SCAN, Scene, applied, approved, opened_scene, post, refusal


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with opened_scene(tmp_path_factory.mktemp("acting")) as opened:
        yield opened


def may(scene: Scene, who: dict[str, Any], act: Act, ground: Ground = Ground.OWN, mandate_id: str | None = None) -> str:
    """`yes`, or the code of what forbids it."""
    issuer = scene.service.issuer
    holder = issuer.people.find(IdNumber(who["document"]["number"]))
    assert holder is not None
    try:
        issuer.acting.require(Acting(ground, mandate_id), holder.holder_ref, act, scene.service.clock())
    except EcardError as refused:
        return refused.code
    return "yes"


def acting(mandate_id: str, ground: str = "guardian") -> dict[str, str]:
    return {"ground": ground, "mandate_id": mandate_id}


def written(scene: Scene, holder: dict[str, Any], cause: str = "elderly", **more: Any) -> dict[str, Any]:
    """A written mandate for all that an agent may do, ending with the year."""
    acts = [act.value for act in Act if act is not Act.ACTIVATE_BANK_ACCOUNT]
    said = {
        "ground": "mandate",
        "cause": cause,
        "relation": "child",
        "acts": acts,
        "ends_at": "2027-01-01T00:00:00+08:00",
    }
    proof = {"form": "written", "reference": "委托书 2026-11-20", "given_at": "2026-11-20T09:00:00+08:00"}
    return mandate(holder, scene.person(), **(said | {"proof": proof} | more))


def test_a_guardian_acts_for_a_minor_until_the_sixteenth_birthday(scene: Scene) -> None:
    desk, start = scene.caller(Role.DESK), scene.service.clock.now
    child = scene.person("2010-12-01")  # sixteen in eight days
    given = post(desk, "/v1/mandates", mandate(child, scene.person(), ends_at="2030-01-01T00:00:00Z"), 201)
    assert given["ends_at"] == "2026-11-30T16:00:00.000Z"  # midnight in China
    guardian = given["mandate_id"]
    assert may(scene, child, Act.APPLY) == "guardian_needed"
    assert may(scene, child, Act.REPORT_LOSS) == "yes"  # stopping harm needs nobody
    identity = approved(desk, applied(desk, application(who=child, acting=acting(guardian)), "photo"))
    scene.service.clock.advance(8 * 86400)
    try:
        assert may(scene, child, Act.COLLECT, Ground.GUARDIAN, guardian) == "mandate_ended"
        assert may(scene, child, Act.COLLECT) == "yes"
        assert desk.get(f"/v1/mandates/{guardian}").json()["state"] == "ended"
        post(desk, f"/v1/applications/{identity}/produce")
        late = mandate(child, scene.person(), "m-2")
        assert refusal(desk, "/v1/mandates", late, "zh") == "guardian_not_needed"
    finally:
        scene.service.clock.now = start


def test_who_comes_of_age_in_the_middle_goes_on_alone(scene: Scene) -> None:
    desk, start = scene.caller(Role.DESK), scene.service.clock.now
    child = scene.person("2010-12-01")
    guardian = post(desk, "/v1/mandates", mandate(child, scene.person()), 201)["mandate_id"]
    identity = applied(desk, application(who=child, acting=acting(guardian)), "photo")
    post(desk, f"/v1/applications/{identity}/review")
    scene.service.clock.advance(8 * 86400)
    try:
        assert refusal(desk, f"/v1/applications/{identity}/approve", {}, "zh") == "mandate_ended"
        own = {"acting": {"ground": "own"}}
        assert post(desk, f"/v1/applications/{identity}/approve", own)["acting"]["ground"] == "own"
        assert scene.collected(desk, identity)["state"] == "collected"
    finally:
        scene.service.clock.now = start


def test_a_guardian_acts_for_a_person_without_full_capacity(scene: Scene) -> None:
    desk, adult = scene.caller(Role.DESK), scene.person()
    assert refusal(desk, "/v1/mandates", mandate(adult, scene.person())) == "guardian_not_needed"
    proof = {"form": "official", "reference": "(2026) 民特 12 号", "given_at": "2026-10-01T00:00:00Z"}
    body = mandate(
        adult, scene.person(), cause="incapable", relation="appointed", proof=proof, acts=[act.value for act in Act]
    )
    guardian = post(desk, "/v1/mandates", body, 201)
    assert guardian["ends_at"] is None
    assert refusal(desk, "/v1/applications", application(who=adult)) == "guardian_needed"
    assert may(scene, adult, Act.ACTIVATE_BANK_ACCOUNT, Ground.GUARDIAN, guardian["mandate_id"]) == "yes"
    assert refusal(desk, "/v1/mandates", written(scene, adult) | {"request_id": "m-9"}) == "guardian_needed"
    post(desk, f"/v1/mandates/{guardian['mandate_id']}/revoke")
    assert may(scene, adult, Act.APPLY) == "yes"


@pytest.mark.parametrize("cause", ["elderly", "disabled", "absent"])
def test_a_relative_or_agent_acts_with_a_written_mandate(scene: Scene, cause: str) -> None:
    desk, holder = scene.caller(Role.DESK), scene.person()
    body = written(scene, holder, cause)
    assert refusal(desk, "/v1/mandates", body | {"ends_at": None}, "zh") == "mandate_bad_term"
    given = post(desk, "/v1/mandates", body, 201)
    assert post(desk, "/v1/mandates", body, 201) == given
    assert refusal(desk, "/v1/mandates", body | {"relation": "spouse"}) == "mandate_differs"
    post(desk, f"/v1/mandates/{given['mandate_id']}/documents", without_kind(SCAN))
    opened = post(desk, f"/v1/mandates/{given['mandate_id']}/open")
    assert opened["proof"]["reference"] == "委托书 2026-11-20"
    assert (opened["agent"]["id_number"], opened["document"]["size"]) == (
        body["agent"]["document"]["number"],
        len(SCAN),
    )
    by_agent = acting(given["mandate_id"], "mandate")
    identity = approved(desk, applied(desk, application(who=holder, acting=by_agent), "photo"))
    assert scene.collected(desk, identity, by_agent)["state"] == "collected"
    for person in ("holder", "agent"):  # it stands in the record of both
        found = post(desk, "/v1/mandates/find", {"id_number": body[person]["document"]["number"]})["mandates"]
        assert [item["mandate_id"] for item in found] == [given["mandate_id"]]


def without_kind(content: bytes) -> dict[str, str]:
    return {name: value for name, value in file("", content).items() if name != "kind"}


def test_a_mandate_is_in_the_export_of_both_people(scene: Scene) -> None:
    desk, holder = scene.caller(Role.DESK), scene.person()
    body = written(scene, holder)
    given = post(desk, "/v1/mandates", body, 201)["mandate_id"]
    post(desk, f"/v1/mandates/{given}/documents", without_kind(SCAN))
    post(desk, "/v1/people/life", {"id_number": holder["document"]["number"], "life": "normal", "since": "2026-11-01"})
    exports = []
    for who in (holder, body["agent"]):
        person = scene.service.issuer.people.find(IdNumber(who["document"]["number"]))
        assert person is not None
        seal = scene.service.issuer.people.seal_of(person)
        sections = {item.section: item for item in scene.service.issuer.applications.subject_data}
        exports.append(sections["mandates"].of_holder(person, seal))
    (gave, life), (had,) = exports
    assert (gave["given"], gave["mandate_id"], had["given"], had["mandate_id"]) == (True, given, False, given)
    assert gave["proof"]["reference"] == "委托书 2026-11-20"  # type: ignore[index]
    assert gave["document"] == {"media_type": "image/jpeg", "content": file("", SCAN)["content"]}
    assert "proof" not in had
    assert life == {"life": "normal", "since": "2026-11-01"}


def test_an_agent_never_activates_the_bank_account(scene: Scene) -> None:
    desk, holder = scene.caller(Role.DESK), scene.person()
    everything = written(scene, holder, acts=[act.value for act in Act])
    assert refusal(desk, "/v1/mandates", everything, "zh") == "mandate_out_of_scope"
    given = post(desk, "/v1/mandates", written(scene, holder), 201)["mandate_id"]
    allowed = {act for act in Act if may(scene, holder, act, Ground.MANDATE, given) == "yes"}
    assert allowed == set(Act) - {Act.ACTIVATE_BANK_ACCOUNT}
    assert may(scene, holder, Act.ACTIVATE_BANK_ACCOUNT, Ground.MANDATE, given) == "mandate_out_of_scope"
    assert may(scene, holder, Act.ACTIVATE_BANK_ACCOUNT) == "yes"


def test_a_mandate_that_ends_in_the_middle_refuses_the_next_step(scene: Scene) -> None:
    desk, holder, start = scene.caller(Role.DESK), scene.person(), scene.service.clock.now
    given = post(desk, "/v1/mandates", written(scene, holder, starts_at="2026-11-24T00:00:00Z"), 201)["mandate_id"]
    by_agent = acting(given, "mandate")
    assert refusal(desk, "/v1/applications", application(who=holder, acting=by_agent)) == "mandate_not_yet"
    other = acting(given)
    assert refusal(desk, "/v1/applications", application(who=holder, acting=other), "zh") == "mandate_unknown"
    stranger = application(who=scene.person(), acting=by_agent)
    assert refusal(desk, "/v1/applications", stranger) == "mandate_unknown"
    try:
        scene.service.clock.advance(86400)
        identity = approved(desk, applied(desk, application(who=holder, acting=by_agent), "photo"))
        post(desk, f"/v1/mandates/{given}/revoke")
        path = f"/v1/applications/{identity}"
        post(desk, f"{path}/produce")
        post(desk, f"{path}/made", made_card(scene.service, 903))
        post(desk, f"{path}/ready", {"outlet": "zz-01"})
        assert refusal(desk, f"{path}/collect", {}, "zh") == "mandate_ended"
        assert refusal(desk, f"{path}/collect", {"acting": by_agent}) == "mandate_ended"
        assert post(desk, f"{path}/collect", {"acting": {"ground": "own"}})["state"] == "collected"
    finally:
        scene.service.clock.now = start


def test_bad_mandates_are_refused_in_plain_words(scene: Scene) -> None:
    desk, channel, holder = scene.caller(Role.DESK), scene.caller(Role.CHANNEL), scene.person()
    agent = scene.person()
    body = written(scene, holder) | {"agent": agent}
    cases: dict[str, dict[str, Any]] = {
        "mandate_to_oneself": {"agent": holder},
        "agent_not_of_age": {"agent": scene.person(CHILD)},
        "mandate_bad_scope": {"cause": "minor"},
        "mandate_bad_term": {"ends_at": "2026-11-20T00:00:00Z"},
        "born_in_future": {"agent": scene.person("2026-12-24")},
        "mandate_proof_missing": {"proof": body["proof"] | {"reference": " "}},
        "bad_id_number": {"agent": agent | {"document": {"kind": "01", "number": "110105194912310020"}}},
    }
    for code, change in cases.items():
        for lang in ("en", "zh"):
            assert refusal(desk, "/v1/mandates", body | change, lang) == code
    assert refusal(channel, "/v1/mandates", body) == "not_allowed"  # the paper is shown at a desk
    assert refusal(desk, "/v1/mandates/" + "ab" * 16 + "/revoke", {}) == "mandate_unknown"
    child = scene.person(CHILD)
    assert refusal(desk, "/v1/mandates", written(scene, child), "zh") == "guardian_needed"
    life = {"id_number": body["agent"]["document"]["number"], "life": "dead", "since": "2026-11-20"}
    given = post(desk, "/v1/mandates", body, 201)["mandate_id"]
    post(desk, "/v1/people/life", life)
    assert may(scene, holder, Act.APPLY, Ground.MANDATE, given) == "mandate_ended"
    assert refusal(desk, "/v1/mandates", body | {"request_id": "m-2"}) == "holder_dead"


def row(scene: Scene, number: int, **more: Any) -> dict[str, Any]:
    """A row of a batch, for somebody new."""
    return {
        "row": number,
        "person": scene.person(name="批量"),
        "region": "000000",
        "residency": "registered",
        "consent": {"form": "written", "reference": f"同意书 {number}", "given_at": "2026-11-20T00:00:00Z"},
    } | more


@pytest.mark.parametrize("kind", ["employer", "community", "school"])
def test_an_agency_applies_for_people_who_consented(scene: Scene, kind: str) -> None:
    agency, desk = scene.caller(Role.AGENCY), scene.caller(Role.DESK)
    minor = row(scene, 2, person=scene.person(CHILD))
    wrong = row(scene, 3)
    wrong["person"] = wrong["person"] | {"document": {"kind": "01", "number": "110105194912310020"}}
    rows = [row(scene, 1, may_collect=True), minor, wrong, row(scene, 4)]
    post(desk, "/v1/applications", application(who=rows[3]["person"]), 201)  # has one open
    batch = {"batch_id": f"{kind}-2026", "rows": rows}
    answer = post(agency, "/v1/agency-batches", batch)
    assert [item["outcome"] for item in answer["rows"]] == [
        "accepted",
        "guardian_needed",
        "bad_id_number",
        "application_open",
    ]
    assert all(item["text"] is None or (item["text"]["en"] and item["text"]["zh"]) for item in answer["rows"])
    assert post(agency, "/v1/agency-batches", batch) == answer  # the same piece again: nothing is made twice
    page = agency.get(f"/v1/agency-batches/{kind}-2026").json()
    assert page["counts"] == {"accepted": 1, "guardian_needed": 1, "application_open": 1}
    assert scene.caller(Role.AGENCY).get(f"/v1/agency-batches/{kind}-2026").json()["rows"] == []
    changed = {"batch_id": f"{kind}-2026", "rows": [rows[0] | {"may_collect": False}]}
    assert post(agency, "/v1/agency-batches", changed)["rows"][0]["outcome"] == "batch_row_differs"

    accepted = answer["rows"][0]
    identity = accepted["application_id"]
    consent = post(desk, f"/v1/mandates/{accepted['mandate_id']}/open")
    assert (consent["proof"]["reference"], consent["agent"]) == ("同意书 1", None)
    assert set(consent["mandate"]["acts"]) == {"apply", "collect"}
    holder = rows[0]["person"]
    assert may(scene, holder, Act.REPLACE, Ground.AGENCY, accepted["mandate_id"]) == "mandate_out_of_scope"
    post(agency, f"/v1/applications/{identity}/documents", file("photo", photo()))
    assert agency.get(f"/v1/applications/{identity}").json()["source"] == "02"
    approved(desk, identity)
    by_agency = acting(accepted["mandate_id"], "agency")
    assert scene.collected(desk, identity, by_agency)["state"] == "collected"


def test_a_whole_piece_fits_into_one_request(scene: Scene) -> None:
    agency = scene.caller(Role.AGENCY)
    long = {"form": "written", "reference": "同意书" * 100, "given_at": "2026-11-20T00:00:00Z"}
    rows = [row(scene, number, consent=long) for number in range(1, 201)]
    answer = post(agency, "/v1/agency-batches", {"batch_id": "large", "rows": rows})
    assert {item["outcome"] for item in answer["rows"]} == {"accepted"}
    page = agency.get("/v1/agency-batches/large").json()
    assert (len(page["rows"]), page["next"], page["counts"]) == (200, 200, {"accepted": 200})
    assert agency.get("/v1/agency-batches/large", params={"after": 200}).json()["rows"] == []
    too_many = {"batch_id": "large", "rows": [*rows, row(scene, 201)]}
    assert refusal(agency, "/v1/agency-batches", too_many) == "invalid_request"


def test_a_consent_is_withdrawn(scene: Scene) -> None:
    agency, desk = scene.caller(Role.AGENCY), scene.caller(Role.DESK)
    (told,) = post(agency, "/v1/agency-batches", {"batch_id": "b", "rows": [row(scene, 1)]})["rows"]
    post(agency, f"/v1/applications/{told['application_id']}/documents", file("photo", photo()))
    post(desk, f"/v1/applications/{told['application_id']}/review")
    revoked = post(agency, f"/v1/mandates/{told['mandate_id']}/revoke")
    assert revoked["state"] == "revoked"
    assert refusal(desk, f"/v1/applications/{told['application_id']}/approve", {}, "zh") == "mandate_ended"
    other = scene.caller(Role.AGENCY)
    assert refusal(other, f"/v1/mandates/{told['mandate_id']}/revoke", {}) == "mandate_unknown"


def test_consents_that_do_not_hold_are_refused_row_by_row(scene: Scene) -> None:
    agency = scene.caller(Role.AGENCY)
    late = {"form": "online", "reference": "r", "given_at": "2026-12-24T00:00:00Z"}
    old = late | {"given_at": "2020-01-01T00:00:00Z"}
    guarded = late | {"given_at": "2026-11-20T00:00:00Z", "given_by": "guardian"}
    rows = [
        row(scene, 1, consent=late),
        row(scene, 2, consent=old),
        row(scene, 3, consent=late | {"reference": " "}),
        row(scene, 4, person=scene.person(CHILD), consent=guarded),
        row(scene, 5, region="000000", residency="entitled"),
    ]
    outcomes = [item["outcome"] for item in post(agency, "/v1/agency-batches", {"batch_id": "c", "rows": rows})["rows"]]
    assert outcomes == ["consent_too_old", "consent_too_old", "consent_missing", "accepted", "entitlement_needed"]
    twice = {"batch_id": "d", "rows": [row(scene, 1), row(scene, 1)]}
    assert refusal(agency, "/v1/agency-batches", twice) == "bad_batch"


def test_minors_and_incapable_people_are_shown_online_by_their_guardian(scene: Scene) -> None:
    channel = scene.caller(Role.CHANNEL)
    child = scene.person(CHILD)
    given = post(channel, "/v1/mandates", mandate(child, scene.person()), 201)["mandate_id"]
    body = online(who=child, acting=acting(given), household_register=True)
    assert post(channel, "/v1/applications", body, 201)["acting"]["ground"] == "guardian"
    assert channel.get(f"/v1/mandates/{given}").json()["state"] == "live"
    assert scene.caller(Role.CHANNEL).get(f"/v1/mandates/{given}").status_code == 404
