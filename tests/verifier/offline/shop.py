"""A verifier with counters, real in all but its issuer, over HTTP; and a browser with the page's offline half in it."""

from __future__ import annotations

import re
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient

from ecard_card.status import EcardStatus
from ecard_sdk.device import DeviceKey
from ecard_verifier.counter_bundles import CounterBundles
from tests.journeys.counter.desk import chromium
from tests.require import needs_counter_page
from tests.verifier.counters.kit import Clock, House, Json, open_house
from tests.verifier.http_kit import running
from tests.verifier.offline.issuers import Issuer
from tests.verifier.offline.node import ROOT
from tests.world import World

MODULES = ROOT / "verifier/counter_page/src/offline"
#: In the browser: `open(options)` gives what `openOffline` gives, and keeps it as `off`.
KIT = """
window.open_offline = async (options = {}) => {
  const { openOffline } = await import('/modules/index.js');
  window.off?._uploads.stop(); // as if its tab had been closed
  window.off = await openOffline({ ...options, serviceWorker: navigator.serviceWorker });
  return window.off.state();
};
"""


class RealClock(Clock):
    """The time of day, which a test can put ahead."""

    def __init__(self) -> None:
        super().__init__(datetime.now(UTC))
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Card:
    """A card with its device, at an entry of the status list."""

    world: World
    device: DeviceKey
    compact: bytes

    def code(self, at: datetime | None = None, audience: str | None = None) -> str:
        return self.device.offline_code(self.compact, at or datetime.now(UTC), audience)


@dataclass
class Tab:
    """One tab with the offline half open in it."""

    page: Page

    def open(self, options: str = "{}") -> Json:
        """`options` is JavaScript."""
        found: Json = self.page.evaluate(f"() => open_offline({options})")
        return found

    def refresh(self) -> Json:
        found: Json = self.page.evaluate("() => off.refresh()")
        return found

    def check(self, code: str, purpose: str = "other", scan_id: str | None = None, way: str = "camera") -> Json:
        about = {"purpose": purpose, "scan_id": scan_id or str(uuid.uuid4()), "way": way}
        found: Json = self.page.evaluate("([code, about]) => off.check(code, about)", [code, about])
        return found

    def said(self, code: str, purpose: str = "other") -> tuple[str, str]:
        answer = self.check(code, purpose)
        return answer["outcome"], answer["reason"]

    def pending(self) -> int:
        return int(self.page.evaluate("() => off.pending()"))

    def flush(self) -> int:
        return int(self.page.evaluate("() => off.flush()"))

    def run(self, script: str, argument: object = None) -> Any:
        return self.page.evaluate(script, argument)


@dataclass
class Shop:
    """The verifier, its issuer, and browsers before it."""

    house: House
    issuer: Issuer
    bundles: CounterBundles
    url: str
    browser: Browser
    group: Json
    contexts: list[BrowserContext] = field(default_factory=list)
    entries: int = 10
    version: str = ""  # in place of the built page's own, for its service worker

    def card(self, **changes: object) -> Card:
        """A card with an entry of its own; `device.entry` says which."""
        self.entries += 1
        device, world = DeviceKey.generate(), self.issuer.world
        credential = world.credential(device, **changes)
        credential = replace(credential, status=replace(credential.status, index=self.entries))
        return Card(world, device, world.compact(credential))

    def lose(self, entry: int, value: EcardStatus = EcardStatus.SUSPENDED) -> None:
        """A delta says so, and the verifier has taken it."""
        self.issuer.change(entry, value)
        self.bundles.turn()

    def context(self) -> BrowserContext:
        context = self.browser.new_context()
        self.contexts.append(context)
        return context

    def tab(self, context: BrowserContext | None = None, *, counter_id: str | None = None, admit: bool = True) -> Tab:
        """A tab, in a fresh profile whose page was admitted to a counter of its own, unless one is given."""
        fresh = context is None
        context = context or self.context()
        page = context.new_page()
        page.add_init_script(KIT)
        page.goto(f"{self.url}/try")
        if fresh and admit:
            code = self.house.admission(self.group, counter_id or self.house.counter(self.group))
            status = page.evaluate(
                "async (code) => { const headers = { 'Content-Type': 'application/json' };"
                " const body = JSON.stringify({ admission_code: code });"
                " return (await fetch('/v1/counter/session', { method: 'POST', headers, body })).status; }",
                code,
            )
            assert status == 201
        return Tab(page)

    def ready(self) -> Tab:
        """A tab that knows what there is to know."""
        tab = self.tab()
        tab.open()
        assert tab.refresh()["usable"]
        return tab

    def shift(self, tab: Tab) -> list[Json]:
        rows: list[Json] = tab.run("async () => (await (await fetch('/v1/counter/shift')).json()).rows")
        return rows

    def client(self) -> TestClient:
        return self.house.operator

    def done(self) -> None:
        for context in self.contexts:
            context.close()
        self.contexts.clear()


def _try(_: Request) -> HTMLResponse:
    """An empty page under the policy of the counter's."""
    policy = "default-src 'none'; script-src 'self'; connect-src 'self'"
    return HTMLResponse("<!doctype html><title>try</title>", headers={"Content-Security-Policy": policy})


async def _worker(shop: Shop, _: Request) -> Response:
    """The service worker as built, or as one of another version."""
    text = (needs_counter_page() / "sw.js").read_text(encoding="utf-8")
    if shop.version:
        text = re.sub(r"\"[0-9a-f]{12}\"", f'"{shop.version}"', text, count=1)
    policy = "default-src 'none'; connect-src 'self'"
    headers = {"Cache-Control": "no-cache", "Service-Worker-Allowed": "/counter", "Content-Security-Policy": policy}
    return Response(text, media_type="text/javascript", headers=headers)


@contextmanager
def open_shop() -> Iterator[Shop]:
    """For a module: one server, one browser."""
    clock = RealClock()
    world = World(now=datetime.now(UTC).replace(microsecond=0))
    issuer = Issuer(world, clock)
    bundles = CounterBundles({world.issuer: issuer}, lambda: world.root, lambda: 1, clock)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        house = open_house(Path(folder), world, bundles=bundles, clock=clock)
        house.app.router.routes.extend(
            [
                Route("/try", _try),
                Mount("/modules", StaticFiles(directory=MODULES)),
            ]
        )
        with running(house.app) as url:
            shop = Shop(house, issuer, bundles, url, browser, house.group("a chain"))
            house.app.router.routes.insert(0, Route("/counter/sw.js", partial(_worker, shop)))
            try:
                yield shop
            finally:
                shop.done()
