"""Scan to log in: what a site, a browser and a phone do to each other over HTTP, and what becomes of an attacker."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from ecard_card.errors import CheckFailed, EcardError, NotFound, RuleViolation
from ecard_card.status import CardChange
from ecard_issuer.channels.scopes import Scope
from ecard_issuer.links.values import LinkEnd
from ecard_issuer.oauth.client_assertion import ASSERTION_TYPE
from ecard_issuer.pins.secret import Secret
from ecard_issuer.relying.claims import Claim
from ecard_issuer.relying.presence import Way
from ecard_issuer.relying.rules import Ask
from ecard_issuer.web.app import create_app
from ecard_keys.client_signer import ClientSigner, client_assertion
from ecard_sdk.device import DeviceKey
from ecard_verifier.callers import Caller, Role
from ecard_verifier.confirmation import verify_confirmation
from ecard_verifier.login_request import verify_login_request
from tests.contracts.register_world import refused
from tests.issuer.channel_kit import AdmittedChannel, admit
from tests.issuer.links_kit import evidence, judged, mandated, opened, person, prove
from tests.issuer.login_kit import Browser, Phone, claims_of, log_in, register_site
from tests.issuer.service import ORIGIN, Service, open_service

JOBS, PENSION = "https://jobs.example/back", "https://pension.example/back?from=ecard"


@dataclass
class Town:
    service: Service
    app: FastAPI
    bank: AdmittedChannel
    wallet: AdmittedChannel
    phone: Phone

    @property
    def bank_caller(self) -> Caller:
        return Caller(self.bank.app_id, Role.CHANNEL)

    def browser(self, client_id: str = "login.jobs", uri: str = JOBS, **said: Any) -> Browser:
        return Browser(self.app, self.service, client_id, uri, **said)

    def scanned(self, browser: Browser | None = None, **said: str | None) -> tuple[Browser, dict[str, Any]]:
        browser = browser or self.browser()
        return browser, self.phone.read(self.phone.scan(browser.begin(**said)))


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    service = open_service(tmp_path_factory.mktemp("login"))
    app = create_app(service.issuer)
    register_site(service, "jobs", JOBS)
    register_site(service, "pension", PENSION, names={"zh": "养老服务网", "en": "Pensions online"})
    bank, wallet = admit(service, app=app), admit(service, app=app)
    yield Town(service, app, bank, wallet, Phone(service, bank))
    service.issuer.close()


@pytest.fixture(autouse=True)
def fresh(town: Town) -> None:
    """Each test has its own minutes; the trust list is kept fresh, as a running service does."""
    town.service.issuer.keys.refresh(town.service.clock.advance(700))


def test_somebody_logs_in(town: Town) -> None:
    browser = town.browser()
    answer = log_in(browser, town.phone)
    assert (answer["token_type"], answer["expires_in"], answer["scope"]) == ("Bearer", 300, "openid profile")
    token = claims_of(answer["id_token"])
    assert (token["iss"], token["aud"], token["nonce"]) == (ORIGIN, "login.jobs", "no-1")
    assert (token["acr"], token["amr"]) == ("urn:ecard:acr:chip", ["pop", "urn:ecard:amr:number"])
    told = browser.client.get("/login/userinfo", headers={"Authorization": f"Bearer {answer['access_token']}"})
    assert told.status_code == 200, told.text
    assert told.json().keys() == {"sub", "name_masked"}
    assert told.json()["sub"] == token["sub"]


def test_the_app_is_told_which_site_and_which_desktop_and_what_it_will_know(town: Town) -> None:
    browser = town.browser()
    browser.client.headers["User-Agent"] = "Mozilla/5.0 (Windows NT 10.0) Chrome/130.0 Safari/537.36 Edg/130.0"
    text = browser.begin(scope="openid profile id_number", acr_values="urn:ecard:acr:chip urn:ecard:acr:device")
    scanned = town.phone.scan(text)
    said = verify_login_request(
        scanned.json()["signed"],
        town.service.issuer.keys.trust(town.service.clock()),
        town.service.clock(),
        app_id=town.bank.app_id,
    )
    assert (said.client_id, said.name_zh, said.name_en, said.host) == (
        "login.jobs",
        "就业服务网",
        "Jobs online",
        "jobs.example",
    )
    assert (said.region, said.address, said.device) == ("unknown", "unknown", "Windows, Edge")
    assert (said.acr, said.claims) == ("urn:ecard:acr:device", ("name_masked", "personal_administrative_number"))
    assert said.must_be_camera
    assert said.request_id == scanned.json()["request_id"] != browser.transaction
    assert browser.number() in said.numbers
    with refused(CheckFailed, "wrong_audience"):
        verify_login_request(
            scanned.json()["signed"],
            town.service.issuer.keys.trust(town.service.clock()),
            town.service.clock(),
            app_id=town.wallet.app_id,
        )
    page = browser.page().text
    assert "Example Bank" in page
    assert "Jobs online" in page
    assert "<svg" not in page


def test_two_sites_cannot_tell_that_it_is_the_same_person(town: Town) -> None:
    first = claims_of(log_in(town.browser(), town.phone)["id_token"])
    again = claims_of(log_in(town.browser(), town.phone)["id_token"])
    other = claims_of(log_in(town.browser("login.pension", PENSION), town.phone)["id_token"])
    assert first["sub"] == again["sub"] != other["sub"]
    assert len({first["jti"], again["jti"], other["jti"]}) == 3


def test_a_site_may_sign_instead_of_keeping_a_secret(town: Town) -> None:
    signer = ClientSigner.generate()
    uri = "https://signing.example/back"
    login = {"auth": "private_key_jwt", "secret_sha256": None, "keys": [signer.public_jwk]}
    register_site(town.service, "signing", uri, login=login)
    browser, request = town.scanned(town.browser("login.signing", uri))
    town.phone.confirm(request, browser.number())
    code = browser.back()["code"]

    def sent(audience: str = ORIGIN, key: ClientSigner = signer, seconds: int = 0) -> dict[str, str]:
        now = town.service.clock() + timedelta(seconds=seconds)
        assertion = client_assertion(key, "login.signing", audience, now)
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}

    for wrong in (
        sent("https://other.example"),
        sent(key=ClientSigner.generate()),
        sent(seconds=600),
        sent(seconds=-600),
        {**sent(), "client_assertion_type": "jwt"},
        {**sent(), "client_assertion": "x"},
    ):
        assert browser.redeem(code, secret=None, **wrong).json()["error"] in ("invalid_client", "invalid_request")
    assert browser.redeem(code, **sent()).json()["error"] == "invalid_request"  # two ways at once
    assert browser.redeem(code).json()["error"] == "invalid_client"
    assert browser.redeem(code, secret=None, client_id="login.signing").status_code == 401
    good = sent()
    assert browser.redeem(code, secret=None, **good).status_code == 200
    assert browser.redeem(code, secret=None, **good).json()["error"] == "invalid_client"  # used before


def test_a_public_client_has_pkce_and_a_nonce(town: Town) -> None:
    uri = "https://spa.example/back"
    register_site(town.service, "spa", uri, login={"auth": "none", "secret_sha256": None})
    browser = town.browser("login.spa", uri)
    refused_ = browser.answer(browser.authorize(nonce=None))
    assert (refused_["error"], refused_["iss"], refused_["state"]) == ("invalid_request", ORIGIN, "st-1")
    _, request = town.scanned(browser)
    town.phone.confirm(request, browser.number())
    code = browser.back()["code"]
    assert browser.redeem(code, secret="s" * 43).json()["error"] == "invalid_client"
    answer = TestClient(town.app).post(
        "/login/token",
        data={
            "grant_type": "authorization_code",
            "client_id": "login.spa",
            "code": code,
            "redirect_uri": uri,
            "code_verifier": browser.verifier,
        },
    )
    assert answer.status_code == 200, answer.text


def test_the_password_is_enough_where_the_site_says_so_and_only_there(town: Town) -> None:
    uri = "https://library.example/back"
    register_site(town.service, "library", uri, login={"acr": "urn:ecard:acr:password"})
    link = town.service.issuer.links.get(town.bank.app_id, town.phone.link_id)
    passwords, now = town.service.issuer.holders.passwords, town.service.clock()
    passwords.set(link.ecard_id, Secret("836194"), town.bank_caller, now)

    browser, request = town.scanned(town.browser("login.library", uri))
    number = browser.number()
    assert town.phone.confirm(request, number, signed=False).json()["code"] == "login_proof_missing"
    assert town.phone.confirm(request, number, signed=False, password="000001").json()["code"] == "ecard_password_wrong"
    assert town.phone.confirm(request, number, signed=False, password="836194").status_code == 200
    token = claims_of(browser.redeem(browser.back()["code"]).json()["id_token"])
    assert (token["acr"], token["amr"]) == ("urn:ecard:acr:password", ["pwd", "urn:ecard:amr:number"])

    browser, request = town.scanned()
    weak = town.phone.confirm(request, browser.number(), signed=False, password="836194")
    assert weak.json()["code"] == "login_proof_too_weak"
    browser, request = town.scanned(acr_values="urn:ecard:acr:chip-password")
    number = browser.number()
    assert town.phone.confirm(request, number).json()["code"] == "login_proof_too_weak"
    assert town.phone.confirm(request, number, password="836194").status_code == 200
    token = claims_of(browser.redeem(browser.back()["code"]).json()["id_token"])
    assert (token["acr"], token["amr"]) == (
        "urn:ecard:acr:chip-password",
        ["pop", "pwd", "mfa", "urn:ecard:amr:number"],
    )


def test_a_relayed_code_logs_in_nobody(town: Town) -> None:
    """An attacker's desktop shows its code to a victim, who is in front of a desktop of their own."""
    attacker, victim = town.browser(), town.browser()
    stolen, own = attacker.begin(), victim.begin()
    assert stolen != own
    request = town.phone.read(town.phone.scan(stolen))
    # The victim's own desktop shows no number, and the page of the other one is nobody's but the attacker's.
    assert 'class="number"' not in victim.page().text
    foreign = victim.client.get(f"/login/wait/{attacker.transaction}")
    assert foreign.status_code == 404
    assert victim.client.get(f"/login/wait/{attacker.transaction}/state").status_code == 404
    assert victim.client.post(f"/login/wait/{attacker.transaction}/cancel").status_code == 404
    wrong = next(number for number in request["numbers"] if number != attacker.number())
    assert town.phone.confirm(request, wrong).json()["code"] == "login_number_wrong"
    assert "ended for your safety" in attacker.page().text
    assert attacker.page().status_code == 200
    for number in request["numbers"]:
        assert town.phone.confirm(request, number).json()["code"] == "login_request_ended"


