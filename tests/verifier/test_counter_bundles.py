"""What pages without a network are given: one verified bundle, its deltas in order, and no question too many."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from ecard_card import jose
from ecard_card.errors import EcardError
from ecard_card.status import EcardStatus
from ecard_verifier.bundle import Bundle, open_bundle
from ecard_verifier.counter_bundles import COOL_DOWN, IDLE, LOOK_AGAIN, OLDEST, CounterBundles
from tests.verifier.counters.kit import Clock, House, open_house
from tests.verifier.feed_kit import wait_for
from tests.verifier.offline.issuers import Issuer
from tests.world import NOW, World, seconds


@dataclass
class Shop:
    """A verifier's bundles, the issuer they come from, and a count of seconds that only goes when told."""

    issuer: Issuer
    bundles: CounterBundles
    clock: Clock
    ticks: list[float]
    trust_version: list[int]

    def later(self, seconds_: float) -> None:
        self.ticks[0] += seconds_
        self.clock.now += timedelta(seconds=seconds_)

    def opened(self) -> tuple[Bundle, str]:
        content = json.loads(self.bundles.bundle().body)
        assert content.keys() == {"format", "cursor", "bundle"}
        return open_bundle(jose.dump_json(content["bundle"]), self.clock(), self.issuer.root), content["cursor"]


def shop_of(world: World, *others: Issuer) -> Shop:
    clock, ticks, version = Clock(NOW), [0.0], [1]
    issuer = Issuer(world, clock)
    sources = {one.world.issuer: one for one in (issuer, *others)}
    bundles = CounterBundles(sources, lambda: world.root, lambda: version[0], clock, monotonic=lambda: ticks[0])
    return Shop(issuer, bundles, clock, ticks, version)


@pytest.fixture
def shop() -> Shop:
    return shop_of(World())


def gone(shop: Shop, cursor: str) -> str:
    with pytest.raises(EcardError) as caught:
        shop.bundles.deltas(cursor)
    return caught.value.code


def test_many_counters_ask_and_the_issuer_is_asked_once(shop: Shop) -> None:
    for _ in range(50):
        bundle, cursor = shop.opened()
        assert shop.bundles.deltas(cursor) == ([], cursor)
    assert shop.issuer.asked == ["bundle"]
    assert bundle.made_at == seconds(NOW)
    held = shop.bundles.bundle()
    assert gzip.decompress(held.packed) == held.body


def test_deltas_lead_on_from_the_bundle_and_from_each_other(shop: Shop) -> None:
    bundle, cursor = shop.opened()
    body = shop.bundles.bundle().body
    tokens = []
    for index in range(3):
        shop.later(30)
        tokens.append(shop.issuer.change(index, EcardStatus.SUSPENDED))
        shop.bundles.turn()
        assert shop.bundles.bundle().body == body
    assert list(shop.bundles.deltas(cursor)[0]) == tokens
    some, place = shop.bundles.deltas(cursor[:-1] + "2")
    assert (list(some), place) == (tokens[2:], cursor[:-1] + "3")
    for token in tokens:
        bundle.statuses.apply(token, shop.clock())
    assert [bundle.statuses.read("https://issuer.example/status-lists/1", index).value for index in range(4)] == [
        *[2, 2, 2],
        0,
    ]


@pytest.mark.parametrize(
    "odd", ["", "x", "x.0", "{name}.", "{name}.4", "{name}.-1", "{name}.٣", "{name}.1e1", "{name}"]
)
def test_a_place_that_is_in_no_bundle_asks_for_a_whole_one(shop: Shop, odd: str) -> None:
    _, cursor = shop.opened()
    assert gone(shop, odd.replace("{name}", cursor[:-2])) == "status_delta_gone"


