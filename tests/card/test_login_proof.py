"""The login proof: good for one site, one request, one number, about now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card import jose, login_proof
from ecard_card.errors import EcardError, InvalidInput

T = 1_800_000_000
CREDENTIAL = bytes(range(16))
DRAFT = login_proof.draft("login.jobs", "ab" * 16, "47", CREDENTIAL, T)
PROOF = DRAFT.complete(bytes(64))


def parse(proof: str, now: int = T, client: str = "login.jobs", request: str = "ab" * 16) -> login_proof.LoginProof:
    return login_proof.parse(proof, client_id=client, request_id=request, now=now)


def changed(change: Callable[[dict[str, Any]], object], **header: str) -> str:
    claims = jose.parse_json(jose.b64url_decode(PROOF.split(".")[1]))
    assert isinstance(claims, dict)
    change(claims)
    head = {"alg": "ES256", "typ": login_proof.PROOF_TYPE, **header}
    return jose.UnsignedJws(jose.compact_signing_input(head, claims)).complete(bytes(64))


def test_it_reads_back() -> None:
    said = parse(PROOF)
    assert (said.credential_id, said.number, said.jws.signing_input) == (CREDENTIAL, "47", DRAFT.signing_input)


@pytest.mark.parametrize(("offset", "good"), [(60, True), (-60, True), (121, False), (-61, False), (600, False)])
def test_it_is_about_now(offset: int, good: bool) -> None:
    """`offset`: how far our clock is ahead of the phone's."""
    if good:
        parse(PROOF, now=T + offset)
        return
    with pytest.raises(InvalidInput, match="bad_login_proof"):
        parse(PROOF, now=T + offset)


@pytest.mark.parametrize(
    "change",
    [
        lambda claims: claims.update(aud="login.other"),
        lambda claims: claims.update(nonce="cd" * 16),
        lambda claims: claims.update(iat="now"),
        lambda claims: claims.update(iat=True),
        lambda claims: claims.update(number="4"),
        lambda claims: claims.update(number=47),
        lambda claims: claims.update(credential_id="=="),
        lambda claims: claims.update(credential_id=7),
        lambda claims: claims.update(more=1),
        lambda claims: claims.pop("number"),
    ],
)
def test_anything_else_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(InvalidInput, match="bad_login_proof"):
        parse(changed(change))


def test_another_kind_of_token_is_none() -> None:
    for other in (changed(len, typ="ecard-device-proof+jwt"), changed(len, typ="kb+jwt"), changed(len, alg="none")):
        with pytest.raises(InvalidInput):
            parse(other)
    with pytest.raises(InvalidInput, match="bad_login_proof"):
        parse(changed(len, kid="x"))


@given(st.text(max_size=300))
def test_whatever_comes_in_only_our_errors_come_out(text: str) -> None:
    with pytest.raises(EcardError):
        parse(text)
