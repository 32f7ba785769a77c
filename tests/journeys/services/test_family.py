"""Family e-cards (亲情服务) over HTTP: added with consent, shown, recorded for both, ended by either."""

from __future__ import annotations

from datetime import date
from typing import Any

from ecard_verifier.callers import Role
from tests.issuer.holding import Held, ecard_of, number_of
from tests.issuer.service import Service
from tests.journeys.services.counters import Counters

DESK, APP = Role.DESK, Role.CHANNEL


def wish(viewer: Held, relative: Held, relation: str = "parent", **consent: Any) -> dict[str, Any]:
    return {
        "viewer": viewer.id_number.text,
        "relative": relative.id_number.text,
        "relation": relation,
        "consent": {"text": "family-2026-1", **consent},
    }


def test_a_mothers_ecard_is_shown_with_her_consent_until_she_takes_it_back(
    service: Service, counters: Counters
) -> None:
    viewer, mother = ecard_of(service), ecard_of(service)
    assert counters.refused(APP, "/v1/family", wish(viewer, mother), "family_consent_needed") == 422
    counters.post(APP, "/v1/ecard-passwords/set", {"ecard_id": mother.ecard_id, "password": "739184"}, 201)
    link = counters.post(APP, "/v1/family", wish(viewer, mother, ecard_password="739184"), 201)
    assert counters.post(APP, "/v1/family", wish(viewer, mother, ecard_password="739184"), 201) == link
    assert (link["ecard_id"], link["proof"], link["over"]) == (mother.ecard_id, "ecard_password", None)

    shown = {"viewer": viewer.id_number.text, "showing_id": "s-1"}
    path = f"/v1/family/{link['link_id']}"
    assert counters.post(APP, f"{path}/shown", shown)["recorded"]
    assert not counters.post(APP, f"{path}/shown", shown)["recorded"]
    counters.refused(APP, f"{path}/shown", shown | {"viewer": mother.id_number.text}, "family_not_permitted")

    (seen,) = counters.post(APP, "/v1/family/find", {"id_number": mother.id_number.text})["links"]
    assert (seen["side"], seen["link_id"]) == ("relative", link["link_id"])
    elsewhere = counters.post(DESK, "/v1/family/find", {"id_number": mother.id_number.text})["links"][0]
    assert elsewhere["other"] != seen["other"]  # each caller has references of its own
    for answer in (link, seen):
        assert not any(number.id_number.text in str(answer) for number in (viewer, mother))

    ended = counters.post(DESK, f"{path}/end", {"id_number": mother.id_number.text})
    assert ended["over"] == "relative"
    counters.refused(APP, f"{path}/shown", shown | {"showing_id": "s-2"}, "family_not_permitted")


def test_a_child_needs_its_guardian_and_nobody_shows_themselves(service: Service, counters: Counters) -> None:
    viewer, child = ecard_of(service), ecard_of(service, person=number_of(date(2015, 3, 4)))
    by_clerk = wish(viewer, child, "child", document_number=child.id_number.text)
    counters.refused(DESK, "/v1/family", by_clerk, "guardian_needed")
    by_guardian = wish(viewer, child, "child", acting={"ground": "guardian", "mandate_id": "g-1"})
    counters.refused(DESK, "/v1/family", by_guardian, "mandate_unknown")  # no such guardianship is on record
    counters.refused(DESK, "/v1/family", wish(viewer, viewer), "family_self")
    counters.refused(DESK, "/v1/family", by_clerk | {"relation": "cousin"}, "invalid_request")
    counters.refused(DESK, "/v1/family", by_clerk | {"viewer": "00000019900105071X"}, "bad_id_number")
    nobody = {"id_number": viewer.id_number.text}
    assert counters.refused(DESK, f"/v1/family/{'ab' * 16}/end", nobody, "family_link_unknown") == 404


def test_eight_relatives_and_no_ninth(service: Service, counters: Counters) -> None:
    viewer = ecard_of(service)
    for _ in range(8):
        relative = ecard_of(service)
        counters.post(DESK, "/v1/family", wish(viewer, relative, document_number=relative.id_number.text), 201)
    ninth = ecard_of(service)
    body = wish(viewer, ninth, document_number=ninth.id_number.text)
    assert counters.refused(DESK, "/v1/family", body, "family_full") == 422
    links = counters.post(DESK, "/v1/family/find", {"id_number": viewer.id_number.text})["links"]
    counters.post(DESK, f"/v1/family/{links[3]['link_id']}/end", {"id_number": viewer.id_number.text})
    counters.post(DESK, "/v1/family", body, 201)
