"""The clerk's whole way in a real browser: page, agent, pcscd and chips; what is on the screen after each step."""

from __future__ import annotations

import os
import re
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright
from starlette.testclient import TestClient

from ecard_issuer.chip.simulator import ChipAuthority, VirtualChip, first_generation, piv_style
from ecard_issuer.chip.simulator.data import synthetic
from ecard_issuer.chip.vpcd import VpcdLink
from ecard_issuer.web.app import create_app
from ecard_sdk.device import DeviceKey
from ecard_verifier.callers import Role
from tests.device_pcsc import daemon as private
from tests.device_pcsc.agent_kit import RunningAgent, running
from tests.device_pcsc.conftest import needs_pcsc
from tests.issuer.service import START, Service, open_service
from tests.journeys.channels.test_login_browser import ARGUMENTS, Now, listening, serving
from tests.require import needs_chromium

pytestmark = pytest.mark.pcsc
PICTURES = os.environ.get("SCREENSHOTS")
SERIAL = 4071
DATA = synthetic(SERIAL)


@dataclass
class Outlet:
    """A service, one clerk's machine, and a browser on it."""

    service: Service
    operator: TestClient
    origin: str
    daemon: private.Daemon
    agent: RunningAgent
    browser: Browser

    def page(self, language: str = "zh-CN") -> Page:
        return self.browser.new_context(locale=language, viewport={"width": 1000, "height": 1100}).new_page()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def outlet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outlet]:
    library, chromium = needs_pcsc(), needs_chromium()
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patched:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ecard-pcsc-", ignore_cleanup_errors=True)))
        port = _free_port()
        patched.setenv("ECARD_DESK_PORT", str(port))
        listener, origin = listening(stack)
        service = open_service(tmp_path_factory.mktemp("outlet"), Now(), origin=origin)
        stack.callback(service.issuer.close)
        app = create_app(service.issuer)
        stack.enter_context(serving(app, listener))
        headers = {"Authorization": f"Bearer {service.token(Role.OPERATOR)}"}
        operator = TestClient(app, headers=headers)
        assert operator.post("/v1/cards", json=service.card_body(SERIAL)).status_code == 201
        daemon = stack.enter_context(private.running(place, library))
        agent = stack.enter_context(running(place / "state", daemon.environment, origin=origin, port=port))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        stack.callback(browser.close)
        yield Outlet(service, operator, origin, daemon, agent, browser)


@contextmanager
def card_in(outlet: Outlet, chip: VirtualChip, slot: int = 0) -> Iterator[None]:
    with VpcdLink(chip, port=outlet.daemon.slots[slot].port):
        yield


def entered(outlet: Outlet, language: str = "zh-CN") -> Page:
    """A page at which a clerk has entered."""
    page = outlet.page(language)
    page.goto(f"{outlet.origin}/desk")
    page.locator("body[data-ready]").wait_for()
    page.fill("#token", outlet.service.token(Role.DESK))
    page.press("#token", "Enter")
    expect(page.locator("#desk")).to_be_visible()
    return page


def outcome(page: Page, kind: str, text: str = "", name: str = "") -> None:
    """Word, shape and text of an outcome."""
    place = page.locator(f"#outcome[data-outcome={kind}]")
    expect(place).to_contain_text(text, timeout=20_000)
    expect(place.locator("svg path")).to_have_count(1)
    if PICTURES and name:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(PICTURES) / f"{name}.png")


def filled(page: Page) -> None:
    expect(page.locator("#field-card_number")).to_have_text("*****" + DATA.card_number[-4:], timeout=20_000)


def cleared(page: Page) -> None:
    expect(page.locator("#fields")).to_be_hidden(timeout=20_000)
    assert page.locator("#field-card_number").text_content() == ""
    assert page.locator("#field-identification_code").text_content() == ""
    assert {box.input_value() for box in page.locator("#acts input").all()} == {""}
    assert page.locator("#check").is_disabled()