def test_only_the_browser_that_asked_collects(town: Town) -> None:
    browser, request = town.scanned()
    assert town.phone.confirm(request, browser.number()).status_code == 200
    thief = town.browser()
    thief.begin()
    assert thief.client.get(f"/login/wait/{browser.transaction}").status_code == 404
    cookie = f"ecard-login={browser.cookie}"  # without the prefix it is another cookie
    bare = TestClient(town.app, base_url=ORIGIN, follow_redirects=False)
    assert bare.get(f"/login/wait/{browser.transaction}", headers={"Cookie": cookie}).status_code == 404
    before = browser.cookie
    assert "code" in browser.back()
    assert not [cookie for cookie in browser.client.cookies.jar if "ecard-login" in cookie.name]
    assert browser.page().status_code == 404  # what was before the login is over
    browser.begin()
    assert browser.cookie != before


def test_the_cookie_is_the_host_s_own_and_out_of_reach_of_scripts(town: Town) -> None:
    answer = town.browser().authorize()
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-ecard-login=")
    flags = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert flags == {"path=/", "secure", "httponly", "samesite=lax"}


def test_a_code_lives_a_minute_and_the_page_turns_it_before(town: Town) -> None:
    browser = town.browser()
    first = browser.begin()
    assert browser.shown() == first
    town.service.clock.advance(41)
    second = browser.shown()
    assert second != first
    town.service.clock.advance(18)
    # At the end of its minute the first is still good for whoever was slow; after it, no more.
    town.service.clock.advance(2)
    assert town.phone.scan(first).json()["code"] == "login_qr_expired"
    assert town.phone.scan(second).status_code == 201
    late = town.browser()
    old = late.begin()
    town.service.clock.advance(301)
    assert town.phone.scan(old).json()["code"] == "login_qr_expired"
    assert "Time is up" in late.page().text


