"""Other people's libraries read what we write, and we read what they write."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from jwcrypto.jwk import JWK
from openvc.proof.sd_jwt import SdJwtVcProofSuite
from openvc.status import token_status_list as other_list
from sd_jwt.common import SDObj
from sd_jwt.holder import SDJWTHolder
from sd_jwt.issuer import SDJWTIssuer
from sd_jwt.verifier import SDJWTVerifier

from ecard_card import cbor, cwt, jose, sd_jwt, status_token
from ecard_card.status_list import StatusList
from tests.card.support import SIGNATURE, holds, new_key, point, sample, sign

AUDIENCE, NONCE, AT = "https://shop.example", "bm9uY2U", 1_790_000_100
ISSUER, DEVICE = new_key(), new_key()


def jwk(key: ec.EllipticCurvePrivateKey, *, private: bool = False) -> JWK:
    if private:
        encoding = serialization.PrivateFormat.PKCS8
        return JWK.from_pem(key.private_bytes(serialization.Encoding.PEM, encoding, serialization.NoEncryption()))
    return JWK(**jose.public_jwk(point(key)[1:33], point(key)[33:]))


def presentation(names: list[str]) -> str:
    unsigned = sd_jwt.draft(sample(point(DEVICE)), "0123abcd", iter(bytes([n]) * 16 for n in range(99)).__next__)
    shown = sd_jwt.present(unsigned.complete(sign(ISSUER, unsigned.signing_input)), names)
    binding = sd_jwt.key_binding_input(shown, audience=AUDIENCE, nonce=NONCE, issued_at=AT)
    return binding.complete(sign(DEVICE, binding.signing_input))


@pytest.mark.parametrize("names", [[], ["name"], ["name", "card_number"], sorted(sample().claims)])
def test_sd_jwt_reference_library_accepts_ours(names: list[str]) -> None:
    text = presentation(names)
    verified = SDJWTVerifier(text, lambda issuer, header: jwk(ISSUER), AUDIENCE, NONCE).get_verified_payload()
    assert verified == sd_jwt.parse(text).payload


@pytest.mark.parametrize("names", [[], ["name"], sorted(sample().claims)])
def test_openvc_accepts_ours(names: list[str]) -> None:
    text = presentation(names)
    verified = SdJwtVcProofSuite().verify(
        text,
        public_key_jwk=jose.public_jwk(point(ISSUER)[1:33], point(ISSUER)[33:]),
        audience=AUDIENCE,
        nonce=NONCE,
        require_key_binding=True,
        expected_vct=sample().vct,
        now=datetime.fromtimestamp(AT + 5, UTC),
    )
    ours = sd_jwt.parse(text).payload
    assert {name: verified.claims[name] for name in ours} == ours


NESTED: dict[Any, Any] = {
    "iss": "https://issuer.example",
    "iat": 1,
    "exp": 4_000_000_000,
    SDObj("name"): "张测试",
    SDObj("address"): {SDObj("city"): "合肥", "country": "CN"},
    "open": {SDObj("hidden"): [1, 2, {"x": None}]},
    "list": [SDObj("one"), "two", {SDObj("deep"): True}],
}


@pytest.mark.parametrize("decoys", [False, True])
def test_we_read_what_the_reference_library_writes(decoys: bool) -> None:
    issuer = SDJWTIssuer(
        NESTED,
        jwk(ISSUER, private=True),
        jwk(DEVICE),
        add_decoy_claims=decoys,
        extra_header_parameters={"typ": "x+sd-jwt"},
    )
    holder = SDJWTHolder(issuer.sd_jwt_issuance)
    holder.create_presentation(True, NONCE, AUDIENCE, jwk(DEVICE, private=True))
    text = holder.sd_jwt_presentation
    read = sd_jwt.parse(text, typ="x+sd-jwt")
    verified = SDJWTVerifier(text, lambda issuer, header: jwk(ISSUER), AUDIENCE, NONCE).get_verified_payload()
    assert read.payload == verified
    assert holds(point(ISSUER), read.issuer_jws.signing_input, read.issuer_jws.signature)
    bound = sd_jwt.parse_key_binding(read)
    assert (bound.audience, bound.nonce) == (AUDIENCE, NONCE)
    assert holds(point(DEVICE), bound.jws.signing_input, bound.jws.signature)


@given(st.sampled_from((1, 2, 4, 8)), st.lists(st.tuples(st.integers(0, 99), st.integers(0, 255)), max_size=20))
def test_openvc_reads_our_status_lists_and_we_read_its(bits: int, changes: list[tuple[int, int]]) -> None:
    ours, theirs = StatusList(100, bits), other_list.new_status_list(100, bits=bits)
    for index, value in changes:
        ours.set(index, value % (1 << bits))
        other_list.set_status(theirs, index, value % (1 << bits), bits=bits)
    unsigned = status_token.jwt_draft("https://issuer.example/1", ours, "0123abcd", 1, 2, 60)
    claims: Any = jose.parse_json(jose.b64url_decode(str(unsigned.complete(SIGNATURE)).split(".")[1]))
    referenced = {"status": {"status_list": {"idx": 42, "uri": "https://issuer.example/1"}}}
    result = other_list.check_token_status(referenced, resolve_status_list_token=lambda uri: claims)
    assert result is not None
    assert result.status == ours.get(42)
    lst = jose.b64url_decode(other_list.encode_status_list(bytes(theirs)))
    assert [StatusList.from_compressed(lst, bits).get(i) for i in range(100)] == [ours.get(i) for i in range(100)]


def test_any_cbor_library_reads_our_cwt() -> None:
    message = cbor2.loads(cwt.draft(sample(), b"abcd").complete(SIGNATURE))
    assert message.tag == 18
    protected, unprotected, payload, signature = message.value
    assert (cbor2.loads(protected), dict(unprotected), signature) == ({1: -9, 4: b"abcd"}, {}, SIGNATURE)
    assert cbor2.loads(payload)[-70001] == [7, 734512]


@given(st.dictionaries(st.integers(0, 23), st.binary(max_size=9) | st.integers(), max_size=6))
def test_canonical_encoders_agree_where_the_two_orders_do(value: dict[int, object]) -> None:
    """RFC 7049's order (cbor2) and RFC 8949's are the same for keys of one length."""
    if all(not isinstance(item, int) or abs(item) < 1 << 63 for item in value.values()):
        assert cbor.encode(value) == cbor2.dumps(value, canonical=True)
