"""A page that shows an e-card in a real browser: the whole service behind it, a host page on another origin, and time
that both sides are told."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import uvicorn
import zxingcpp
from PIL import Image, ImageFilter
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ecard_card.region_policy import STRICT, ClaimRules
from ecard_card.status import CardChange
from ecard_issuer.assembly import Issuer, build
from ecard_issuer.chip.judge import Anchor, Anchors
from ecard_issuer.chip.simulator import ChipAuthority
from ecard_issuer.config import load
from ecard_issuer.links.values import Link
from ecard_issuer.web.embedded import Verifier, embed
from ecard_keys.client_signer import ClientSigner
from ecard_qr.challenge import Challenge
from ecard_verifier.feed import STREAM
from ecard_verifier.service import Asked
from tests.issuer.channel_kit import admitted, registration
from tests.issuer.links_kit import claimed
from tests.issuer.service import Clock, Service
from tests.issuer.template import place_register
from tests.verifier.feed_kit import wait_for
from tests.verifier.http_kit import serving_thread

CHROMIUM_FLAGS = tuple(
    f"--{name}"
    for name in (
        *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync"),
        *("disable-background-networking", "disable-component-update"),
        "disable-features=LocalNetworkAccessChecks",  # the host page is a name that only the browser knows
    )
)
#: Codes that the region lets a page hold.
AHEAD = 3
#: Seconds by which time passes at once: less than two clocks may differ.
STEP = 20.0
#: The channel's own page. The browser is handed it; nothing is asked of that name.
HOST = "https://card.bank.example"

#: A host page as strict as one can be that runs our script at all.
HOST_POLICY = "default-src 'none'; script-src {service} 'unsafe-inline'; connect-src {service}; style-src 'none'"


class Time(Clock):
    """The service's clock: the machine's, moved by what a test says."""

    ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def advance(self, seconds: float) -> datetime:
        self.ahead += timedelta(seconds=seconds)
        return self()


class Dated:
    """`Date` by the service's clock, as a server that lives at that time would write it."""

    def __init__(self, app: ASGIApp, clock: Time) -> None:
        self._app, self._clock = app, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Date"] = format_datetime(self._clock(), usegmt=True)
            await send(message)

        await self._app(scope, receive, dated)


@dataclass
class Stage:
    """Everything behind the screen, and the browser before it."""

    town: Service
    app_id: str
    verifier: Verifier
    clock: Time
    service: str
    browser: Browser
    serial: int = 0
    pages: list[BrowserContext] = field(default_factory=list)

    @property
    def issuer(self) -> Issuer:
        return self.town.issuer

    def link(self) -> Link:
        """Of a person of their own."""
        self.serial += 1
        return self.issuer.links.get(self.app_id, claimed(self.town, self.app_id, self.serial))

    def ticket(self, link: Link, origin: str | None = HOST) -> str:
        """As the channel's back end fetches one for its page."""
        return self.issuer.showing.tickets.issue(link.app_id, link.link_id, origin, self.clock()).secret

    def change(self, link: Link, what: CardChange) -> None:
        """Something happens to the card."""
        card_ref = self.issuer.register.card_of_ecard(link.ecard_id)
        assert card_ref is not None
        self.issuer.lifecycle.change(card_ref, what, self.clock())

    def caught_up(self) -> None:
        """Until the verifier has heard of everything that the register knows."""
        (mirror,) = self.verifier.mirrors
        register = self.issuer.register
        wait_for(
            lambda: (
                register.oldest_pending() is None
                and mirror.position == register.feed_head(STREAM)
                and (mirror.as_of or 0) >= self.clock().timestamp() - 5
            )
        )

    def verdict(self, code: str, *, answers: Challenge | None = None) -> str:
        """What a counter hears about a code; one that asked first, with its question."""
        self.caught_up()
        asked = Asked(None if answers is None else answers.answer)
        verdict = self.verifier.service.verify(code, asked=asked).verdict
        return f"{verdict.outcome.value} {verdict.reason}"

    def screen(self, host: str = HOST, phone_ahead: float = 0, **options: Any) -> Screen:
        """A fresh browser profile with a host page; the phone's clock is `phone_ahead` seconds ahead."""
        context = self.browser.new_context(viewport={"width": 390, "height": 844}, **options)
        self.pages.append(context)
        page = context.new_page()
        page.clock.install(time=self.clock() + timedelta(seconds=phone_ahead))
        context.route(f"{host}/**", self._hand_out)
        return Screen(self, context, page, host, phone_ahead)

    def _hand_out(self, route: Route) -> None:
        make = framing_page if "/framed" in route.request.url else host_page
        content, headers = make(self.service, route.request.url)
        route.fulfill(body=content, content_type="text/html; charset=utf-8", headers=headers)