@pytest.mark.parametrize("skew", [60, 600])
def test_a_phone_whose_clock_is_wrong(town: Town, skew: int) -> None:
    """Ahead and behind: a minute is borne, ten are not. Nothing else of a login rests on the phone's clock."""
    for offset in (-skew, skew):
        browser, request = town.scanned()
        number, now = browser.number(), town.service.clock() + timedelta(seconds=offset)
        proof = town.phone.device.login_proof(town.phone.credential, "login.jobs", request["jti"], number, now)
        answer = town.phone.confirm(request, number, signed=False, proof=proof)
        assert answer.status_code == (200 if skew == 60 else 400), answer.text
        if skew == 600:
            assert answer.json()["code"] == "bad_login_proof"


def test_a_second_scan_ends_the_login_for_both(town: Town) -> None:
    other = Phone(town.service, town.wallet, 2)
    browser = town.browser()
    text = browser.begin()
    request = town.phone.read(town.phone.scan(text))
    assert other.scan(text).json()["code"] == "login_qr_used"
    number = request["numbers"][0]
    assert town.phone.confirm(request, number).json()["code"] == "login_request_ended"
    assert "ended for your safety" in browser.page().text
    # The same phone twice is no better; and it ends a login that was confirmed and not collected.
    browser, request = town.scanned()
    shown = town.service.issuer.login.desk.see(browser.transaction, browser.cookie, town.service.clock())
    assert shown.qr is None
    browser = town.browser()
    text = browser.begin()
    request = town.phone.read(town.phone.scan(text))
    assert town.phone.confirm(request, browser.number()).status_code == 200
    assert town.phone.scan(text).json()["code"] == "login_qr_used"
    assert "ended for your safety" in browser.page().text


