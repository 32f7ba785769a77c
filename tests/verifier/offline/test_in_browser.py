"""The page's offline half in a real browser: what it says without a network, what it keeps, and what it never loses."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_keys.key import KeyPurpose
from ecard_keys.trust.trust import DeniedKey
from ecard_verifier.trust_source import FixedTrust
from tests.verifier.offline.shop import Shop, Tab, open_shop
from tests.world import seconds


@pytest.fixture(scope="module")
def house() -> Iterator[Shop]:
    with open_shop() as shop:
        yield shop


@pytest.fixture
def shop(house: Shop) -> Iterator[Shop]:
    yield house
    house.done()


def cut(tab: Tab) -> None:
    tab.page.context.set_offline(True)


def back(tab: Tab) -> None:
    tab.page.context.set_offline(False)


def test_without_a_network_the_outcome_is_never_better_than_the_purpose_permits(shop: Shop) -> None:
    tab = shop.ready()
    cut(tab)
    card = shop.card()
    assert tab.said(card.code(), "other") == ("valid", "ok")
    assert tab.said(card.code(), "query") == ("check", "name_unavailable")
    assert tab.said(card.code(), "medical") == ("check", "offline_status")
    assert tab.said(card.code(), "pharmacy") == ("undecided", "needs_online")  # not this group's
    assert tab.said("1234 567 890") == ("undecided", "needs_online")
    assert tab.said("https://pay.example/1") == ("invalid", "unreadable_code")
    code = card.code()
    assert tab.said(code[:31] + ":::" + code[34:]) == ("invalid", "code_damaged")
    assert tab.said(card.code(audience="ctr_elsewhere")) == ("invalid", "wrong_audience")
    assert tab.said(card.code(datetime.now(UTC) - timedelta(minutes=5))) == ("invalid", "code_expired")
    assert tab.said(shop.card(test_card=True).code()) == ("invalid", "test_card")
    answer = tab.check(card.code())
    assert (answer["verification_id"], answer["shown"], answer["chip_assurance"]) == (None, {}, "challenge")
    assert tab.run("() => off.state().usable")


def test_a_lost_card_is_refused_by_the_delta_that_came_before_the_cut(shop: Shop) -> None:
    tab = shop.ready()
    lost, ended, good = shop.card(), shop.card(), shop.card()
    assert tab.said(lost.code()) == ("valid", "ok")
    shop.lose(shop.entries - 2)
    shop.lose(shop.entries - 1)
    before = tab.run("() => off.state().status_as_of")
    assert tab.refresh()["status_as_of"] >= before
    cut(tab)
    assert tab.said(lost.code()) == ("invalid", "suspended")
    assert tab.said(ended.code()) == ("invalid", "suspended")
    assert tab.said(good.code()) == ("valid", "ok")


def test_a_key_that_its_issuer_denied_is_refused_before_any_list_says_so(shop: Shop) -> None:
    tab, idle = shop.ready(), shop.ready()
    world = shop.issuer.world
    card, record = shop.card(), world.credential_key.record(KeyPurpose.CREDENTIAL)
    assert tab.said(card.code()) == ("valid", "ok")
    thumbprint = jose.thumbprint(jose.jwk_of(record.public, Algorithm(record.algorithm)))
    trust = shop.house.counters.service.trust
    issued = seconds(datetime.now(UTC))
    try:
        with_cut_off = DeniedKey(thumbprint, issued + 3600)  # what it signed before stands
        trust.deny(world.issuer, (DeniedKey(bytes(32), None), with_cut_off))
        assert tab.refresh()["usable"]
        assert tab.said(card.code()) == ("valid", "ok")
        trust.deny(world.issuer, (DeniedKey(thumbprint, None),))
        assert tab.refresh()["usable"]
        cut(tab)
        assert tab.said(card.code()) == ("invalid", "key_compromised")
        tab.open()  # as after a reload
        assert tab.said(card.code()) == ("invalid", "key_compromised")
        assert idle.said(card.code()) == ("valid", "ok")  # it has not heard of it
    finally:
        shop.house.counters.service._trust = FixedTrust(world.trust())
    # A service that forgot it, or somebody in its place, gives nothing back.
    back(tab)
    assert tab.refresh()["usable"]
    assert tab.said(card.code()) == ("invalid", "key_compromised")


def test_lists_by_a_denied_key_leave_nothing_to_decide_by(shop: Shop) -> None:
    tab = shop.ready()
    world, card = shop.issuer.world, shop.card()
    record = world.status_key.record(KeyPurpose.STATUS)
    thumbprint = jose.thumbprint(jose.jwk_of(record.public, Algorithm(record.algorithm)))
    shop.house.counters.service.trust.deny(world.issuer, (DeniedKey(thumbprint, None),))
    try:
        assert not tab.refresh()["usable"]
        assert tab.said(card.code()) == ("undecided", "trust_missing")
    finally:
        shop.house.counters.service._trust = FixedTrust(world.trust())


def test_the_same_code_is_accepted_once_and_the_same_scan_has_one_answer(shop: Shop) -> None:
    tab = shop.ready()
    cut(tab)
    code, scan = shop.card().code(), "0b0e7b4e-9d2c-4a52-8d7c-000000000001"
    first = tab.check(code, scan_id=scan)
    assert tab.check(code, scan_id=scan) == first
    again = tab.check(code)
    assert (again["outcome"], again["reason"], again["shown"]) == ("invalid", "replayed", {})
    assert again["first_seen"]["here"]
    tab.open()  # as after a reload
    assert tab.said(code) == ("invalid", "replayed")
    noted = shop.card().code()
    tab.run("code => off.note(code)", noted)  # one that the service accepted
    assert tab.said(noted) == ("invalid", "replayed")


def test_of_two_tabs_at_the_same_moment_one_accepts(shop: Shop) -> None:
    one = shop.ready()
    other = shop.tab(one.page.context)
    other.open()
    cut(one)
    for _ in range(3):
        code, at = shop.card().code(), time.time() * 1000 + 250
        for tab, scan in ((one, "a"), (other, "b")):
            tab.run(
                "([code, at, scan_id]) => { window.said = new Promise((go) => setTimeout(go, at - Date.now()))"
                ".then(() => off.check(code, { purpose: 'other', scan_id, way: 'camera' })); }",
                [code, at, f"{scan}{at}"],
            )
        reasons = sorted(tab.run("async () => (await window.said).reason") for tab in (one, other))
        assert reasons == ["ok", "replayed"]


def test_a_wrong_clock_is_never_red(shop: Shop) -> None:
    tab = shop.ready()
    cut(tab)
    card = shop.card()
    hour = 3_600_000
    tab.open(f"{{ now: () => Date.now() - {hour} }}")
    assert tab.said(card.code()) == ("undecided", "clock_behind")
    for ahead in (hour, 23 * hour):
        tab.open(f"{{ now: () => Date.now() + {ahead} }}")
        assert tab.said(card.code()) == ("undecided", "clock_unsure")
    # Beyond the end of what is known it is not the card's fault either.
    tab.open(f"{{ now: () => Date.now() + {26 * hour} }}")
    assert tab.said(card.code())[0] == "undecided"
    # Set while the page is open, after the service was heard.
    tab = shop.tab()
    tab.run("() => { window.ahead = 0; }")
    tab.open("{ now: () => Date.now() + window.ahead }")
    assert tab.refresh()["usable"]
    cut(tab)
    assert tab.said(card.code()) == ("valid", "ok")
    assert tab.said(card.code(datetime.now(UTC) - timedelta(minutes=5))) == ("invalid", "code_expired")
    tab.run(f"() => {{ window.ahead = {hour}; }}")
    assert tab.said(card.code()) == ("undecided", "clock_unsure")
    tab.run(f"() => {{ window.ahead = {-hour}; }}")
    assert tab.said(card.code()) == ("undecided", "clock_behind")


def test_a_device_whose_clock_is_off_is_put_right_by_the_service(shop: Shop) -> None:
    tab = shop.tab()
    tab.open("{ now: () => Date.now() - 600_000 }")
    assert tab.refresh()["usable"]
    cut(tab)
    assert tab.said(shop.card().code()) == ("valid", "ok")


def test_what_is_known_ages_and_then_nothing_is_decided(shop: Shop) -> None:
    tab = shop.ready()
    card = shop.card()
    day = 86_400_000
    # The service, and with it the page's clock, is a day and more ahead; the bundle stays what it was.
    shop.house.clock.ahead = timedelta(days=1, minutes=5)  # type: ignore[attr-defined]
    try:
        tab.open(
            f"{{ now: () => Date.now() + {day + 300_000}, fetch: async () => new Response('', {{ status: 503, headers:"
            f" {{ Date: new Date(Date.now() + {day + 300_000}).toUTCString() }} }}) }}"
        )
        assert not tab.refresh()["usable"]
        later = datetime.now(UTC) + timedelta(days=1, minutes=5)
        assert tab.said(card.code(later)) == ("undecided", "status_expired")
    finally:
        shop.house.clock.ahead = timedelta(0)  # type: ignore[attr-defined]


def test_what_was_lost_or_meddled_with_is_never_green(shop: Shop) -> None:
    tab = shop.ready()
    cut(tab)
    card = shop.card()
    tab.run("() => new Promise((done) => { indexedDB.deleteDatabase('ecard-counter').onsuccess = done; })")
    assert tab.said(card.code()) == ("undecided", "replay_guard_unavailable")
    tab.open()
    assert tab.said(card.code()) == ("undecided", "trust_missing")
    back(tab)
    assert tab.refresh()["usable"]
    meddle = """async (how) => {
      const answer = (request) => new Promise((done) => { request.onsuccess = () => done(request.result); });
      const database = await answer(indexedDB.open('ecard-counter'));
      const store = database.transaction('held', 'readwrite').objectStore('held');
      const kept = await answer(store.get('bundle'));
      await answer(store.put({ ...kept, ...how(kept) }, 'bundle'));
      database.close();
    }"""
    cut(tab)
    place = "new TextDecoder().decode(kept.body).indexOf('payload') + 60"  # in what is signed
    for how in (
        f"(kept) => ((place) => ({{ body: kept.body.with(place, kept.body[place] ^ 1) }}))({place})",
        "(kept) => ({ body: kept.body.slice(0, -1) })",
        "() => ({ deltas: ['x'] })",
    ):
        tab.run(f"() => ({meddle})({how})")
        tab.open()
        assert tab.said(card.code()) == ("undecided", "trust_missing")
        assert not tab.run("() => off.state().usable")


def test_a_browser_that_keeps_nothing_decides_nothing(shop: Shop) -> None:
    tab = shop.tab()
    tab.open("{ indexedDB: { open: () => { throw new Error('no'); }, deleteDatabase: () => ({}) } }")
    assert not tab.refresh()["usable"]
    assert tab.said(shop.card().code()) == ("undecided", "replay_guard_unavailable")


def test_nothing_that_was_known_is_taken_back(shop: Shop) -> None:
    tab = shop.tab()
    tab.open()
    shop.bundles.renew()
    assert tab.refresh()["usable"]
    old = tab.run("async () => Array.from(new Uint8Array(await (await fetch('/v1/counter/bundle')).arrayBuffer()))")
    card = shop.card()
    shop.lose(shop.entries)
    shop.bundles.renew()
    assert tab.refresh()["usable"]
    assert tab.said(card.code()) == ("invalid", "suspended")
    # A service that was set back, or somebody in its place: an older bundle, and nothing since.
    tab.run("(old) => { window.old = new Uint8Array(old); }", old)
    tab.run("() => { window.place = JSON.parse(new TextDecoder().decode(window.old)).cursor; }")
    tab.open(
        "{ fetch: async (path) => path.includes('/bundle') ? new Response(window.old)"
        " : path.endsWith(window.place) ? Response.json({ deltas: [], cursor: window.place, rules: null })"
        " : new Response('', { status: 404 }) }"
    )
    tab.refresh()
    assert tab.said(card.code()) == ("invalid", "suspended")
    tab.open()
    assert tab.said(card.code()) == ("invalid", "suspended")


def test_scans_are_handed_in_once_and_none_is_lost(shop: Shop) -> None:
    tab = shop.ready()
    cut(tab)
    card = shop.card()
    for _ in range(3):
        assert tab.said(card.code()) == ("valid", "ok")
    assert tab.said(card.code(datetime.now(UTC) - timedelta(minutes=9))) == ("invalid", "code_expired")
    assert tab.pending() == 4
    assert tab.flush() == 4  # no network
    tab.open()  # the tab was closed and opened
    assert tab.pending() == 4
    # The service takes them, and its answer never arrives.
    tab.open(
        "{ fetch: async (path, init) => { if (!path.includes('uploads')) return fetch(path, init);"
        " await fetch(path, init); throw new TypeError('gone'); } }"
    )
    back(tab)
    assert tab.flush() == 4
    rows = shop.shift(tab)
    assert sorted(row["outcome"] for row in rows) == ["invalid", "valid", "valid", "valid"]
    tab.open()
    assert tab.flush() == 0
    assert tab.pending() == 0
    assert shop.shift(tab) == rows


def test_what_the_service_cannot_take_now_waits_and_one_that_it_never_takes_holds_nobody_up(shop: Shop) -> None:
    tab = shop.ready()
    cut(tab)
    card = shop.card()
    for _ in range(6):
        tab.said(card.code())
    bad = {"scan_id": "no uuid", "code": "x", "purpose": "other", "way": "camera", "outcome": "valid", "reason": "ok"}
    tab.run("(item) => off.queue(item)", bad)
    assert tab.pending() == 7
    back(tab)
    assert tab.flush() == 1
    assert len(shop.shift(tab)) == 6
    assert tab.flush() == 1
    tab.open("{ fetch: async () => Response.json({ items: [{ scan_id: 'no uuid', verification_id: '' }] }) }")
    assert tab.flush() == 1


def test_a_counter_that_was_revoked_meanwhile_forgets_everything(shop: Shop) -> None:
    counter_id = shop.house.counter(shop.group)
    tab = shop.tab(counter_id=counter_id)
    tab.open()
    assert tab.refresh()["usable"]
    tab.run("() => off.remember({ session_expires_at: '2099-01-01T00:00:00Z', group: { name: 'a chain' } })")
    tab.run("() => caches.open('ecard-counter-x')")
    cut(tab)
    assert tab.said(shop.card().code()) == ("valid", "ok")
    assert tab.run("async () => (await off.session()).group.name") == "a chain"
    shop.group["manager"].post(f"/v1/counters/{counter_id}/revoke")
    assert tab.said(shop.card().code()) == ("valid", "ok")  # it cannot know yet
    back(tab)
    assert tab.flush() == 0
    assert tab.run("async () => (await indexedDB.databases()).map(({ name }) => name)") == []
    assert tab.run("() => caches.keys()") == []
    assert tab.run("() => off.session()") is None
    assert tab.said(shop.card().code()) == ("undecided", "replay_guard_unavailable")
    tab.open()
    assert not tab.refresh()["usable"]


def test_a_demand_that_this_page_does_not_know_is_never_green(shop: Shop) -> None:
    """A page that was kept may be older than the service that it gets its rules from."""
    tab = shop.ready()
    cut(tab)
    meddle = """async (how) => {
      const answer = (request) => new Promise((done) => { request.onsuccess = () => done(request.result); });
      const database = await answer(indexedDB.open('ecard-counter'));
      const store = database.transaction('held', 'readwrite').objectStore('held');
      const kept = await answer(store.get('rules'));
      const dropped = how.drop && { [how.drop]: undefined };
      const purposes = kept.purposes.map((one) => ({ ...one, ...how.purpose, ...dropped }));
      await answer(store.put({ ...kept, policy: { ...kept.policy, ...how.policy }, purposes }, 'rules'));
      database.close();
      return kept;
    }"""
    for how in (
        {"purpose": {"minimum_assurance": "witnessed"}},
        {"purpose": {"pin": True}},
        {"drop": "live"},
        {"drop": "challenge"},
        {"policy": {"minimum_assurance": "witnessed"}},
        {"policy": {"status_usable": "long"}},
    ):
        kept = tab.run(meddle, how)
        tab.open()
        assert tab.said(shop.card().code(), "other") == ("undecided", "needs_online"), how
        tab.run(meddle.replace("{ ...kept, policy: { ...kept.policy, ...how.policy }, purposes }", "how"), kept)
    tab.open()
    assert tab.said(shop.card().code(), "other") == ("valid", "ok")
