"""An off-the-shelf OpenID Connect client (Authlib) logs people in through a real browser (Chromium): the QR code is
read off the screen, and a phone that is a script scans it, chooses the number and confirms."""

from __future__ import annotations

import io
import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import zxingcpp
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from starlette.types import ASGIApp

from ecard_card import jose
from ecard_issuer.web.app import create_app
from tests.issuer.channel_kit import admit
from tests.issuer.login_kit import SECRET, Phone, register_site
from tests.issuer.service import Clock, Service, open_service
from tests.journeys.channels.login_site import site
from tests.require import needs_chromium
from tests.verifier.http_kit import serving_thread

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
#: Where screenshots go, for somebody to look at them.
PICTURES = os.environ.get("SCREENSHOTS")


class Now(Clock):
    """The machine's own time, which the site's library reads too."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)


@contextmanager
def serving(app: ASGIApp, listener: socket.socket) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=1))
    with serving_thread(server, listener):
        yield


def listening(stack: ExitStack) -> tuple[socket.socket, str]:
    listener = stack.enter_context(socket.socket())
    listener.bind(("127.0.0.1", 0))
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


@dataclass
class Street:
    """A provider and two sites on ports of their own, a phone, and a browser."""

    service: Service
    phone: Phone
    jobs: str
    pension: str
    browser: Browser

    def open(self, language: str = "zh-CN", **said: Any) -> Page:
        return self.browser.new_context(locale=language, viewport={"width": 1200, "height": 860}, **said).new_page()


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    chromium = needs_chromium()
    with ExitStack() as stack:
        listener, origin = listening(stack)
        jobs_listener, jobs = listening(stack)
        pension_listener, pension = listening(stack)
        service = open_service(tmp_path_factory.mktemp("street"), Now(), origin=origin)
        stack.callback(service.issuer.close)
        app = create_app(service.issuer)
        key = ec.generate_private_key(ec.SECP256R1())
        point = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        register_site(service, "jobs", f"{jobs}/back")
        signing = {"auth": "private_key_jwt", "secret_sha256": None, "keys": [jose.jwk_of(point)]}
        names = {"zh": "养老服务网", "en": "Pensions online"}
        register_site(service, "pension", f"{pension}/back", login=signing, names=names)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        stack.enter_context(serving(app, listener))
        stack.enter_context(serving(site(origin, "login.jobs", jobs, secret=SECRET), jobs_listener))
        stack.enter_context(serving(site(origin, "login.pension", pension, private_key=pem), pension_listener))
        phone = Phone(service, admit(service, app=app))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        stack.callback(browser.close)
        yield Street(service, phone, jobs, pension, browser)


def picture(page: Page, name: str) -> Image.Image:
    image = Image.open(io.BytesIO(page.screenshot()))
    if PICTURES:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        image.save(Path(PICTURES) / f"{name}.png")
    return image


def scanned(street: Street, page: Page, name: str = "code") -> dict[str, Any]:
    """The phone scans what the screen shows."""
    page.locator(".code svg").wait_for()
    (code,) = zxingcpp.read_barcodes(picture(page, name))
    return street.phone.read(street.phone.scan(code.text))


def logged_in(street: Street, page: Page, name: str = "code") -> dict[str, Any]:
    """From the page with the code to the site's own page."""
    request = scanned(street, page, name)
    number = page.locator(".number").inner_text(timeout=10_000)
    picture(page, f"{name}-number")
    assert number in request["numbers"]
    assert street.phone.confirm(request, number).status_code == 200
    user = json.loads(page.locator("#user").inner_text(timeout=10_000))
    assert isinstance(user, dict)
    return user


def test_an_off_the_shelf_client_logs_in_by_a_scan(street: Street) -> None:
    page = street.open()
    page.goto(street.jobs)
    page.click("#login")
    jobs = logged_in(street, page)
    assert page.url == f"{street.jobs}/"
    assert (jobs["token"]["aud"], jobs["token"]["acr"]) == ("login.jobs", "urn:ecard:acr:chip")
    assert jobs["told"]["sub"] == jobs["token"]["sub"]
    assert "*" in jobs["told"]["name_masked"]
    # The way back is good once: the same address again is refused by the site, and its state is used up.
    assert page.request.get(f"{street.jobs}/back?code=x&state=used").status == 400

    other = street.open("en")
    other.goto(f"{street.pension}/login")
    pension = logged_in(street, other, "pension")
    assert pension["token"]["aud"] == "login.pension"
    assert pension["token"]["sub"] != jobs["token"]["sub"]


def test_the_pages_work_without_a_script(street: Street) -> None:
    page = street.open(java_script_enabled=False)
    page.goto(f"{street.jobs}/login")
    assert logged_in(street, page, "without-script")["token"]["aud"] == "login.jobs"


def test_what_ends_on_the_phone_ends_on_the_screen_and_a_cancelled_login_goes_back(street: Street) -> None:
    page = street.open()
    page.goto(f"{street.jobs}/login")
    request = scanned(street, page)
    page.locator(".number").wait_for()
    assert street.phone.deny(request).status_code == 200
    page.get_by_role("heading", name="您在手机上拒绝了登录").wait_for(timeout=10_000)
    picture(page, "denied")
    page.get_by_role("link", name="返回网站").click()
    expect(page.locator("#error")).to_have_text("access_denied")

    page.goto(f"{street.jobs}/login")
    page.get_by_role("button", name="取消登录").click()
    expect(page.locator("#error")).to_have_text("access_denied")


def test_a_state_from_another_login_is_refused_by_the_site(street: Street) -> None:
    """An attacker's own code, put into a victim's browser with a state that this browser never gave."""
    victim = street.open()
    victim.goto(f"{street.jobs}/back?code={'a' * 32}.{'b' * 64}&state=used&iss={street.service.issuer.identity.issuer}")
    assert victim.locator("#error").inner_text() == "mismatching_state"


def test_dark_and_narrow(street: Street) -> None:
    page = street.open(color_scheme="dark")
    page.goto(f"{street.jobs}/login")
    page.locator(".code svg").wait_for()
    dark = picture(page, "dark")
    assert len(zxingcpp.read_barcodes(dark)) == 1, "black on white whatever the theme"
    page.set_viewport_size({"width": 390, "height": 844})
    picture(page, "narrow")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.goto(f"{street.service.issuer.identity.issuer}/l/{'a' * 22}")
    picture(page, "opened-by-a-camera")