def test_a_scan_that_is_sent_again_is_no_second_scan(town: Town) -> None:
    browser = town.browser()
    body = {"link_id": town.phone.link_id, "scanned": browser.begin()}
    first = town.bank.post("/v1/login-requests/scan", body, key="scan-1")
    again = town.bank.post("/v1/login-requests/scan", body, key="scan-1")
    assert (again.status_code, again.json()) == (201, first.json())
    request = town.phone.read(first)
    number = browser.number()
    assert town.phone.confirm(request, number).json() == town.phone.confirm(request, number).json()
    assert "code" in browser.back()


def test_of_twenty_scans_at_once_one_wins_and_the_login_is_over(town: Town) -> None:
    browser = town.browser()
    text = browser.begin()
    desk, clock = town.service.issuer.login.desk, town.service.clock
    app_id, link_id = town.bank.app_id, town.phone.link_id

    def scan(_: int) -> str:
        try:
            return desk.scan(app_id, link_id, text, clock()).request_id
        except EcardError as error:
            return error.code

    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(scan, range(20)))
    won = [result for result in results if len(result) == 32]
    assert len(won) == 1
    assert set(results) - set(won) == {"login_qr_used"}
    answer = town.bank.post(f"/v1/login-requests/{won[0]}/deny")
    assert answer.status_code == 200
    assert "ended for your safety" in browser.page().text


def test_what_is_denied_or_cancelled_is_over_on_both_sides(town: Town) -> None:
    browser, request = town.scanned()
    assert town.phone.deny(request).json() == {"request_id": request["jti"], "state": "denied"}
    assert town.phone.deny(request).status_code == 200
    page = browser.page().text
    assert "You refused this login" in page
    assert "error=access_denied" in page
    assert town.phone.confirm(request, request["numbers"][0]).json()["code"] == "login_request_ended"

    browser, request = town.scanned()
    cancelled = browser.answer(browser.client.post(f"/login/wait/{browser.transaction}/cancel"))
    assert cancelled == {"error": "access_denied", "state": "st-1", "iss": ORIGIN}
    assert town.phone.confirm(request, request["numbers"][0]).json()["code"] == "login_request_ended"

    browser, request = town.scanned()
    town.phone.confirm(request, browser.number())
    assert "code" in browser.back()
    assert town.phone.deny(request).json()["code"] == "login_request_ended"


