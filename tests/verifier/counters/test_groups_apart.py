"""No group sees anything of another, by whatever route: generated over every route that names something of a group."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import pytest

from tests.verifier.counters.kit import House, Json, scan_body

#: What is sent where a route wants a body; the paths name a thing of the first group.
BODIES: dict[str, Json] = {
    "create_group_token": {"name": "another", "role": "counter"},
    "set_staff_pin": {"pin": "271828"},
    "use_verification": {"reference": "case 1"},
}
#: Bodies that name a thing of the first group.
NAMING: dict[str, Json] = {
    "create_branch": {"group_id": "{group_id}", "name": "x"},
    "create_counter": {"branch_id": "{branch_id}", "name": "x"},
    "create_staff": {"branch_id": "{branch_id}", "alias": "x", "pin": "271828"},
    "create_verification": {"code": "x", "counter": "{counter_id}", "purpose": "payment"},
}
LISTS = ("list_groups", "list_branches", "list_counters", "list_staff", "list_alarms")
#: Asked last: little is there afterwards.
ENDING = ("revoke_staff", "end_counter_device", "revoke_counter", "revoke_branch", "revoke_group_token")


@pytest.fixture(scope="module")
def things(house: House, hospital: Json) -> dict[str, str]:
    """One of each kind, all of the first group."""
    page = house.page(hospital)
    staff = {"branch_id": hospital["branch_id"], "alias": "clerk", "pin": "314159"}
    staff_id = house.made("/v1/staff", staff, hospital["manager"])["staff_id"]
    verification_id = page.post("/v1/counter/verifications", json=scan_body(house.code())).json()["verification_id"]
    house.counters.administration.alarms.contradicted(
        uuid.uuid4().hex,
        house.counters.administration.organisation.counter(hospital["counter_id"], None),
        house.clock(),
    )
    [alarm] = hospital["manager"].get("/v1/alarms").json()["alarms"]
    [device] = hospital["manager"].get(f"/v1/counters/{hospital['counter_id']}/devices").json()["devices"]
    return {
        **{name: hospital[name] for name in ("group_id", "branch_id", "counter_id")},
        "staff_id": staff_id,
        "verification_id": verification_id,
        "alarm_id": alarm["alarm_id"],
        "device_id": device["device_id"],
        "name": "counter",
    }


def routes(house: House) -> dict[str, tuple[str, str, list[str]]]:
    """By id: method, path and roles, of what a group's tokens open. Presentations are looked at where wallets show
    something: `tests/verifier/openid4vp/test_groups.py`."""
    return {
        operation["operationId"]: (method.upper(), path, operation["x-ecard-role"])
        for path, methods in house.app.openapi()["paths"].items()
        for method, operation in methods.items()
        if {"merchant", "counter"} & set(operation.get("x-ecard-role", ())) and operation["tags"] != ["presentation"]
    }


def ask(group: Json, method: str, path: str, roles: list[str], body: Json | None) -> Any:
    client = group["manager"] if "merchant" in roles else group["system"]
    return client.request(method, path, json=body)


def test_every_route_of_a_group_is_looked_at(house: House) -> None:
    named = {name for name, (_, path, _) in routes(house).items() if "{" in path}
    assert named | NAMING.keys() | set(LISTS) == routes(house).keys()
    assert set(ENDING) <= named


def test_another_group_gets_nothing_by_any_route(
    house: House, hospital: Json, shop: Json, things: dict[str, str]
) -> None:
    nothing = {name: re.sub(r"[0-9a-f]{16}$", "0" * 16, value) for name, value in things.items()}
    nothing["verification_id"] = "ver_" + "A" * 22
    wrong, last = (
        [],
        sorted(routes(house), key=lambda name: (name in ENDING, ENDING.index(name) if name in ENDING else 0)),
    )
    for name in last:
        method, path, roles = routes(house)[name]
        if name in LISTS:
            continue
        template = BODIES.get(name) or NAMING.get(name)
        theirs = ask(shop, method, path.format(**things), roles, _filled(template, things))
        absent = ask(shop, method, path.format(**nothing), roles, _filled(template, nothing))
        if theirs.status_code != 404 or _told(theirs) != _told(absent):
            wrong.append(f"{name}: another group gets {theirs.status_code} {theirs.text[:120]}, {absent.text[:120]}")
            continue
        own = ask(hospital, method, path.format(**things), roles, _filled(template, things))
        if own.status_code >= 400:
            wrong.append(f"{name}: its own group gets {own.status_code} {own.text[:160]}")
    assert not wrong, "\n".join(wrong)


def test_a_list_shows_only_ones_own(house: House, hospital: Json, shop: Json, things: dict[str, str]) -> None:
    for name in LISTS:
        method, path, roles = routes(house)[name]
        own = ask(hospital, method, path + ("?acknowledged=true" if name == "list_alarms" else ""), roles, None).text
        theirs = ask(shop, method, path, roles, None)
        assert theirs.status_code == 200
        assert hospital["group_id"] in own, name
        assert hospital["group_id"] not in theirs.text, name
        assert not any(thing in theirs.text for key, thing in things.items() if key != "name"), name


def test_only_an_operator_makes_groups_and_managers(house: House, hospital: Json) -> None:
    manager = hospital["manager"]
    assert manager.post("/v1/groups", json={"name": "x", "level": "basic", "purposes": ["query"]}).status_code == 403
    path = f"/v1/groups/{hospital['group_id']}"
    assert manager.post(f"{path}/revoke").status_code == 403
    refused = manager.post(f"{path}/tokens", json={"name": "second manager", "role": "merchant"})
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    assert manager.delete(f"{path}/tokens/merchant").status_code == 403
    assert hospital["system"].get("/v1/groups").status_code in (401, 403), "a system manages nothing"
    assert manager.post("/v1/verifications", json={"code": "x"}).status_code == 403, "a manager verifies nothing"


def _filled(template: Json | None, things: dict[str, str]) -> Json | None:
    if template is None:
        return None
    return {key: value.format(**things) if isinstance(value, str) else value for key, value in template.items()}


def _told(answer: Any) -> Json:
    body = json.loads(answer.text)
    return {key: value for key, value in body.items() if key not in ("request_id", "detail")}
