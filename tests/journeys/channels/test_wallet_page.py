"""The authorization code flow: the wallet's pushed request, the page where the person proves themself, the code."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from starlette.testclient import TestClient

from ecard_card import jose, sd_jwt
from ecard_issuer.pins.secret import Secret
from ecard_issuer.web.app import create_app
from ecard_verifier.callers import Role
from tests.issuer.holding import DESK, Held, card_of, ecard_of
from tests.issuer.service import ORIGIN, Service, open_service
from tests.issuer.wallet_kit import Key, Wallet, dpop_proof, key_proof, proven

REDIRECT = "https://wallet.example/cb?x=1"
VERIFIER = "v" * 43
CHALLENGE = jose.b64url_encode(hashlib.sha256(VERIFIER.encode()).digest())
PIN = "739184"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = open_service(tmp_path_factory.mktemp("page"))
    clients = opened.issuer.wallets.clients
    clients.add("wallet-1", "Wallet <One>", [REDIRECT, "com.wallet.one:/cb"], "anna", opened.clock())
    clients.add("wallet-2", "Wallet Two", ["https://two.example/cb"], "anna", opened.clock())
    yield opened
    opened.issuer.close()


@pytest.fixture(scope="module")
def http(service: Service) -> Iterator[TestClient]:
    with TestClient(create_app(service.issuer), base_url=ORIGIN, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def wallet(http: TestClient, service: Service) -> Wallet:
    return Wallet(http, service.clock, Key(), "wallet-1")


@pytest.fixture(scope="module")
def holder(service: Service) -> Held:
    """Somebody with an e-card who chose a PIN."""
    held = ecard_of(service)
    service.issuer.holders.pins.change(held.card_ref, Secret("123456"), Secret(PIN), DESK, service.clock())
    return held


@pytest.fixture
def offer(http: TestClient, service: Service) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {service.token(Role.DESK)}"}
    return dict(http.post(f"/v1/enrolments/{proven(service)}/offers", json={}, headers=headers).json())


def pushed(wallet: Wallet, **form: str | None) -> httpx2.Response:
    asked = {
        "response_type": "code",
        "client_id": wallet.client_id,
        "redirect_uri": REDIRECT,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "scope": "ecard_sd_jwt",
        "state": "s t&1",
    } | form
    headers = {"DPoP": dpop_proof(wallet.dpop, "par", wallet.now())} if wallet.dpop else {}
    return wallet.http.post(
        "/wallets/par", data={name: value for name, value in asked.items() if value is not None}, headers=headers
    )


@dataclass
class Browser:
    """A browser of its own: no cookie but what our page set."""

    http: TestClient
    cookie: str = ""
    fields: dict[str, str] = field(default_factory=dict)

    def open(self, request_uri: str, client_id: str = "wallet-1", **query: str) -> httpx2.Response:
        self.http.cookies.clear()
        asked = {"client_id": client_id, "request_uri": request_uri, **query}
        page = self.http.get("/wallets/authorize", params=asked, headers=self._headers())
        set_cookie = page.headers.get("set-cookie", "")
        if set_cookie:
            self.cookie = set_cookie.partition(";")[0]
        self.fields = dict(re.findall(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)">', page.text))
        return page

    def send(self, answer: str = "yes", headers: dict[str, str] | None = None, **typed: str) -> httpx2.Response:
        self.http.cookies.clear()
        return self.http.post(
            "/wallets/authorize",
            data=self.fields | {"answer": answer} | typed,
            headers={**self._headers(), **(headers or {})},
            follow_redirects=False,
        )

    def _headers(self) -> dict[str, str]:
        return {"Cookie": self.cookie} if self.cookie else {}


def sent_back(answer: httpx2.Response) -> dict[str, str]:
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"].startswith(REDIRECT + "&")
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert query["state"] == ["s t&1"]
    assert query["iss"] == [f"{ORIGIN}/wallets"]
    return {name: values[0] for name, values in query.items()}


def redeemed(wallet: Wallet, code: str, /, **form: str) -> httpx2.Response:
    asked = {
        "grant_type": "authorization_code",
        "code": code,
        "code_verifier": VERIFIER,
        "client_id": wallet.client_id or "",
        "redirect_uri": REDIRECT,
    }
    return wallet.redeem(asked | form)


def code_of(wallet: Wallet, offer: dict[str, Any], http: TestClient, **form: str | None) -> str:
    browser = Browser(http)
    state = http.get(offer["credential_offer_uri"]).json()["grants"]["authorization_code"]["issuer_state"]
    browser.open(pushed(wallet, issuer_state=state, **form).json()["request_uri"])
    return sent_back(browser.send(digits=offer["tx_code"]))["code"]


def test_a_person_with_number_and_pin_gets_one_more_credential_that_says_so(
    http: TestClient, service: Service, wallet: Wallet, holder: Held
) -> None:
    browser = Browser(http)
    page = browser.open(pushed(wallet).json()["request_uri"], lang="zh")
    assert page.status_code == 200
    assert "社会保障号码" in page.text
    assert "Wallet &lt;One&gt;" in page.text
    assert "wallet.example" in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'; frame-ancestors 'none'" in policy
    assert "form-action 'self' https://wallet.example;" in policy
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["cache-control"] == "no-store"
    for part in ("__Host-ecard-wallet=", "HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert part in page.headers["set-cookie"]
    code = sent_back(browser.send(number=holder.id_number.text, pin=PIN))["code"]
    answer = redeemed(wallet, code)
    assert answer.json()["token_type"] == "DPoP"
    proof = key_proof(Key(), wallet.nonce(), service.clock(), claims={"iss": "wallet-1"})
    (issued,) = wallet.ask(proof).json()["credentials"]
    said = sd_jwt.parse(issued["credential"]).payload
    assert (said["holder_proof"], said["chip_assurance"]) == ("pin", "signature")
    assert said["personal_administrative_number"] == holder.id_number.text


@pytest.mark.parametrize("way", ["wrong pin", "unknown number", "no number", "short pin", "no ecard", "initial pin"])
def test_whatever_is_wrong_the_page_says_the_same(http: TestClient, service: Service, wallet: Wallet, way: str) -> None:
    browser = Browser(http)
    browser.open(pushed(wallet).json()["request_uri"], lang="en")
    held = card_of(service) if way == "no ecard" else ecard_of(service)
    if way == "wrong pin":
        service.issuer.holders.pins.change(held.card_ref, Secret("123456"), Secret(PIN), DESK, service.clock())
    number = {"unknown number": "000000199001050714", "no number": "zzz9"}.get(way, held.id_number.text)
    pin = {"short pin": "1", "initial pin": "123456", "no ecard": "123456"}.get(way, "739185")
    answer = browser.send(number=number, pin=pin)
    assert answer.status_code == 400
    assert "Number and PIN do not match" in answer.text
    assert number not in answer.text
    assert "location" not in answer.headers


def test_wrong_pins_count_at_the_card_and_five_tries_end_a_request(
    http: TestClient, service: Service, wallet: Wallet
) -> None:
    held = ecard_of(service)
    service.issuer.holders.pins.change(held.card_ref, Secret("123456"), Secret(PIN), DESK, service.clock())
    browser = Browser(http)
    browser.open(pushed(wallet).json()["request_uri"], lang="en")
    for _ in range(5):
        assert "Number and PIN do not match" in browser.send(number=held.id_number.text, pin="739185").text
    assert service.issuer.holders.pins.state(held.card_ref, service.clock()).locked
    assert "This page is over" in browser.send(number=held.id_number.text, pin=PIN).text


def test_a_desk_s_offer_is_taken_up_on_the_page_by_its_digits_once(
    http: TestClient, wallet: Wallet, offer: dict[str, Any]
) -> None:
    code = code_of(wallet, offer, http)
    assert http.get(offer["credential_offer_uri"]).status_code == 404
    assert redeemed(wallet, code).status_code == 200
    assert redeemed(wallet, code).json()["error"] == "invalid_grant"


def test_digits_are_guessed_five_times_in_all_however_many_pages_there_are(
    http: TestClient, wallet: Wallet, offer: dict[str, Any]
) -> None:
    state = http.get(offer["credential_offer_uri"]).json()["grants"]["authorization_code"]["issuer_state"]
    wrong = f"{(int(offer['tx_code']) + 1) % 10**6:06d}"
    pages = [Browser(http), Browser(http)]
    for page in pages:
        page.open(pushed(wallet, issuer_state=state).json()["request_uri"], lang="en")
    for number in range(5):
        assert "did not match" in pages[number % 2].send(digits=wrong).text
    assert "did not match" in pages[1].send(digits=offer["tx_code"]).text
    assert pushed(wallet, issuer_state=state).json()["error"] == "invalid_request"


def test_a_request_belongs_to_the_browser_that_opened_it_first(http: TestClient, wallet: Wallet, holder: Held) -> None:
    request_uri = pushed(wallet).json()["request_uri"]
    first, second = Browser(http), Browser(http)
    assert first.open(request_uri).status_code == 200
    assert first.open(request_uri).status_code == 200  # loaded again
    assert "This page is over" in second.open(request_uri, lang="en").text
    second.fields = dict(first.fields)  # a relayed form
    assert "This page is over" in second.send(number=holder.id_number.text, pin=PIN).text
    second.cookie = "__Host-ecard-wallet=" + "A" * 43
    assert "This page is over" in second.send(number=holder.id_number.text, pin=PIN).text
    other_site = {"Sec-Fetch-Site": "cross-site"}
    assert "This page is over" in first.send(headers=other_site, number=holder.id_number.text, pin=PIN).text
    forged = first.fields["form_token"]
    first.fields["form_token"] = "A" * 43
    assert "This page is over" in first.send(number=holder.id_number.text, pin=PIN).text
    first.fields["form_token"] = forged
    sent_back(first.send(number=holder.id_number.text, pin=PIN))
    assert "This page is over" in first.send(number=holder.id_number.text, pin=PIN).text  # replayed
    assert "This page is over" in first.open(request_uri, lang="en").text


def test_a_person_who_says_no_is_sent_back_with_that(http: TestClient, wallet: Wallet) -> None:
    browser = Browser(http)
    browser.open(pushed(wallet).json()["request_uri"])
    assert sent_back(browser.send("no"))["error"] == "access_denied"
    assert "This page is over" in browser.send(number="x", pin="y").text


def test_nobody_is_sent_anywhere_for_a_request_that_is_not_known(
    http: TestClient, service: Service, wallet: Wallet
) -> None:
    request_uri = pushed(wallet).json()["request_uri"]
    other = request_uri[:-1] + ("B" if request_uri.endswith("A") else "A")
    for client_id, uri in (("wallet-2", request_uri), ("wallet-1", other), ("wallet-1", ""), ("", "")):
        page = Browser(http).open(uri, client_id, lang="en")
        assert (page.status_code, "location" in page.headers) == (400, False)
        assert "This page is over" in page.text
    service.clock.advance(601)
    assert "This page is over" in Browser(http).open(request_uri, lang="en").text


@pytest.mark.parametrize(
    ("form", "error", "status"),
    [
        ({"client_id": "nobody"}, "invalid_client", 401),
        ({"client_id": None}, "invalid_client", 401),
        ({"redirect_uri": "https://wallet.example/cb"}, "invalid_request", 400),
        ({"redirect_uri": REDIRECT + "/../x"}, "invalid_request", 400),
        ({"redirect_uri": "https://two.example/cb"}, "invalid_request", 400),
        ({"redirect_uri": None}, "invalid_request", 400),
        ({"response_type": "token"}, "unsupported_response_type", 400),
        ({"code_challenge": None}, "invalid_request", 400),
        ({"code_challenge_method": "plain"}, "invalid_request", 400),
        ({"code_challenge_method": None}, "invalid_request", 400),
        ({"code_challenge": "short"}, "invalid_request", 400),
        ({"scope": None}, "invalid_scope", 400),
        ({"scope": "openid"}, "invalid_scope", 400),
        ({"state": "x" * 1025}, "invalid_request", 400),
        ({"state": "a\nb"}, "invalid_request", 400),
        ({"dpop_jkt": "A" * 43}, "invalid_request", 400),
        ({"issuer_state": "0" * 32 + "." + "A" * 43}, "invalid_request", 400),
        ({"authorization_details": "{"}, "invalid_authorization_details", 400),
        ({"authorization_details": '[{"type":"other"}]'}, "invalid_authorization_details", 400),
    ],
)
def test_a_pushed_request_that_is_wrong_in_any_part_is_refused(
    wallet: Wallet, form: dict[str, str | None], error: str, status: int
) -> None:
    answer = pushed(wallet, **form)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_a_code_is_nothing_to_another_wallet_key_or_verifier_and_for_a_minute_only(
    http: TestClient, service: Service, wallet: Wallet, holder: Held
) -> None:
    browser = Browser(http)
    browser.open(pushed(wallet).json()["request_uri"])
    code = sent_back(browser.send(number=holder.id_number.text, pin=PIN))["code"]
    for changed in (
        {"client_id": "wallet-2"},
        {"code_verifier": "w" * 43},
        {"redirect_uri": "com.wallet.one:/cb"},
        {"code": code[:-1] + ("A" if code[-1] != "A" else "B")},
    ):
        assert redeemed(wallet, code, **changed).json()["error"] == "invalid_grant"
    assert redeemed(wallet, code, code_verifier="plain").json()["error"] == "invalid_request"
    thief = Wallet(http, service.clock, Key(), "wallet-1")
    assert redeemed(thief, code).json()["error"] == "invalid_grant"
    assert redeemed(Wallet(http, service.clock, None, "wallet-1"), code).json()["error"] == "invalid_dpop_proof"
    service.clock.advance(61)
    assert redeemed(wallet, code).json()["error"] == "invalid_grant"


def test_a_wallet_that_asks_in_detail_asks_by_identifier(
    http: TestClient, service: Service, wallet: Wallet, offer: dict[str, Any]
) -> None:
    details = '[{"type":"openid_credential","credential_configuration_id":"ecard_sd_jwt"}]'
    code = code_of(wallet, offer, http, scope=None, authorization_details=details)
    (detail,) = redeemed(wallet, code).json()["authorization_details"]
    assert wallet.request(Key()).json()["error"] == "invalid_credential_request"
    asked = {"credential_configuration_id": None}
    refused = wallet.request(Key(), **asked, credential_identifier="other")
    assert refused.json()["error"] == "unknown_credential_identifier"
    answer = wallet.request(Key(), **asked, credential_identifier=detail["credential_identifiers"][0])
    assert answer.status_code == 200


def test_a_wallet_that_ended_sends_nobody_any_more(http: TestClient, service: Service) -> None:
    operator = {"Authorization": f"Bearer {service.token(Role.OPERATOR)}"}
    body = {"name": "Short", "redirect_uris": [REDIRECT]}
    assert http.put("/v1/wallets/short", json=body, headers=operator).status_code == 200
    wallet = Wallet(http, service.clock, Key(), "short")
    assert pushed(wallet).status_code == 201
    ended = http.post("/v1/wallets/short/end", headers=operator).json()
    assert ended["ended_at"] is not None
    assert pushed(wallet).json()["error"] == "invalid_client"
    listed = http.get("/v1/wallets", headers=operator).json()["wallets"]
    assert [one["client_id"] for one in listed] == ["short", "wallet-1", "wallet-2"]


@pytest.mark.parametrize(
    "uri",
    [
        "http://wallet.example/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://user@wallet.example/",
        "https://wallet.example/#x",
        "https://",
        "/cb",
        "https://wallet.example/a b",
        "https://wallet.example:port/",
    ],
)
def test_an_address_where_a_code_must_not_go_is_not_registered(http: TestClient, service: Service, uri: str) -> None:
    operator = {"Authorization": f"Bearer {service.token(Role.OPERATOR)}"}
    answer = http.put("/v1/wallets/odd", json={"name": "Odd", "redirect_uris": [uri]}, headers=operator)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_wallet_client")