def test_a_channel_acts_for_its_own_links_and_requests_only(town: Town) -> None:
    browser = town.browser()
    text = browser.begin()
    assert town.wallet.post("/v1/login-requests/scan", {"link_id": town.phone.link_id, "scanned": text}).json()[
        "code"
    ] == ("link_unknown")
    request = town.phone.read(town.phone.scan(text))
    body = {"number": browser.number(), "proof": town.phone.proof(request, browser.number())}
    for path in ("confirm", "deny"):
        foreign = town.wallet.post(f"/v1/login-requests/{request['jti']}/{path}", body if path == "confirm" else None)
        assert foreign.json()["code"] == "login_request_unknown"
    limited = admit(town.service, [Scope.SHOW, Scope.READ], app=town.app)
    assert limited.post("/v1/login-requests/scan", {"link_id": "x", "scanned": text}).json()["code"] == "scope_missing"
    assert town.phone.confirm(request, browser.number()).status_code == 200


def test_a_proof_is_by_the_key_of_this_e_card_for_this_request(town: Town) -> None:
    other = Phone(town.service, town.bank, 3)
    browser, request = town.scanned()
    number, now = browser.number(), town.service.clock()
    device, credential = town.phone.device, town.phone.credential
    elsewhere = next(choice for choice in request["numbers"] if choice != number)
    for code, proof in {
        "login_proof_wrong": other.proof(request, number),
        "bad_login_proof": device.login_proof(credential, "login.pension", request["jti"], number, now),
        "wrong_type": device.proof(ORIGIN, request["jti"], now),
        "bad_jws": device.offline_code(credential, now, "login.jobs"),
    }.items():
        assert town.phone.confirm(request, number, signed=False, proof=proof).json()["code"] == code
    forged = other.device.login_proof(credential, "login.jobs", request["jti"], number, now)
    assert town.phone.confirm(request, number, signed=False, proof=forged).json()["code"] == "login_proof_wrong"
    differs = device.login_proof(credential, "login.jobs", request["jti"], elsewhere, now)
    assert town.phone.confirm(request, number, signed=False, proof=differs).json()["code"] == "login_proof_wrong"
    assert town.phone.confirm(request, number).status_code == 200


def test_a_lost_card_logs_in_nowhere_and_its_logins_end_at_once(town: Town) -> None:
    phone = Phone(town.service, town.bank, 4)
    browser = town.browser()
    answer = log_in(browser, phone)
    bearer = {"Authorization": f"Bearer {answer['access_token']}"}
    assert browser.client.get("/login/userinfo", headers=bearer).status_code == 200
    waiting = town.browser()
    request = phone.read(phone.scan(waiting.begin()))
    collected = town.browser()
    second = phone.read(phone.scan(collected.begin()))
    phone.confirm(second, collected.number())
    code = collected.back()["code"]

    lost = person(town.service, 4).card_ref
    town.service.issuer.lifecycle.change(lost, CardChange.REPORT_LOSS, town.service.clock())
    gone = browser.client.get("/login/userinfo", headers=bearer)
    assert (gone.status_code, gone.json()["error"]) == (401, "invalid_token")
    assert 'error="invalid_token"' in gone.headers["www-authenticate"]
    assert collected.redeem(code).json()["error"] == "invalid_grant"
    assert phone.confirm(request, waiting.number()).json()["code"] == "ecard_not_usable"
    assert phone.scan(town.browser().begin()).json()["code"] == "ecard_not_usable"


def test_a_released_link_ends_its_logins(town: Town) -> None:
    phone = Phone(town.service, town.bank, 5)
    browser = town.browser()
    answer = log_in(browser, phone)
    link = town.service.issuer.links.get(town.bank.app_id, phone.link_id)
    town.service.issuer.links.store.end_link(link, LinkEnd.RELEASED, town.service.clock())
    gone = browser.client.get("/login/userinfo", headers={"Authorization": f"Bearer {answer['access_token']}"})
    assert gone.json()["error"] == "invalid_token"
    assert phone.scan(town.browser().begin()).json()["code"] == "link_released"
    wanted = Ask("r-released", 82, "03", (Claim.NAME_MASKED,), login_id=claims_of(answer["id_token"])["jti"])
    with refused(NotFound, "login_unknown"):  # nor is it presence any more
        town.service.issuer.relying.desk.check("jobs", Caller("jobs", Role.RELYING), wanted, town.service.clock())