def test_a_new_bundle_comes_with_new_keys_new_lists_age_and_lost_deltas(shop: Shop) -> None:
    cursors = [shop.opened()[1]]

    def renewed() -> bool:
        shop.bundles.turn()
        cursors.append(shop.opened()[1])
        return cursors[-1] != cursors[-2]

    assert not renewed()
    shop.trust_version[0] = 2
    first = shop.issuer.world.trust_list()
    newer = replace(first, version=2, previous=first.digest, issued_at=first.issued_at + 1)
    shop.issuer.trust_list = newer
    assert renewed()
    assert shop.opened()[0].trust.version == 2
    shop.later(LOOK_AGAIN + 1)
    assert not renewed()  # looked, and nothing was new
    shop.issuer.lists = (1, 2)
    assert not renewed()
    shop.later(LOOK_AGAIN + 1)
    assert renewed()
    shop.later(OLDEST + 1)
    assert renewed()
    shop.issuer.change(1, EcardStatus.SUSPENDED)
    shop.issuer.change(2, EcardStatus.SUSPENDED)
    shop.issuer.kept_from = 2
    assert renewed()
    shop.issuer.change(3, EcardStatus.SUSPENDED, trust_list=3)  # a list that nobody told us of
    assert renewed()
    assert gone(shop, cursors[0]) == "status_delta_gone"


def test_an_issuer_that_is_away_takes_nothing_back(shop: Shop) -> None:
    body = shop.bundles.bundle().body
    shop.issuer.away = True
    shop.later(OLDEST + 1)
    with pytest.raises(EcardError, match="published_unavailable"):
        shop.bundles.turn()
    assert shop.bundles.bundle().body == body
    shop.later(60)
    shop.issuer.away = False
    shop.bundles.turn()
    assert shop.bundles.bundle().body != body


def test_without_any_bundle_the_issuer_is_not_asked_by_each_counter(shop: Shop) -> None:
    shop.issuer.away = True
    for _ in range(20):
        with pytest.raises(EcardError, match="published_unavailable"):
            shop.bundles.bundle()
    assert shop.issuer.asked == ["bundle"]
    shop.later(COOL_DOWN)
    shop.issuer.away = False
    assert shop.bundles.bundle()


def test_what_does_not_hold_is_not_handed_on(shop: Shop) -> None:
    thief = World()
    shop.issuer.trust_document = thief.trust_document()
    shop.issuer.world, honest = thief, shop.issuer.world
    with pytest.raises(EcardError, match="trust_undersigned"):
        shop_bundle(shop, honest)
    shop.issuer.trust_document = None
    shop.issuer.world = honest
    shop.later(COOL_DOWN)
    _, cursor = shop.opened()
    shop.issuer.change(1, EcardStatus.SUSPENDED)
    stolen = shop.issuer.deltas.pop()
    shop.issuer.deltas.append((stolen[0], stolen[1][:-4] + "AAAA"))
    shop.bundles.turn()
    assert shop.bundles.deltas(cursor) == ([], cursor)


def shop_bundle(shop: Shop, honest: World) -> None:
    """A turn of bundles that pin the honest root."""
    CounterBundles({"x": shop.issuer}, lambda: honest.root, lambda: 1, shop.clock).turn()


def test_several_issuers_come_as_one_bundle_and_one_that_is_away_keeps_nobody() -> None:
    main = World()
    other = World(issuer="https://other.example", status_uri="https://other.example/{list}", roots=main.roots)
    entries = (*main.trust_list().issuers, *other.trust_list().issuers)
    both = replace(main.trust_list(), issuers=entries)
    clock = Clock(NOW)
    second = Issuer(other, clock, trust_list=both)
    shop = shop_of(main, second)
    shop.issuer.trust_list = both
    bundle, cursor = shop.opened()
    assert bundle.statuses.lists() == {"https://issuer.example/status-lists/1", "https://other.example/1"}
    shop.issuer.change(1, EcardStatus.SUSPENDED)
    shop.later(5)
    clock.now = shop.clock.now
    second.change(2, EcardStatus.INVALID)
    shop.bundles.turn()
    for token in shop.bundles.deltas(cursor)[0]:
        bundle.statuses.apply(token, shop.clock())
    assert bundle.statuses.read("https://other.example/1", 2).value == 1
    assert bundle.statuses.read("https://issuer.example/status-lists/1", 1).value == 2

    alone = shop_of(main, Issuer(other, clock, trust_list=both, away=True))
    alone.issuer.trust_list = both
    assert alone.opened()[0].statuses.lists() == {"https://issuer.example/status-lists/1"}