def test_a_clerk_pairs_reads_enrols_checks_and_changes_the_pin(outlet: Outlet) -> None:
    """The one journey of docs/desk.md, with what each step puts on the screen."""
    page = entered(outlet)
    expect(page.locator("#agent")).to_have_attribute("data-state", "unpaired", timeout=20_000)
    page.fill("#code", "AAAA-AAAA")
    page.press("#code", "Enter")
    outcome(page, "undecided", "desk_code_wrong")
    page.fill("#code", outlet.agent.code())
    page.press("#code", "Enter")
    expect(page.locator("#agent")).to_have_attribute("data-state", "running", timeout=20_000)

    chip = outlet.service.chip(SERIAL)
    with card_in(outlet, chip):
        filled(page)
    cleared(page)

    enrolments: list[str] = []
    page.on("response", lambda answer: enrolments.append(answer.json()["enrolment_id"]) if _proven(answer) else None)
    with card_in(outlet, chip):
        filled(page)
        assert DATA.identification_code not in page.inner_text("body")
        page.click("#reveal")
        expect(page.locator("#field-identification_code")).to_have_text(DATA.identification_code)
        page.click("#check")
        outcome(page, "check", "尚未签发")
        page.click("#enrol")
        outcome(page, "valid", "芯片已验证", "desk-enrolled-zh")
        device = DeviceKey.generate()
        proof = device.proof(outlet.origin, enrolments[0], outlet.service.clock())
        body = {"device_key": device.public_jwk, "proof": proof}
        issued = outlet.operator.post(f"/v1/enrolments/{enrolments[0]}/credentials", json=body)
        assert issued.status_code == 201, issued.text
        page.click("#check")
        outcome(page, "valid", "电子社保卡一致", "desk-checked-zh")
        page.click("#change-pin >> xpath=.. >> summary")
        for box, typed in (("#old", "123456"), ("#fresh", "846207"), ("#again", "846207")):
            page.fill(box, typed)
        page.press("#again", "Enter")
        outcome(page, "valid", "芯片内的密码均已修改")
        lost = {"request_id": "l-1", "card_ref": _card_ref(outlet), "kind": "formal"}
        answer = outlet.operator.post("/v1/losses", json=lost)
        assert answer.status_code == 201, answer.text
        page.click("#check")
        outcome(page, "invalid", "正式挂失", "desk-lost-zh")
        page.click("#language")
        expect(page.locator("#check")).to_have_text("Check against the e-card")
        page.click("#check")
        outcome(page, "invalid", "formally lost", "desk-lost-en")
    cleared(page)
    page.click("#language")
    _replaced(outlet, page)
    page.click("#leave")
    expect(page.locator("#entry")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0
    page.context.close()


def _replaced(outlet: Outlet, page: Page) -> None:
    """The lost card's successor is collected at the page; the e-card goes on with it."""
    order = {"request_id": "r-1", "card_ref": _card_ref(outlet), "reason": "loss"}
    case_id = outlet.operator.post("/v1/replacements", json=order).json()["case_id"]
    fresh = outlet.service.card_body(SERIAL + 1) | {"holder": outlet.service.card_body(SERIAL)["holder"]}
    made = {"card_ref": outlet.operator.post("/v1/cards", json=fresh).json()["card_ref"]}
    assert outlet.operator.post(f"/v1/replacements/{case_id}/made", json=made).status_code == 200
    assert outlet.operator.post(f"/v1/replacements/{case_id}/ready").status_code == 200
    with card_in(outlet, outlet.service.chip(SERIAL + 1)):
        expect(page.locator("#field-card_number")).to_have_text("*****" + fresh["card_number"][-4:], timeout=20_000)
        page.click("#replace >> xpath=.. >> summary")
        page.fill("#case", case_id)
        page.press("#case", "Enter")
        outcome(page, "valid", "电子社保卡已转到新卡", "desk-replaced-zh")
        page.click("#check")
        outcome(page, "valid", "电子社保卡一致")
        page.click("#enrol")
        outcome(page, "valid", "芯片已验证")
        page.click("#offer")
        outcome(page, "valid", "6 位数字", "desk-offer-zh")
        assert re.search(r": \d{6}\n.*openid-credential-offer://", page.inner_text("#outcome"), re.DOTALL)
        page.click("#reveal")  # the link and the digits stay while the card is in
        expect(page.locator("#outcome")).to_contain_text("openid-credential-offer")
        page.click("#reset-pin >> xpath=.. >> summary")
        for box, typed in (("#document", DATA.id_number), ("#reset-fresh", "538216"), ("#reset-again", "538216")):
            page.fill(box, typed)
        page.press("#reset-again", "Enter")
        outcome(page, "valid", "登记的密码已修改")
        page.click("#enrol")
        outcome(page, "valid", "芯片已验证")
        page.click("#offer")
        outcome(page, "valid", "6 位数字")
    cleared(page)
    expect(page.locator("#outcome")).to_be_empty()
    assert page.locator("#offer").is_hidden()


def _proven(answer: Any) -> bool:
    return bool(answer.url.endswith("/evidence") and answer.status == 200)


def _card_ref(outlet: Outlet) -> str:
    found = outlet.operator.post("/v1/cards/find", json={"card_number": DATA.card_number}).json()["cards"]
    return str(found[0]["card_ref"])


def test_a_forgery_a_doubt_and_two_cards_are_told_apart(outlet: Outlet) -> None:
    """A forged chip is invalid, one that nobody can judge undecided; two cards want a choice."""
    page = outlet.page("en-US")
    page.goto(f"{outlet.origin}/desk")
    page.locator("body[data-ready]").wait_for()
    for token in ("x" * 43, outlet.service.token(Role.COUNTER)):
        page.fill("#token", token)
        page.press("#token", "Enter")
        outcome(page, "invalid", "not a desk's")
    expect(page.locator("#desk")).to_be_hidden()
    page.context.close()

    page = entered(outlet, "en-US")
    page.fill("#code", outlet.agent.code())
    page.press("#code", "Enter")
    expect(page.locator("#agent")).to_have_attribute("data-state", "running", timeout=20_000)
    forged = piv_style(now=START, authority=ChipAuthority.create(START), data=DATA)
    with card_in(outlet, forged):
        filled(page)
        page.click("#check")
        outcome(page, "invalid", "chip_certificate_untrusted")
    cleared(page)
    with card_in(outlet, first_generation(data=DATA)):
        filled(page)
        page.click("#check")  # of the shared-key kind, and this service knows nobody who could judge its answer
        outcome(page, "undecided", "chip_key_holder_unavailable", "desk-undecided-en")
        with card_in(outlet, first_generation(data=synthetic(9)), 1):
            expect(page.locator("#reader option")).to_have_count(3)
            page.select_option("#reader", outlet.daemon.slots[1].reader)
            expect(page.locator("#field-card_number")).to_have_text(
                "*****" + synthetic(9).card_number[-4:], timeout=20_000
            )
    cleared(page)
    _late(outlet, page)
    page.click("#unpair")
    expect(page.locator("#agent")).to_have_attribute("data-state", "unpaired", timeout=20_000)
    page.context.close()


def _late(outlet: Outlet, page: Page) -> None:
    """An answer that comes when its card is gone fills nothing."""
    held: list[Route] = []
    page.route("**/card/read", lambda route: held.append(route))
    expect(page.locator("#card-state")).to_have_text("Insert the card", timeout=20_000)
    with card_in(outlet, first_generation(data=DATA), 1):  # the reader that was chosen
        expect(page.locator("#card-state")).to_have_text("Reading…", timeout=20_000)
    expect(page.locator("#card-state")).to_have_text("Insert the card", timeout=20_000)
    card = {"reader": outlet.daemon.slots[1].reader, "holder": None, "card_number": DATA.card_number}
    held[0].fulfill(json=card, headers={"Access-Control-Allow-Origin": outlet.origin})
    page.unroute("**/card/read")
    page.evaluate("new Promise(done => setTimeout(done))")
    cleared(page)


def test_another_page_in_the_same_browser_reaches_nothing(outlet: Outlet) -> None:
    """Neither by fetch nor by a WebSocket, which knows no same-origin rule."""
    page = outlet.page()
    page.route("https://evil.example/", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
    page.goto("https://evil.example/")
    assert page.evaluate(_FETCH, outlet.agent.base) == "refused"
    assert page.evaluate(_SOCKET, outlet.agent.port) == "refused"
    page.context.close()


_FETCH = "base => fetch(base + '/version').then(answer => answer.text(), () => 'refused')"
_SOCKET = """port => new Promise(done => {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/events`, ['ecard-desk.1']);
  socket.onopen = () => done('open');
  socket.onerror = () => done('refused');
})"""