def test_a_suspended_app_ends_the_logins_that_were_confirmed_in_it(town: Town) -> None:
    app = admit(town.service, app=town.app)
    phone = Phone(town.service, app, 40)
    browser, collected = town.browser(), town.browser()
    answer = log_in(browser, phone)
    phone.confirm(phone.read(phone.scan(collected.begin())), collected.number())
    code = collected.back()["code"]
    town.service.issuer.channels.office.suspend(app.app_id, "stolen keys", "operator", town.service.clock())
    gone = browser.client.get("/login/userinfo", headers={"Authorization": f"Bearer {answer['access_token']}"})
    assert (gone.status_code, gone.json()["error"]) == (401, "invalid_token")
    assert collected.redeem(code).json()["error"] == "invalid_grant"
    wanted = Ask("r-suspended", 82, "03", (Claim.NAME_MASKED,), login_id=claims_of(answer["id_token"])["jti"])
    with refused(NotFound, "login_unknown"):
        town.service.issuer.relying.desk.check("jobs", Caller("jobs", Role.RELYING), wanted, town.service.clock())


def test_an_agent_who_claimed_an_ecard_does_not_log_in_as_its_holder(town: Town) -> None:
    """A mandate to claim it is none for every site, and a site is told that the holder is there."""
    phone = Phone(town.service, town.bank, 42)
    browser = town.browser()
    answer = log_in(browser, phone)
    request = phone.read(phone.scan(browser.begin()))
    acting = mandated(town.service, 42)
    waiting = opened(town.service, town.bank, 42, acting=acting, device=DeviceKey.generate())
    done = prove(town.service, town.bank, waiting, evidence(town.service, 42, waiting.challenge or b""))
    assert (done.link.link_id, done.link.mandate_id) == (phone.link_id, acting.mandate_id)
    assert phone.confirm(request, browser.number()).json()["code"] == "mandate_out_of_scope"
    assert phone.scan(town.browser().begin()).json()["code"] == "mandate_out_of_scope"
    gone = browser.client.get("/login/userinfo", headers={"Authorization": f"Bearer {answer['access_token']}"})
    assert gone.json()["error"] == "invalid_token"
    (code,) = town.service.issuer.links.codes(done.link, 1, town.service.clock())
    assert judged(town.service, code.text).reason == "ok"


def test_a_key_that_an_app_bound_without_its_holder_is_no_chip_at_a_login(town: Town) -> None:
    """The app has a link, and can open pages with keys of its own under it: nobody's card was there."""
    phone = Phone(town.service, town.bank, 43)
    link = town.service.issuer.links.get(town.bank.app_id, phone.link_id)
    phone.device = DeviceKey.generate()
    phone.credential = town.service.issuer.links.issue_to(link, phone.device.point, town.service.clock()).cwt
    browser = town.browser()
    request = phone.read(phone.scan(browser.begin(acr_values="urn:ecard:acr:chip")))
    assert phone.confirm(request, browser.number()).json()["code"] == "login_proof_too_weak"
    assert claims_of(log_in(town.browser(), phone)["id_token"])["acr"] == "urn:ecard:acr:device"


def test_an_ended_site_gets_nothing_more(town: Town) -> None:
    uri = "https://gone.example/back"
    register_site(town.service, "gone", uri)
    browser = town.browser("login.gone", uri)
    answer = log_in(browser, town.phone)
    waiting, request = town.scanned(town.browser("login.gone", uri))
    number = waiting.number()
    town.service.issuer.relying.services.end("gone", "office", town.service.clock())
    assert town.phone.confirm(request, number).json()["code"] == "login_site_unknown"
    assert waiting.page().status_code == 404
    gone = browser.client.get("/login/userinfo", headers={"Authorization": f"Bearer {answer['access_token']}"})
    assert gone.status_code == 401
    assert browser.authorize().status_code == 400


