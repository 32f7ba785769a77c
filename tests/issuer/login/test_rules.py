"""What is pure about logins: requests read, levels compared, registrations bounded, codes and numbers made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card.card import ChipAssurance, HolderProof
from ecard_card.errors import InvalidInput
from ecard_card.jose import jwk_of
from ecard_issuer.login import rules
from ecard_issuer.login.assurance import Acr, DeviceProof, Proven, demanded, told
from ecard_issuer.login.authorize import Site, parameters, read_request, site_of
from ecard_issuer.login.desktop import desktop_of
from ecard_issuer.login.refusal import OauthRefusal, UnsafeRequest
from ecard_issuer.login.registration import ClientAuth, LoginRegistration, registration_from_json
from ecard_issuer.login.scopes import LOGIN_CLAIMS, claims_of
from ecard_issuer.login.sites import answer_to
from ecard_issuer.relying.claims import ACCOUNT_CLAIMS, Claim
from ecard_issuer.relying.services import RelyingService, service_from_json
from ecard_sdk.device import DeviceKey

BACK = "https://jobs.example/callback"
REGISTERED = LoginRegistration((BACK,), ClientAuth.CLIENT_SECRET_BASIC, ("openid", "profile"), Acr.DEVICE, (), "0" * 64)
SERVICE = RelyingService(
    service_id="jobs",
    name_zh="就业服务",
    name_en="Jobs",
    owner="jobs",
    region="000000",
    lines=(82,),
    claims=(Claim.NAME_MASKED, Claim.ID_NUMBER),
    proof=ChipAssurance.READ,
    level=1,
    business_types=("01",),
    pin=False,
    starts_at=datetime(2026, 1, 1, tzinfo=UTC),
    login=REGISTERED,
)
GOOD = {
    "response_type": "code",
    "client_id": "login.jobs",
    "redirect_uri": BACK,
    "scope": "openid profile",
    "state": "s",
    "nonce": "n",
    "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    "code_challenge_method": "S256",
}


def site(**said: str) -> Site:
    return site_of({**GOOD, **said}, {"jobs": SERVICE}.get)


def read(public: bool = False, **said: str | None) -> object:
    chosen = {name: value for name, value in {**GOOD, **said}.items() if value is not None}
    registration = replace(REGISTERED, auth=ClientAuth.NONE, secret_sha256=None) if public else REGISTERED
    return read_request(chosen, replace(site(), registration=registration))


def refused(public: bool = False, **said: str | None) -> str:
    with pytest.raises(OauthRefusal) as told_why:
        read(public, **said)
    return told_why.value.error


@pytest.mark.parametrize(
    "uri",
    [
        "https://jobs.example/callback/",
        "https://jobs.example/callback?x=1",
        "https://jobs.example/callback/../evil",
        "https://jobs.example.evil.example/callback",
        "https://jobs.example@evil.example/callback",
        "https://JOBS.example/callback",
        "http://jobs.example/callback",
        "https://jobs.example/callback#",
        "https://jobs.example/callbac",
        "",
    ],
)
def test_an_address_that_is_not_the_registered_one_gets_no_answer(uri: str) -> None:
    with pytest.raises(UnsafeRequest):
        site(redirect_uri=uri)


@pytest.mark.parametrize("client", ["jobs", "login.other", "login.", "login.login.jobs", "x" * 3000, "login.jobs "])
def test_an_unknown_client_gets_no_answer(client: str) -> None:
    with pytest.raises(UnsafeRequest):
        site(client_id=client)


def test_what_is_there_twice_or_is_huge_is_not_read() -> None:
    for pairs in (
        [("client_id", "a"), ("client_id", "b")],
        [("state", "s" * 2049)],
        [(f"p{number}", "x") for number in range(41)],
        [("n" * 65, "x")],
    ):
        with pytest.raises(UnsafeRequest):
            parameters(pairs)
    assert parameters([("state", ""), ("nonce", "n")]) == {"nonce": "n"}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("unsupported_response_type", {"response_type": "token"}),
        ("unsupported_response_type", {"response_type": "code id_token"}),
        ("unsupported_response_type", {"response_type": None}),
        ("invalid_request", {"response_mode": "fragment"}),
        ("invalid_request", {"code_challenge": None}),
        ("invalid_request", {"code_challenge_method": "plain"}),
        ("invalid_request", {"code_challenge_method": None}),
        ("invalid_request", {"code_challenge": "too-short"}),
        ("invalid_scope", {"scope": "profile"}),
        ("invalid_scope", {"scope": None}),
        ("invalid_scope", {"scope": "openid id_number"}),  # known here, and not to this site
        ("invalid_scope", {"scope": "openid bank_account"}),
        ("invalid_request", {"nonce": "n" * 513}),
        ("invalid_request", {"nonce": "中"}),
        ("invalid_request", {"state": "a\nb"}),
        ("login_required", {"prompt": "none"}),
        ("invalid_request", {"prompt": "none login"}),
        ("invalid_request", {"prompt": "always"}),
        ("invalid_request", {"max_age": "-1"}),
        ("unmet_authentication_requirements", {"acr_values": "urn:mace:incommon:iap:silver"}),
        ("request_not_supported", {"request": "e30.e30."}),
        ("request_uri_not_supported", {"request_uri": "https://evil.example/r"}),
    ],
)
def test_a_request_that_asks_for_what_is_not_offered_is_told_so(error: str, said: dict[str, str | None]) -> None:
    assert refused(False, **said) == error


NAMES = st.sampled_from([*GOOD, "prompt", "max_age", "acr_values", "response_mode", "ui_locales", "x"])
VALUES = st.one_of(st.text(max_size=60), st.sampled_from([*GOOD.values(), "openid", "none", "query"]))


@given(st.lists(st.tuples(NAMES, VALUES), max_size=14))
def test_whatever_a_request_says_it_is_read_or_refused(pairs: list[tuple[str, str]]) -> None:
    try:
        given_ = parameters([*GOOD.items(), *((name, value) for name, value in pairs if name not in GOOD)])
        wanted = read_request(given_, site_of(given_, {"jobs": SERVICE}.get))
        read_request(dict(pairs), site())
    except (OauthRefusal, UnsafeRequest):
        return
    assert wanted.acr.rank >= REGISTERED.acr.rank


def test_a_public_client_needs_a_nonce() -> None:
    assert refused(public=True, nonce=None) == "invalid_request"
    read(public=True)
    read(nonce=None)


def test_what_a_login_must_reach() -> None:
    assert demanded((), Acr.DEVICE) is Acr.DEVICE
    assert demanded((Acr.CHIP, Acr.PASSWORD), Acr.DEVICE) is Acr.DEVICE  # never less than registered
    assert demanded(("unknown", Acr.CHIP_PASSWORD, Acr.CHIP), Acr.PASSWORD) is Acr.CHIP
    assert demanded(("unknown",), Acr.PASSWORD) is None
    assert told(Acr.CHIP, ()) is Acr.CHIP
    assert told(Acr.CHIP, (Acr.DEVICE, "unknown")) is Acr.DEVICE
    assert told(Acr.CHIP, (Acr.CHIP_PASSWORD, Acr.CHIP, Acr.DEVICE)) is Acr.CHIP


def test_what_was_shown_says_how_sure_it_is() -> None:
    chip = DeviceProof(ChipAssurance.CHALLENGE, HolderProof.CHIP)
    assert Proven(None, False).acr is None
    assert (Proven(None, True).acr, Proven(None, True).amr) == (Acr.PASSWORD, ("pwd", "urn:ecard:amr:number"))
    assert Proven(chip, False).acr is Acr.CHIP
    assert (Proven(chip, True).acr, Proven(chip, True).amr) == (
        Acr.CHIP_PASSWORD,
        ("pop", "pwd", "mfa", "urn:ecard:amr:number"),
    )
    for weaker in (replace(chip, assurance=ChipAssurance.READ), replace(chip, holder=HolderProof.IDENTITY)):
        assert Proven(weaker, True).acr is Acr.DEVICE
    assert [acr.rank for acr in Acr] == [0, 1, 2, 3]


def test_a_registration_is_bounded_and_reads_back() -> None:
    assert registration_from_json(REGISTERED.to_json()) == REGISTERED
    assert service_from_json(SERVICE.to_json()) == SERVICE
    older = {name: value for name, value in SERVICE.to_json().items() if name != "login"}
    assert service_from_json(older) == replace(SERVICE, login=None)
    key = jwk_of(DeviceKey.generate().point)
    signing = LoginRegistration((BACK,), ClientAuth.PRIVATE_KEY_JWT, ("openid",), Acr.CHIP, (key,))
    assert registration_from_json(signing.to_json()) == signing
    assert signing.host == "jobs.example"
    for wrong in (
        {"redirect_uris": ()},
        {"redirect_uris": (BACK, BACK)},
        {"redirect_uris": (BACK, "https://other.example/")},
        {"redirect_uris": ("http://jobs.example/",)},
        {"redirect_uris": ("https://*.example/",)},
        {"redirect_uris": ("https://jobs.example/#x",)},
        {"redirect_uris": ("https://user@jobs.example/",)},
        {"redirect_uris": ("https://jobs.example:0/",)},
        {"redirect_uris": ("https://jobs.example:99999/",)},
        {"redirect_uris": ("javascript:alert(1)",)},
        {"redirect_uris": ("jobs://callback",)},
        {"redirect_uris": ("https://jobs.example/" + "x" * 500,)},
        {"scopes": ("profile",)},
        {"scopes": ("openid", "bank_account")},
        {"keys": (key,)},
        {"secret_sha256": None},
        {"secret_sha256": "secret"},
        {"auth": ClientAuth.NONE},
        {"auth": ClientAuth.PRIVATE_KEY_JWT, "secret_sha256": None},
        {"auth": ClientAuth.PRIVATE_KEY_JWT, "secret_sha256": None, "keys": ({**key, "d": "x"},)},
    ):
        with pytest.raises(InvalidInput) as refusal:
            replace(REGISTERED, **wrong)
        assert refusal.value.code == "bad_login_registration"
    replace(REGISTERED, redirect_uris=("http://127.0.0.1:8001/callback", "http://127.0.0.1:8001/other"))
    for document in ({}, {**REGISTERED.to_json(), "acr": "sure"}, {**REGISTERED.to_json(), "keys": 5}):
        with pytest.raises(InvalidInput):
            registration_from_json(document)


def test_scopes_stand_for_what_the_service_may_know() -> None:
    assert claims_of(("openid",), SERVICE.claims) == ()
    assert claims_of(("openid", "profile"), SERVICE.claims) == (Claim.NAME_MASKED,)
    assert claims_of(("openid", "profile", "id_number", "card"), SERVICE.claims) == (
        Claim.NAME_MASKED,
        Claim.ID_NUMBER,
    )
    assert not ACCOUNT_CLAIMS & set(LOGIN_CLAIMS)
    assert set(LOGIN_CLAIMS) | ACCOUNT_CLAIMS == set(Claim)


def test_a_code_comes_from_the_browser_s_secret_and_leads_nowhere_else() -> None:
    token = rules.qr_token("secret", "ab" * 16, 1)
    assert len({token, rules.qr_token("other", "ab" * 16, 1), rules.qr_token("secret", "ab" * 16, 2)}) == 3
    text = rules.qr_text("https://issuer.example", token)
    assert rules.token_of(text, "https://issuer.example") == token
    for other in (
        text + "?x=1",
        text + "/",
        text.replace("issuer", "evil"),
        text.replace("https", "http"),
        "https://issuer.example.evil.example/l/" + token,
        "https://issuer.example/x/" + token,
        token,
        "EC0:ABC",
        " " + text,
        text[:-1],
    ):
        assert rules.token_of(other, "https://issuer.example") is None


@given(st.text(max_size=200))
def test_whatever_is_scanned_is_read_or_refused(text: str) -> None:
    token = rules.token_of(text, "https://issuer.example")
    assert token is None or rules.qr_text("https://issuer.example", token) == text


def one_of(values: Iterator[int], size: int) -> bytes:
    assert size == 1
    return bytes([next(values)])


def test_numbers_are_three_of_two_digits_and_tell_nothing_by_their_order() -> None:
    places = set()
    for start in range(60):
        first, three = rules.numbers(partial(one_of, (number * 89 % 256 for number in count(start))))
        assert len(set(three)) == 3
        assert first in three
        assert all(10 <= int(number) <= 99 for number in three)
        assert list(three) == sorted(three)
        places.add(three.index(first))
    assert places == {0, 1, 2}


def test_an_answer_is_added_to_the_registered_address() -> None:
    assert answer_to(BACK, {"code": "a b", "state": None}) == BACK + "?code=a+b"
    assert answer_to(BACK + "?x=1", {"error": "access_denied"}) == BACK + "?x=1&error=access_denied"


EDGE = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML) Chrome/130.0 Safari/537.36 Edg/130"


@pytest.mark.parametrize(
    ("peer", "agent", "said"),
    [
        ("127.0.0.1", "", ("unknown", "unknown", "unknown")),
        ("10.1.2.3", EDGE, ("unknown", "unknown", "Windows, Edge")),
        ("2001:4860:1:2::/64", "", ("unknown", "2001:4860:1::/48", "unknown")),
        ("8.8.8.8", "curl/8", ("郑州", "8.8.8.0/24", "unknown")),
        ("2001:4860:4860::8888", "Mozilla (Macintosh) Safari/1", ("unknown", "2001:4860:4860::/48", "macOS, Safari")),
        ("::ffff:127.0.0.1", "x" * 9000, ("unknown", "unknown", "unknown")),
        (None, "(iPhone) MicroMessenger/8", ("unknown", "unknown", "iPhone, WeChat")),
        ("testclient", "Firefox/1 Android", ("unknown", "unknown", "Android, Firefox")),
    ],
)
def test_of_the_desktop_is_said_what_is_known(peer: str | None, agent: str, said: tuple[str, str, str]) -> None:
    desktop = desktop_of(peer, agent, {"8.8.8.8": "郑州"}.get)
    assert (desktop.region, desktop.address, desktop.device) == said
