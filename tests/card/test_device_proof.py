"""The device proof is good for one issuer, one enrolment and one minute; its reading raises nothing but our errors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card import device_proof, jose
from ecard_card.errors import InvalidInput

ISSUER, ENROLMENT, NOW = "https://issuer.example", "e1", 1_800_000_000
HEADER = {"alg": "ES256", "typ": device_proof.PROOF_TYPE}


def read(proof: str) -> jose.CompactJws:
    return device_proof.parse(proof, issuer=ISSUER, enrolment_id=ENROLMENT, now=NOW)


def token(payload: bytes, header: dict[str, str] | None = None) -> str:
    head = jose.b64url_encode(jose.dump_json(HEADER if header is None else header))
    return f"{head}.{jose.b64url_encode(payload)}.{jose.b64url_encode(bytes(64))}"


@pytest.mark.parametrize("skew", [-60, 0, 60])
def test_what_was_drafted_is_read_and_left_to_be_verified(skew: int) -> None:
    draft = device_proof.draft(ISSUER, ENROLMENT, NOW + skew)
    jws = read(draft.complete(bytes(range(64))))
    assert (jws.signing_input, jws.signature) == (draft.signing_input, bytes(range(64)))


@pytest.mark.parametrize(
    "draft",
    [
        device_proof.draft("https://other.example", ENROLMENT, NOW),
        device_proof.draft(ISSUER, "e2", NOW),
        device_proof.draft(ISSUER, ENROLMENT, NOW - 61),
        device_proof.draft(ISSUER, ENROLMENT, NOW + 61),
    ],
)
def test_a_proof_for_another_request_is_refused(draft: jose.UnsignedJws) -> None:
    with pytest.raises(InvalidInput, match="bad_device_proof"):
        read(draft.complete(bytes(64)))


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b"no JSON", b'{"aud":1,"aud":1}', b'{"aud":[[[1]]]}', b'{"aud":"https://issuer.example"}']
    + [b'{"aud":"https://issuer.example","nonce":"e1","iat":%b}' % iat for iat in (b"true", b"1.8e9", b'"1800000000"')],
)
def test_claims_that_say_something_else_are_a_bad_proof(payload: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(token(payload))
    assert refused.value.code == "bad_device_proof"


def test_the_form_is_refused_by_its_own_codes() -> None:
    for proof, code in (
        ("", "bad_jws"),
        ("x" * 5000, "bad_jws"),
        (token(b"{}", {"alg": "ES256", "typ": "kb+jwt"}), "wrong_type"),
        (token(b"{}", {"alg": "none", "typ": device_proof.PROOF_TYPE}), "algorithm_not_allowed"),
    ):
        with pytest.raises(InvalidInput) as refused:
            read(proof)
        assert refused.value.code == code


@given(st.text(max_size=200) | st.binary(max_size=200).map(token))
def test_nothing_but_our_errors_leaves(proof: str) -> None:
    with pytest.raises(InvalidInput):
        read(proof)