def test_a_code_is_good_once_for_its_client_its_address_and_its_verifier(town: Town) -> None:
    def code(**said: str | None) -> tuple[Browser, str]:
        browser, request = town.scanned(None, **said)
        assert town.phone.confirm(request, browser.number()).status_code == 200
        return browser, browser.back()["code"]

    browser, given = code()
    other = town.browser("login.pension", PENSION)
    assert other.redeem(given).json()["error"] == "invalid_grant"  # injected into another site
    assert browser.redeem(given).json()["error"] == "invalid_grant"  # and thereby used up
    browser, given = code()
    stolen = browser.redeem(given, client_id="login.pension")  # by another site that knows all the rest
    assert stolen.json()["error"] == "invalid_grant"
    assert browser.redeem(given).json()["error"] == "invalid_grant"  # and thereby used up
    for wrong in (
        {"code_verifier": "x" * 43},
        {"code_verifier": ""},
        {"redirect_uri": JOBS + "/"},
        {"redirect_uri": ""},
        {"grant_type": "refresh_token"},
    ):
        browser, given = code()
        error = browser.redeem(given, **wrong).json()["error"]
        assert error in ("invalid_grant", "unsupported_grant_type")
    browser, given = code()
    assert browser.redeem(given, secret="wrong" * 10).json()["error"] == "invalid_client"
    assert browser.redeem(given).status_code == 200
    browser, given = code()
    town.service.clock.advance(61)
    assert browser.redeem(given).json()["error"] == "invalid_grant"
    for odd in ("", "x", "a" * 32 + "." + "b" * 64, "a" * 5000, "中"):
        assert browser.redeem(odd).json()["error"] in ("invalid_grant", "invalid_request")


def test_a_code_that_is_shown_twice_ends_the_token_that_it_gave(town: Town) -> None:
    browser, request = town.scanned()
    town.phone.confirm(request, browser.number())
    given = browser.back()["code"]
    answer = browser.redeem(given).json()
    bearer = {"Authorization": f"Bearer {answer['access_token']}"}
    assert browser.client.get("/login/userinfo", headers=bearer).status_code == 200
    assert browser.redeem(given).json()["error"] == "invalid_grant"
    assert browser.client.get("/login/userinfo", headers=bearer).status_code == 401
    town.service.clock.advance(301)
    assert browser.client.post("/login/userinfo", headers=bearer).status_code == 401


def test_hosts_and_forwarded_headers_change_nothing(town: Town) -> None:
    poison = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-For": "8.8.8.8",
        "Forwarded": "host=evil.example;proto=http;for=8.8.8.8",
    }
    client = TestClient(town.app, base_url=ORIGIN, follow_redirects=False)
    metadata = client.get("/.well-known/openid-configuration", headers=poison).json()
    assert metadata["issuer"] == ORIGIN
    assert all(str(value).startswith(ORIGIN) for name, value in metadata.items() if name.endswith(("endpoint", "uri")))
    asked = town.browser()
    answer = client.get("/login/authorize", params=asked.asks(), headers=poison)
    assert answer.headers["location"].startswith(f"{ORIGIN}/login/wait/")
    assert answer.headers["set-cookie"].startswith("__Host-")
    (transaction,) = [answer.headers["location"].rpartition("/")[2]]
    row = town.service.issuer.login.store.attempt(transaction)
    assert row is not None
    assert (row.address, row.region) == ("unknown", "unknown")  # nobody believes who says so
    wrong = client.get("/login/authorize", params=asked.asks(scope="profile"), headers=poison)
    assert asked.answer(wrong)["iss"] == ORIGIN


def test_what_cannot_be_answered_safely_is_told_to_the_person(town: Town) -> None:
    browser = town.browser(language="zh-CN")
    for said in (
        {"client_id": "login.nobody"},
        {"redirect_uri": JOBS + "/../evil"},
        {"redirect_uri": "https://jobs.example.evil.example/back"},
        {"state": "s" * 3000},
    ):
        answer = browser.authorize(**said)
        assert answer.status_code == 400
        assert "location" not in answer.headers
        assert "网站的登录请求有误" in answer.text
    twice = browser.client.get("/login/authorize", params=[*browser.asks().items(), ("redirect_uri", "https://evil/")])
    assert twice.status_code == 400
    plain = browser.answer(browser.authorize(code_challenge_method="plain"))
    assert plain["error"] == "invalid_request"
    assert browser.answer(browser.authorize(code_challenge=None))["error"] == "invalid_request"
    unmet = browser.answer(browser.authorize(acr_values="urn:other:loa:4"))
    assert unmet["error"] == "unmet_authentication_requirements"
    assert browser.answer(browser.authorize(prompt="none"))["error"] == "login_required"
    huge = browser.client.post("/login/authorize", data={"state": "x" * 70_000})
    assert huge.status_code == 413
    form = browser.client.post("/login/authorize", data=browser.asks())
    assert form.status_code == 303
    assert browser.client.post("/login/token", content=b"{}").status_code in (400, 415)


