"""A counter loses its network: the page opens all the same, judges by what it was told, and hands in what it did."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Error, Page

from tests.journeys.counter.desk import EARS, Desk
from tests.verifier.feed_kit import wait_for
from tests.verifier.offline.shop import Shop, open_shop

HELD = """async (name) => {
  if (!(await indexedDB.databases()).some((one) => one.name === 'ecard-counter')) return null;
  const answer = (request) => new Promise((done) => { request.onsuccess = () => done(request.result); });
  const database = await answer(indexedDB.open('ecard-counter'));
  const held = await answer(database.transaction('held').objectStore('held').get(name));
  database.close();
  return held ? { deltas: held.deltas?.length ?? 0 } : null;
}"""
INSTALLED = """async () => {
  return navigator.serviceWorker.controller !== null && (await caches.keys()).length === 1;
}"""


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with open_shop() as opened:
        yield opened


def admitted(shop: Shop, counter_id: str | None = None) -> Desk:
    """A fresh device, admitted by a link, that has had the time to learn what it needs."""
    context = shop.context()
    context.add_init_script(EARS)
    desk = Desk(context, context.new_page(), shop.url)
    desk.page.goto(f"{shop.url}/counter?lang=zh#admit={shop.house.admission(shop.group, counter_id)}")
    desk.page.wait_for_function("() => document.body.dataset.screen === 'work'")
    wait(desk.page, f"({INSTALLED})()")
    wait(desk.page, f"(async () => (await ({HELD})('bundle')) !== null)()")
    return desk


def wait(page: Page, expression: str) -> None:
    """Until the promise gives true, in whichever document the page has by then."""

    def holds() -> bool:
        try:
            return bool(page.evaluate(f"() => {expression}"))
        except Error as gone:
            if "context was destroyed" in str(gone):
                return False
            raise

    wait_for(holds)


def scanned(desk: Desk, code: str) -> tuple[str, str]:
    desk.type(code)
    found = desk.result()
    desk.leave()
    return found


def test_a_day_on_which_the_network_is_cut(shop: Shop) -> None:
    counter_id = shop.house.counter(shop.group)
    desk = admitted(shop, counter_id)
    desk.choose("medical")
    good, lost = shop.card(), shop.card()
    assert scanned(desk, lost.code())[0] == "valid"  # the service says so
    shop.lose(shop.entries)
    desk.page.evaluate("dispatchEvent(new Event('online'))")
    wait(desk.page, f"(async () => (await ({HELD})('bundle'))?.deltas === 1)()")

    desk.context.set_offline(True)
    desk.open()  # loaded anew, from the device alone
    desk.choose("medical")
    code = good.code()
    assert scanned(desk, code) == ("check", "offline_status")
    assert scanned(desk, code) == ("invalid", "replayed")
    assert scanned(desk, lost.code()) == ("invalid", "suspended")
    desk.choose("other")
    assert scanned(desk, good.code()) == ("valid", "ok")
    assert scanned(desk, good.code(datetime.now(UTC) - timedelta(minutes=9))) == ("undecided", "clock_unsure")
    wait_for(lambda: "5" in desk.page.locator("#strip-pending").inner_text())

    desk.context.set_offline(False)
    desk.page.wait_for_function("() => document.getElementById('strip-pending').textContent === ''")
    answer = desk.page.evaluate("async () => (await (await fetch('/v1/counter/shift')).json()).rows")
    handed_in = sorted((row["outcome"], row["reason"]) for row in answer if row["source"] == "upload")
    assert len(handed_in) == 5
    assert ("valid", "ok") in handed_in
    assert ("invalid", "code_expired") in handed_in
    assert scanned(desk, good.code())[0] in {"valid", "check"}


def test_a_page_of_one_version_never_gets_files_of_another(shop: Shop) -> None:
    desk = admitted(shop)
    (name,) = desk.page.evaluate("() => caches.keys()")
    kept = desk.page.evaluate(
        "async (name) => (await (await caches.open(name)).keys()).map(({ url }) => new URL(url).pathname)", name
    )
    assert "/counter" in kept
    assert all(path == "/counter" or path.startswith("/counter/") for path in kept)
    named = desk.page.evaluate(
        "() => [...document.querySelectorAll('script[src], link[href]')].map((e) => e.src ?? e.href)"
    )
    assert {one.removeprefix(shop.url) for one in named} <= set(kept)
    # What the service says is never kept, whatever was asked meanwhile.
    desk.choose("other")
    assert scanned(desk, shop.card().code())[0] == "valid"
    assert desk.page.evaluate("() => caches.keys()") == [name]


def test_a_counter_that_is_revoked_is_wiped_and_does_not_open_again_without_a_network(shop: Shop) -> None:
    counter_id = shop.house.counter(shop.group)
    desk = admitted(shop, counter_id)
    shop.group["manager"].post(f"/v1/counters/{counter_id}/revoke")
    desk.page.evaluate("dispatchEvent(new Event('online'))")
    desk.page.wait_for_function("() => document.body.dataset.screen === 'admit'")
    wait(desk.page, "(async () => (await caches.keys()).length === 0)()")
    wait(desk.page, "(async () => (await navigator.serviceWorker.getRegistrations()).length === 0)()")
    assert desk.page.evaluate("async () => (await indexedDB.databases()).length") == 0
    desk.context.set_offline(True)
    with pytest.raises(Error):
        desk.page.reload()


def test_a_new_version_takes_over_while_nobody_is_served_and_not_before(shop: Shop) -> None:
    desk = admitted(shop)
    (first,) = desk.page.evaluate("() => caches.keys()")
    desk.choose("other")
    assert scanned(desk, shop.card().code())[0] == "valid"  # somebody is
    desk.page.evaluate("() => { window.same = true; }")
    try:
        shop.version = "aaaaaaaaaaaa"
        update = "async () => { await (await navigator.serviceWorker.getRegistration()).update(); }"
        desk.page.evaluate(update)
        wait(desk.page, "navigator.serviceWorker.getRegistration().then((one) => one.waiting !== null)")
        assert desk.page.evaluate("() => window.same")
        desk.page.reload()  # nobody has been served by this page
        wait(desk.page, "caches.keys().then((names) => names.length === 2 && !window.same)")
        wait(desk.page, "navigator.serviceWorker.getRegistration().then((one) => one.waiting === null)")
        desk.page.wait_for_function("() => document.body.dataset.screen === 'work'")
        assert desk.page.evaluate("() => caches.keys()") == [first, "ecard-counter-aaaaaaaaaaaa"]
        desk.context.set_offline(True)
        desk.open()
    finally:
        shop.version = ""
