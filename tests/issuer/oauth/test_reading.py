"""Assertions and proofs that nobody should send: our errors, and nothing else, come out."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_issuer.oauth.client_assertion import judge_assertion
from ecard_issuer.oauth.dpop import DpopNonces, Request, judge_proof
from ecard_issuer.oauth.jwt import read_jwt
from ecard_issuer.oauth.refusals import ClientRefused, NonceNeeded, ProofRefused
from ecard_keys.client_keys import read_client_key
from ecard_keys.client_signer import ClientSigner, client_assertion, dpop_proof
from tests.contracts.register_world import NOW

SIGNER = ClientSigner.generate("k")
KEY = read_client_key(SIGNER.public_jwk)
AUDIENCE = "https://issuer.example"
ASKED = Request("POST", f"{AUDIENCE}/oauth/token")
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.text(max_size=5))
CLAIMS = ["iss", "sub", "aud", "jti", "exp", "iat", "nbf", "htm", "htu", "ath", "nonce"]
PART = st.text(alphabet="abcXYZ019-_=.é\n", max_size=40)


def assertion(**changed: Any) -> str:
    present = int(NOW.timestamp())
    claims = {"iss": "ek", "sub": "ek", "aud": AUDIENCE, "jti": "j", "iat": present, "exp": present + 60} | changed
    return SIGNER.jwt({"kid": "k"}, {name: value for name, value in claims.items() if value is not None})


def judged(token: str) -> str:
    try:
        judge_assertion(token, AUDIENCE, lambda *_: (KEY,), NOW)
    except ClientRefused as refused:
        return refused.code
    return "ok"


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({}, "ok"),
        ({"iat": None}, "ok"),
        ({"exp": None}, "client_assertion_wrong"),
        ({"exp": "soon"}, "client_assertion_wrong"),
        ({"exp": 1e300}, "client_assertion_wrong"),
        ({"exp": True}, "client_assertion_wrong"),
        ({"jti": None}, "client_assertion_wrong"),
        ({"jti": "j" * 257}, "client_assertion_wrong"),
        ({"jti": 7}, "client_assertion_wrong"),
        ({"sub": "other"}, "client_assertion_wrong"),
        ({"iss": None}, "client_assertion_wrong"),
        ({"exp": int(NOW.timestamp()) + 301}, "client_assertion_wrong"),
        ({"exp": int(NOW.timestamp()) + 3600, "iat": None}, "client_assertion_wrong"),
        ({"exp": int(NOW.timestamp()) - 61, "iat": None}, "clock_differs"),
        ({"exp": int(NOW.timestamp()) - 60, "iat": None}, "ok"),
        ({"nbf": int(NOW.timestamp()) + 61}, "clock_differs"),
        ({"iat": int(NOW.timestamp()) + 61, "exp": int(NOW.timestamp()) + 100}, "clock_differs"),
    ],
)
def test_claims_of_an_assertion(changed: dict[str, Any], outcome: str) -> None:
    assert judged(assertion(**changed)) == outcome


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(CLAIMS), VALUES, max_size=5), st.sampled_from([{}, {"typ": "dpop+jwt"}]))
def test_whatever_claims_are_signed(changed: dict[str, Any], header: dict[str, Any]) -> None:
    with suppress(ValueError):  # what is no JSON is not signed
        token = assertion(**changed)
        proof = SIGNER.jwt({"typ": "dpop+jwt", "jwk": SIGNER.bare_jwk} | header, changed)
        judged(token)
        with suppress(ProofRefused):
            judge_proof(proof, ASKED, NOW, access_token="t")


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.tuples(PART, PART, PART).map(".".join))
def test_whatever_text_comes(text: str) -> None:
    assert judged(text) == "client_assertion_wrong"
    with pytest.raises(ProofRefused):
        judge_proof(text, ASKED, NOW)


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"alg": "none"}, "algorithm_not_allowed"),
        ({"alg": "HS256"}, "algorithm_not_allowed"),
        ({"alg": ["ES256"]}, "algorithm_not_allowed"),
        ({}, "algorithm_not_allowed"),
        ({"alg": "ES256", "typ": "at+jwt"}, "wrong_type"),
        ({"alg": "ES256", "typ": 5}, "wrong_type"),
        ({"alg": "ES256", "crit": ["exp"]}, "bad_jws"),
        ({"alg": "ES256", "jku": "https://evil.example/jwks"}, "bad_jws"),
        ({"alg": "ES256", "x5u": "https://evil.example/c"}, "bad_jws"),
    ],
)
def test_headers(header: dict[str, Any], code: str) -> None:
    token = f"{jose.b64url_encode(jose.dump_json(header))}.e30.AAAA"
    with pytest.raises(InvalidInput, match=code):
        read_jwt(token, types=("jwt", None), members=("kid",))


def test_bounds_of_a_token() -> None:
    good = assertion()
    head, body, tail = good.split(".")
    twice = jose.b64url_encode(b'{"alg":"ES256","alg":"none"}')
    for wrong in (
        good + "=",
        f"{head}.{body}",
        f"{twice}.{body}.{tail}",
        f"{head}.{body}.{'A' * 9000}",
        f"{head}.W10.{tail}",
        f"{head}.{body}.{tail}\n",
        " " + good,
    ):
        assert judged(wrong) == "client_assertion_wrong"
    assert judged(good) == "ok"
    assert judged(client_assertion(SIGNER, "ek", AUDIENCE, NOW)) == "ok"


@pytest.mark.parametrize(
    ("url", "holds"),
    [
        (f"{AUDIENCE}/oauth/token", True),
        ("HTTPS://Issuer.Example:443/oauth/token", True),
        (f"{AUDIENCE}/oauth/token?x=1#y", True),
        (f"{AUDIENCE}/oauth/token/", False),
        (f"{AUDIENCE}:8443/oauth/token", False),
        ("https://issuer.example@evil.example/oauth/token", False),
        ("https://user@issuer.example/oauth/token", False),
        ("/oauth/token", False),
        ("https://[::1/oauth/token", False),
        ("https://issuer.example:99999/oauth/token", False),
        ("", False),
    ],
)
def test_addresses_of_a_proof(url: str, holds: bool) -> None:
    claims = {"jti": "j", "htm": "POST", "htu": url, "iat": int(NOW.timestamp())}
    proof = SIGNER.jwt({"typ": "dpop+jwt", "jwk": SIGNER.bare_jwk}, claims)
    if holds:
        assert judge_proof(proof, ASKED, NOW).thumbprint == SIGNER.thumbprint
    else:
        with pytest.raises(ProofRefused, match="dpop_proof_wrong"):
            judge_proof(proof, ASKED, NOW)


def test_nonces_are_fresh_for_a_few_minutes_and_of_this_authority() -> None:
    nonces = DpopNonces(lambda label, data: (label.encode() + data).ljust(32, b"."))
    others = DpopNonces(lambda label, data: bytes(32))
    nonce = nonces.fresh(NOW)
    assert all(nonces.holds(nonce, NOW + timedelta(seconds=seconds)) for seconds in (0, 60, 120))
    assert not nonces.holds(nonce, NOW + timedelta(seconds=240))
    assert not nonces.holds(nonce, NOW - timedelta(seconds=240))
    assert not others.holds(nonce, NOW)
    proof = dpop_proof(SIGNER, "POST", ASKED.url, NOW)
    with pytest.raises(NonceNeeded) as needed:
        judge_proof(proof, ASKED, NOW, nonces=nonces)
    assert needed.value.nonce == nonce