def test_the_pages_have_no_script_of_their_own_and_open_no_door(town: Town) -> None:
    browser = town.browser(language="zh-CN")
    browser.begin()
    page = browser.page()
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "form-action 'self' https://jobs.example" in policy
    assert "<style" not in page.text
    assert re.findall(r"<script[^>]*>([^<]*)</script>", page.text) == [""]
    assert "style=" not in page.text
    assert "登录到“就业服务网”" in page.text
    assert page.headers["cache-control"] == "no-store"
    english = browser.client.get(f"/login/wait/{browser.transaction}?lang=en").text
    assert "Log in to Jobs online" in english
    for address in re.findall(r'(?:src|href)="(/login/[^"?]+\.(?:js|css))"', page.text):
        assert browser.client.get(address).status_code == 200
    link = browser.client.get(urlsplit(browser.shown()).path)
    assert link.status_code == 200
    assert "二维码" in link.text
    assert "code=" not in link.text


def test_a_login_is_presence_for_its_own_service_within_its_minutes(town: Town) -> None:
    login_id = claims_of(log_in(town.browser(), town.phone)["id_token"])["jti"]
    desk, clock = town.service.issuer.relying.desk, town.service.clock

    def ask(service_id: str, request_id: str = "r-1") -> Any:
        wanted = Ask(request_id, 82, "03", (Claim.NAME_MASKED,), login_id=login_id)
        return desk.check(service_id, Caller(service_id, Role.RELYING), wanted, clock())

    permission = ask("jobs")
    assert (permission.way, permission.level) == (Way.LOGIN, 1)
    assert ask("jobs").access_id == permission.access_id
    assert ask("jobs", "r-2").access_id != permission.access_id
    with refused(NotFound, "login_unknown"):
        ask("pension")
    clock.advance(601)
    with refused(RuleViolation, "login_too_old"):
        ask("jobs", "r-3")


def test_a_qualification_is_confirmed_on_the_strength_of_a_login(town: Town) -> None:
    uri = "https://benefits.example/back"
    register_site(town.service, "benefits", uri, lines=[65])
    login_id = claims_of(log_in(town.browser("login.benefits", uri), town.phone)["id_token"])["jti"]
    token = town.service.issuer.operators.add("benefits", Role.RELYING, town.service.clock()).token
    client = TestClient(town.app, base_url=ORIGIN, headers={"Authorization": f"Bearer {token}"})
    body = {"request_id": "q-1", "line": 65, "business_type": "01", "benefit": "pension", "login_id": login_id}
    answer = client.post("/v1/relying/benefits/confirmations", json=body)
    assert answer.status_code == 200, answer.text
    said = verify_confirmation(
        answer.json()["signed"],
        town.service.issuer.keys.trust(town.service.clock()),
        town.service.clock(),
        service="benefits",
    )
    assert (said.way, said.benefit) == ("login", "pension")
    two = client.post("/v1/relying/benefits/checks", json={**body, "benefit": None, "code": "EC0:A"})
    assert two.status_code in (400, 422)


def test_a_login_stands_on_the_persons_own_record(town: Town) -> None:
    phone = Phone(town.service, town.bank, 6)
    login_id = claims_of(log_in(town.browser(), phone)["id_token"])["jti"]
    issuer, who = town.service.issuer, person(town.service, 6)
    row = issuer.people.find(who.id_number)
    assert row is not None
    (section,) = (part for part in issuer.relying.subject_data if part.section == "accesses")
    (told,) = section.of_holder(row, issuer.people.seal_of(row))
    assert (told["access_id"], told["service"], told["way"], told["line"]) == (login_id, "jobs", "login", 66)
    assert told["claims"] == ["name_masked"]
    issuer.login.upkeep(town.service.clock.advance(3600))
    assert issuer.login.store.find_login(login_id) is None