def test_only_while_counters_ask_is_anything_fetched(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecard_verifier.counter_bundles.PAUSE", 0.01)
    shop.bundles.start()
    try:
        shop.bundles.bundle()
        wait_for(lambda: "deltas" in shop.issuer.asked)
        _, cursor = shop.opened()
        shop.issuer.change(1, EcardStatus.SUSPENDED)
        wait_for(lambda: len(shop.bundles.deltas(cursor)[0]) == 1)
        shop.ticks[0] += IDLE + 1
        wait_for(lambda: not shop.bundles._woken.is_set())
        count = len(shop.issuer.asked)
        shop.bundles.bundle()
        wait_for(lambda: len(shop.issuer.asked) > count)
    finally:
        shop.bundles.stop()


# The routes


@pytest.fixture
def house(tmp_path: Path) -> House:
    world = World()
    clock = Clock(world.now + timedelta(seconds=2))
    bundles = CounterBundles({world.issuer: Issuer(world, clock)}, lambda: world.root, lambda: 1, clock)
    return open_house(tmp_path, world, bundles=bundles, clock=clock)


def page_of(house: House, level: str = "designated") -> TestClient:
    return house.page(house.group("a chain", level))


def test_an_admitted_page_gets_the_bundle_once_and_then_hears_that_it_is_the_same(house: House) -> None:
    page = page_of(house)
    answer = page.get("/v1/counter/bundle")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["cache-control"] == "private, no-cache"
    again = page.get("/v1/counter/bundle", headers={"If-None-Match": f'"x", W/{answer.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    plain = page.get("/v1/counter/bundle", headers={"Accept-Encoding": "identity"})
    assert (plain.content, plain.headers["etag"] != answer.headers["etag"]) == (answer.content, True)


def test_what_a_counter_may_see_comes_with_the_deltas(house: House) -> None:
    page, other = page_of(house), page_of(house, "basic")
    cursor = page.get("/v1/counter/bundle").json()["cursor"]
    answer: dict[str, Any] = page.get("/v1/counter/deltas", params={"after": cursor}).json()
    assert (answer["deltas"], answer["cursor"]) == ([], cursor)
    rules = {one["purpose"]: one for one in answer["rules"]["purposes"]}
    assert set(rules) == {"medical", "query", "payment", "other"}
    assert rules["medical"]["live"]
    assert rules["medical"]["page"]["id_number"] == "6+4"
    assert answer["rules"]["policy"] == {
        "status_fresh": 86_400,
        "status_usable": 86_400,
        "minimum_assurance": "declared",
        "accept_test": False,
    }
    assert answer["rules"]["denied_keys"] == []
    basic = other.get("/v1/counter/deltas", params={"after": cursor}).json()["rules"]
    assert {one["purpose"] for one in basic["purposes"]} == {"query", "payment", "other"}
    assert all("full" not in one["page"].values() or one["purpose"] == "other" for one in basic["purposes"])


def test_nobody_else_gets_either(house: House) -> None:
    group = house.group("a chain")
    page = house.page(group)
    stranger = house.client()
    for path in ("/v1/counter/bundle", "/v1/counter/deltas?after=x"):
        assert stranger.get(path).json()["code"] == "counter_not_admitted"
        assert house.operator.get(path).status_code == 401
    assert page.get("/v1/counter/deltas?after=x.0").json()["code"] == "status_delta_gone"
    assert page.get("/v1/counter/deltas").status_code == 422
    assert group["manager"].post(f"/v1/counters/{group['counter_id']}/revoke").status_code in (200, 204)
    for path in ("/v1/counter/bundle", "/v1/counter/deltas?after=x"):
        assert page.get(path).json()["code"] == "counter_revoked"
