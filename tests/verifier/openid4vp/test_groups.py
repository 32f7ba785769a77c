"""A group of merchants asks wallets: no more than its purpose lets it see, and nobody reads another's."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from ecard_card.card import ChipAssurance
from ecard_verifier.callers import Caller, Role, token_hash
from ecard_verifier.openid4vp.presentations import Presentations
from ecard_verifier.openid4vp.store import PresentationStore
from ecard_verifier.web.app import create_app
from ecard_verifier.web.auth import HashedTokens
from tests.verifier.counters.kit import House, Json, open_house
from tests.verifier.openid4vp.kit import BASE, P256, Wallet, encrypted, here, make_keys, read_request


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    folder = tmp_path_factory.mktemp("groups")
    house = open_house(folder)
    service = house.counters.service
    keys = make_keys(folder, now=house.clock())
    presentations = Presentations(service, service.trust, keys, PresentationStore(), {}, house.clock, base=BASE)
    known = {token_hash("0perator"): Caller("root", Role.OPERATOR)}
    app = create_app(service, HashedTokens(known), counters=house.counters, presentations=presentations)
    house.app = app
    house.operator = house.client("0perator")
    return house


def shown(house: House, client: TestClient, body: Json, **changes: object) -> tuple[Json, Json]:
    """The request, and what became of it, for a card that a wallet shows all of."""
    opened = client.post("/v1/presentations", json=body)
    assert opened.status_code == 201, opened.text
    request = read_request(client.get(here(opened.json()["request_uri"])).text)
    key = P256()

    class Device:
        point = key.point

    claims = {"name": "王小三", "personal_administrative_number": "410105199003071230", "card_number": "A12345678"}
    card: Any = house.world.credential(Device(), claims=claims, **changes)  # type: ignore[arg-type]
    wallet = Wallet(house.world.selective(card), key)
    text = wallet.show(request, tuple(claims), lies={"iat": int(house.clock().timestamp())})
    sealed = encrypted(request, {"vp_token": {"ecard": [text]}, "state": request["state"]})
    assert client.post(here(request["response_uri"]), data={"response": sealed}).status_code == 200
    return request, client.get(f"/v1/presentations/{opened.json()['presentation_id']}").json()


def asked(request: Json) -> list[str]:
    return [claim["path"][0] for claim in request["dcql_query"]["credentials"][0].get("claims", ())]


def test_a_purpose_says_what_is_asked_for_and_how_it_is_told(house: House) -> None:
    clinic = house.group("clinic")["system"]
    request, told = shown(house, clinic, {"purpose": "medical"})
    assert asked(request) == ["name", "personal_administrative_number", "card_number"]
    assert (told["outcome"], told["purpose"], told["claims"]) == ("valid", "medical", {})
    assert told["facts"] == {
        "name": "王小三",
        "id_number": "410105199003071230",
        "card_number": "A12345678",
        "region": "330100",
    }


def test_a_shop_is_asked_for_little_and_told_masks(house: House) -> None:
    shop = house.group("shop", "basic")["system"]
    request, told = shown(house, shop, {"purpose": "payment"})
    assert "personal_administrative_number" not in asked(request)
    assert told["outcome"] == "valid"
    assert "王小三" not in str(told)
    assert "410105199003071230" not in str(told)


def test_the_purpose_demands_its_proof_of_the_chip(house: House) -> None:
    clinic = house.group("another clinic")["system"]
    _, told = shown(house, clinic, {"purpose": "medical"}, assurance=ChipAssurance.DECLARED)
    assert (told["outcome"], told["reason"], told["facts"]) == ("invalid", "assurance_too_low", {})


@pytest.mark.parametrize(
    ("level", "body", "status", "code"),
    [
        ("basic", {}, 400, "purpose_needed"),
        ("basic", {"purpose": "medical"}, 404, "purpose_unknown"),
        ("basic", {"purpose": "nothing"}, 404, "purpose_unknown"),
        ("basic", {"purpose": "payment", "claims": ["personal_administrative_number"]}, 403, "claim_not_permitted"),
        ("designated", {"purpose": "medical", "claims": ["chip_ref"]}, 403, "claim_not_permitted"),
        ("designated", {"purpose": "query", "other_issuers": ["university"]}, 403, "claim_not_permitted"),
    ],
)
def test_a_group_may_not_ask_for_more(house: House, level: str, body: Json, status: int, code: str) -> None:
    client = house.group(f"{level} {code} {len(str(body))}", level)["system"]
    answer = client.post("/v1/presentations", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_purpose_is_for_groups_and_a_presentation_for_its_own(house: House) -> None:
    answer = house.operator.post("/v1/presentations", json={"purpose": "medical"})
    assert (answer.status_code, answer.json()["code"]) == (403, "group_needed")
    one, two = house.group("one")["system"], house.group("two")["system"]
    opened = one.post("/v1/presentations", json={"purpose": "query"}).json()
    path = f"/v1/presentations/{opened['presentation_id']}"
    assert one.get(path).status_code == 200
    others = (
        two.get(path),
        two.post(f"{path}/completion", json={"response_code": "x"}),
        two.post(f"{path}/answer", json={"response": "x"}),
    )
    for answer in others:
        assert (answer.status_code, answer.json()["code"]) == (404, "presentation_unknown"), "both are called counter"


def test_each_one_counts_for_the_day(house: House) -> None:
    client = house.group("small", daily_limit=1)["system"]
    assert client.post("/v1/presentations", json={"purpose": "query"}).status_code == 201
    answer = client.post("/v1/presentations", json={"purpose": "query"})
    assert (answer.status_code, answer.json()["code"]) == (429, "counter_quota_used_up")
