"""The desk signs ID tokens and login requests as this house writes them; nothing else it signs can pass as one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.errors import InvalidInput
from ecard_keys.desk.desk import SigningProfile
from ecard_keys.desk.journal import Outcome
from ecard_keys.key import KeyPurpose
from ecard_keys.verify import load_public_key, verify
from ecard_verifier.confirmation import claims_of, draft_confirmation, read_claims
from tests.keys.desk_support import ISSUER, NOW, Bench, T, altered
from tests.keys.test_desk_confirmations import SAID

TOKEN: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "cd" * 16,
    "aud": "login.jobs",
    "exp": T + 300,
    "iat": T,
    "auth_time": T - 20,
    "jti": "ab" * 16,
    "acr": "urn:ecard:acr:chip",
    "amr": ["pop", "urn:ecard:amr:number"],
    "nonce": "n-0",
}
REQUEST: dict[str, Any] = {
    "iss": ISSUER,
    "aud": "ek_test_" + "a" * 24,
    "jti": "ab" * 16,
    "iat": T,
    "exp": T + 120,
    "client": {"id": "login.jobs", "zh": "就业服务", "en": "Jobs", "host": "jobs.example"},
    "desktop": {"region": "unknown", "address": "unknown", "device": "Windows, Edge"},
    "acr": "urn:ecard:acr:device",
    "claims": ["name_masked"],
    "numbers": ["12", "47", "90"],
    "must_be_camera": True,
}
TYPES = {SigningProfile.LOGIN_TOKEN: "JWT", SigningProfile.LOGIN_REQUEST: "ecard-login-request+jwt"}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def kid(bench: Bench) -> str:
    return bench.home.create(KeyPurpose.STATEMENT, NOW)


def draft(profile: SigningProfile, kid: str) -> bytes:
    said = TOKEN if profile is SigningProfile.LOGIN_TOKEN else REQUEST
    return jose.compact_signing_input({"alg": "ES256", "kid": kid, "typ": TYPES[profile]}, said)


@pytest.mark.parametrize("profile", TYPES)
def test_an_honest_one_is_signed(bench: Bench, kid: str, profile: SigningProfile) -> None:
    (signature,) = bench.desk.sign(profile, kid, [draft(profile, kid)], NOW)
    assert verify(load_public_key(bench.home.public_key(kid)), draft(profile, kid), signature)


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("issuer", lambda claims: claims.update(iss="https://other.example")),
        ("clock", lambda claims: claims.update(iat=T + 700, exp=T + 800)),
        ("validity", lambda claims: claims.update(exp=T + 601)),
        ("validity", lambda claims: claims.update(exp=T)),
        ("validity", lambda claims: claims.update(auth_time=T + 1)),
        ("validity", lambda claims: claims.update(auth_time=T - 601)),
        ("form", lambda claims: claims.update(sub="110101199003074514")),
        ("form", lambda claims: claims.update(jti="x")),
        ("form", lambda claims: claims.update(acr="urn:ecard:acr:sure")),
        ("form", lambda claims: claims.update(amr=[])),
        ("form", lambda claims: claims.update(amr=["pop", "pop"])),
        ("form", lambda claims: claims.update(amr=["face"])),
        ("form", lambda claims: claims.update(nonce="")),
        ("form", lambda claims: claims.update(nonce="n" * 513)),
        ("form", lambda claims: claims.pop("auth_time")),
        ("form", lambda claims: claims.update(iat=True)),
        ("audience", lambda claims: claims.update(aud="jobs")),
        ("audience", lambda claims: claims.update(aud="ek_live_" + "a" * 24)),
        ("rebuild", lambda claims: claims.update(name="张三")),
    ],
)
def test_an_id_token_that_is_not_ours_is_refused(
    bench: Bench, kid: str, rule: str, change: Callable[[dict[str, Any]], None]
) -> None:
    profile = SigningProfile.LOGIN_TOKEN
    with pytest.raises(InvalidInput) as caught:
        bench.desk.sign(profile, kid, [altered(draft(profile, kid), change)], NOW)
    assert caught.value.code == "draft_refused"
    *_, last = bench.journal.entries()
    assert (last.outcome, last.reason) == (Outcome.REFUSED, rule)


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("audience", lambda claims: claims.update(aud="login.jobs")),
        ("form", lambda claims: claims.update(must_be_camera=False)),
        ("form", lambda claims: claims.update(numbers=["12", "12", "90"])),
        ("form", lambda claims: claims.update(numbers=["12", "47"])),
        ("form", lambda claims: claims.update(numbers=["1", "47", "90"])),
        ("form", lambda claims: claims["client"].update(host="jobs.example/ 张")),
        ("form", lambda claims: claims["client"].update(zh="")),
        ("form", lambda claims: claims["desktop"].update(region="x" * 101)),
        ("validity", lambda claims: claims.update(exp=T + 601)),
        ("rebuild", lambda claims: claims.update(sub="cd" * 16)),
        ("rebuild", lambda claims: claims["client"].update(logo="x")),
    ],
)
def test_a_request_that_is_not_ours_is_refused(
    bench: Bench, kid: str, rule: str, change: Callable[[dict[str, Any]], None]
) -> None:
    profile = SigningProfile.LOGIN_REQUEST
    with pytest.raises(InvalidInput):
        bench.desk.sign(profile, kid, [altered(draft(profile, kid), change)], NOW)
    *_, last = bench.journal.entries()
    assert (last.outcome, last.reason) == (Outcome.REFUSED, rule)


def test_nothing_passes_under_another_name_or_another_key(bench: Bench, kid: str) -> None:
    event_key = bench.keys[KeyPurpose.EVENT]
    token, request = TYPES
    for profile, key_id, what in (
        (token, event_key, draft(token, event_key)),
        (SigningProfile.CONFIRMATION, kid, draft(token, kid)),
        (SigningProfile.PARTNER_EVENT, kid, draft(token, kid)),
        (token, kid, draft(request, kid)),
        (request, kid, draft(token, kid)),
        (token, kid, jose.compact_signing_input({"alg": "ES256", "kid": kid, "typ": "at+jwt"}, TOKEN)),
    ):
        with pytest.raises(InvalidInput):
            bench.desk.sign(profile, key_id, [what], NOW)


def test_no_other_statement_can_have_a_clients_audience_and_a_subject(bench: Bench, kid: str) -> None:
    """Libraries of sites look at `aud` and not at `typ`: a confirmation for a client id would log its person in."""
    honest = draft_confirmation(SAID, kid).signing_input
    with pytest.raises(InvalidInput):
        bench.desk.sign(
            SigningProfile.CONFIRMATION, kid, [altered(honest, lambda said: said.update(aud="login.jobs"))], NOW
        )
    with pytest.raises(InvalidInput):
        read_claims(jose.dump_json({**claims_of(SAID), "aud": "login.jobs"}))
    (signature,) = bench.desk.sign(SigningProfile.LOGIN_TOKEN, kid, [draft(SigningProfile.LOGIN_TOKEN, kid)], NOW)
    token = jose.UnsignedJws(draft(SigningProfile.LOGIN_TOKEN, kid)).complete(signature)
    for typ in ("ecard-confirmation+jwt", "secevent+jwt", "kb+jwt", "dc+sd-jwt", "ecard-login-request+jwt"):
        with pytest.raises(InvalidInput, match="wrong_type"):
            jose.parse_compact(token, typ=typ)


def test_an_id_token_is_never_signed_by_sm2(tmp_path: Path) -> None:
    bench = Bench(tmp_path, algorithm=Algorithm.SM2)
    kid = bench.home.create(KeyPurpose.STATEMENT, NOW)
    what = jose.compact_signing_input({"alg": "SM2", "kid": kid, "typ": "JWT"}, TOKEN)
    with pytest.raises(InvalidInput):
        bench.desk.sign(SigningProfile.LOGIN_TOKEN, kid, [what], NOW)