@dataclass
class Screen:
    """One page with one `<ecard-code>`."""

    stage: Stage
    context: BrowserContext
    page: Page
    host: str = HOST
    phone_ahead: float = 0
    errors: list[str] = field(default_factory=list)

    def open(self, ticket: str | None = None, attributes: str = "lang=en", fragment: str = "") -> Screen:
        """Load the host page; `ticket` is given as the page's own script does."""
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(f"{self.host}/?{attributes.replace(' ', '&')}{fragment}")
        if ticket is not None:
            self.give(ticket)
        return self

    def give(self, ticket: str) -> None:
        """As the page's own script does; returns when something came of it."""
        self.page.evaluate(
            "ticket => { const e = document.querySelector('ecard-code'); e.ticket = ticket; return e._opened }", ticket
        )

    def opened(self, ticket: str, attributes: str = "lang=en") -> Screen:
        self.open(ticket, attributes)
        self.wait("live")
        return self

    @property
    def element(self) -> Locator:
        return self.page.locator("ecard-code")

    def part(self, name: str) -> Locator:
        return self.element.locator(f"[part={name}]")

    def wait(self, phase: str) -> None:
        self.page.wait_for_function("phase => document.querySelector('ecard-code').phase === phase", arg=phase)

    def said(self) -> str:
        """What stands below the code."""
        return self.part("status").inner_text()

    def wait_for_text(self, part: str, text: str) -> None:
        self.part(part).filter(has_text=text).wait_for()

    def events(self, name: str) -> list[Any]:
        """Details of the element's events of that name so far, oldest first."""
        found: list[Any] = self.page.evaluate("name => events.filter(e => e[0] === name).map(e => e[1])", name)
        return found

    def wait_for_codes(self, count: int) -> None:
        """Until so many were shown."""
        self.page.wait_for_function("count => events.filter(e => e[0] === 'refresh').length >= count", arg=count)

    def pass_time(self, seconds: float) -> None:
        """On both sides, in steps: an answer in the midst of one tells the page a time that is ahead by what is left of
        it. A slow machine lets the browser's clock drift meanwhile, and the service's follows it."""
        while seconds > 0:
            step = min(seconds, STEP)
            seconds -= step
            self.stage.clock.advance(step)
            self.page.clock.run_for(round(step * 1000))
            shown = datetime.fromtimestamp(self.page.evaluate("Date.now()") / 1000 - self.phone_ahead, UTC)
            self.stage.clock.ahead += shown - self.stage.clock()

    def photo(self, scale: float = 1, blur: float = 0) -> Image.Image:
        """The element as a camera sees it."""
        picture = Image.open(io.BytesIO(self.element.screenshot(animations="disabled"))).convert("RGB")
        if scale != 1:
            size = round(picture.width * scale), round(picture.height * scale)
            picture = picture.resize(size, Image.Resampling.BILINEAR)
        return picture.filter(ImageFilter.GaussianBlur(blur)) if blur else picture

    def scan(self, *, scale: float = 1, blur: float = 0, kind: str = "QRCode") -> str | None:
        """What a scanner reads off the screen."""
        wanted = getattr(zxingcpp.BarcodeFormat, kind)
        found = zxingcpp.read_barcodes(self.photo(scale, blur), formats=wanted)
        return found[0].text if found else None


@contextmanager
def stage(folder: Path, browser: Browser) -> Iterator[Stage]:
    """The service on one port, a host page on another."""
    clock = Time()
    chips = ChipAuthority.create(clock())
    place_register(folder)
    with ExitStack() as stack:
        listener = stack.enter_context(_listener())
        service = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = load(data_dir=folder, public_origin=service, regions=("000000",), approvals_needed=0)
        anchors = Anchors((Anchor("test: chip CA", chips.der),), allow_test=True)
        policy = replace(STRICT, claims=ClaimRules(codes_ahead=AHEAD))
        issuer = build(settings, clock=clock, anchors=anchors, policy_of=lambda region, now: policy)
        town = Service(issuer, clock, chips)
        app_id = admitted(town, registration(ClientSigner.generate(), browser_origins=[HOST])).app_id
        embedded = embed(issuer)
        stack.enter_context(_serving(Dated(embedded.app, clock), listener))
        stack.callback(issuer.hub.close)
        made = Stage(town, app_id, embedded.verifier, clock, service, browser)
        yield made
        for context in made.pages:
            context.close()


def host_page(service: str, asked: str) -> tuple[str, dict[str, str]]:
    """A channel's page and its headers; the attributes of the element come in its query."""
    given = {name: values[0] for name, values in parse_qs(urlsplit(asked).query, keep_blank_values=True).items()}
    attributes = " ".join(f'{name}="{value}"' for name, value in given.items() if name != "lang")
    content = f"""<!doctype html><html lang="{given.get("lang", "en")}"><meta charset="utf-8"><title>host</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
<script src="{service}/ecard-code.js"></script>
<script>const events = [];
for (const name of ['brighten', 'dead', 'lost', 'refresh', 'ticket', 'error', 'agreed', 'declined'])
  document.addEventListener('ecard:' + name, event => events.push([name, event.detail]));</script>
<body><ecard-code {attributes}></ecard-code></body></html>"""
    return content, {"Content-Security-Policy": HOST_POLICY.format(service=service)}


def framing_page(service: str, asked: str) -> tuple[str, dict[str, str]]:
    """A channel's page that shows the authority's own page in a frame; the frame's address comes in the query."""
    (source,) = parse_qs(urlsplit(asked).query)["src"]
    content = f"""<!doctype html><meta charset="utf-8"><title>host</title><script>const told = [];
addEventListener('message', event => told.push([event.origin, event.data.type]));</script>
<iframe src="{service}{source}" width="380" height="800"></iframe>"""
    return content, {"Content-Security-Policy": f"default-src 'none'; script-src 'unsafe-inline'; frame-src {service}"}


def _listener() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    return listener


def _serving(app: ASGIApp, listener: socket.socket) -> Any:
    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        timeout_graceful_shutdown=1,
        date_header=False,
        ws="none",
        lifespan="auto",
    )
    return serving_thread(uvicorn.Server(config), listener)
