"""ES256 verification: against published vectors, and refusing everything else."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.errors import InvalidInput
from ecard_card.jose import CompactJws
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import P256_ORDER
from ecard_keys.verify import PublicKey, algorithm_of, load_public_key, uncompressed, verify, verify_jws

# RFC 6979 A.2.5: P-256, SHA-256, message "sample". Its s is the higher one of the two.
RFC6979_POINT = bytes.fromhex(
    "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
    "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
)
RFC6979_SIGNATURE = bytes.fromhex(
    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
    "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
)
# RFC 7515 A.3
RFC7515_INPUT = (
    b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
    b"cGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
)
RFC7515_SIGNATURE = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
RFC7515_JWK = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}

SIGNER = EphemeralSigner()
KEY = load_public_key(SIGNER.public)


def sign(message: bytes) -> bytes:
    return SIGNER.sign(SIGNER.key_id, [message])[0]


def other_form(signature: bytes) -> bytes:
    s = P256_ORDER - int.from_bytes(signature[32:], "big")
    return signature[:32] + s.to_bytes(32, "big")


def test_the_vector_of_rfc_6979_holds_and_low_s_refuses_its_high_form() -> None:
    key = load_public_key(RFC6979_POINT)
    assert verify(key, b"sample", RFC6979_SIGNATURE)
    assert not verify(key, b"sample", RFC6979_SIGNATURE, low_s=True)
    assert verify(key, b"sample", other_form(RFC6979_SIGNATURE), low_s=True)
    assert not verify(key, b"test", RFC6979_SIGNATURE)


def test_the_vector_of_rfc_7515_holds_through_pyjwt() -> None:
    key = load_public_key(jose.parse_public_jwk(RFC7515_JWK))
    signature = jose.b64url_decode(RFC7515_SIGNATURE)
    assert verify_jws(CompactJws({"alg": "ES256"}, b"", signature, RFC7515_INPUT), key)
    assert not verify_jws(CompactJws({"alg": "ES256"}, b"", signature, RFC7515_INPUT + b"A"), key)


@given(st.binary(max_size=200), st.integers(0, 63), st.integers(0, 7))
@settings(max_examples=50, deadline=None)
def test_any_changed_bit_is_refused(message: bytes, place: int, bit: int) -> None:
    signature = bytearray(sign(message))
    assert verify(KEY, message, bytes(signature), low_s=True)
    signature[place] ^= 1 << bit
    assert not verify(KEY, message, bytes(signature))


@given(st.binary(max_size=130))
@settings(max_examples=100, deadline=None)
def test_garbage_is_refused_without_an_exception(garbage: bytes) -> None:
    assert not verify(KEY, b"message", garbage)
    assert not verify_jws(CompactJws({"alg": "ES256"}, b"", garbage, b"message"), KEY)


@pytest.mark.parametrize("r", [0, 1, P256_ORDER - 1, P256_ORDER, 2**256 - 1])
@pytest.mark.parametrize("s", [0, 1, P256_ORDER, 2**256 - 1])
def test_numbers_at_the_edges_are_refused(r: int, s: int) -> None:
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    assert not verify(KEY, b"message", signature)
    assert not verify_jws(CompactJws({"alg": "ES256"}, b"", signature, b"message"), KEY)


def test_a_malleated_jws_is_refused_where_low_s_is_wanted() -> None:
    signature = other_form(sign(b"a.b"))
    jws = CompactJws({"alg": "ES256"}, b"", signature, b"a.b")
    assert verify_jws(jws, KEY)
    assert not verify_jws(jws, KEY, low_s=True)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES384", "es256", "", None, 7])
def test_no_other_algorithm_than_es256_is_used(algorithm: object) -> None:
    jws = CompactJws({"alg": algorithm}, b"", sign(b"a.b"), b"a.b")
    assert not verify_jws(jws, KEY)
    assert not verify_jws(CompactJws({}, b"", sign(b"a.b"), b"a.b"), KEY)


def test_compressed_and_uncompressed_points_are_the_same_key() -> None:
    compressed = bytes([2 + (SIGNER.public[64] & 1)]) + SIGNER.public[1:33]
    assert load_public_key(compressed) == KEY


@pytest.mark.parametrize(
    "point",
    [
        b"",
        b"\x00",
        b"\x04" + bytes(64),
        b"\x02" + b"\xff" * 32,
        SIGNER.public[:-1],
        SIGNER.public + b"\x00",
        bytes([6 + (SIGNER.public[64] & 1)]) + SIGNER.public[1:],  # hybrid form
        SIGNER.public[:64] + bytes([SIGNER.public[64] ^ 1]),  # off the curve
        b"\x04" + SIGNER.public[1:33],
    ],
    ids=["empty", "infinity", "zero", "x-too-large", "short", "long", "hybrid", "off-curve", "half"],
)
def test_what_is_no_point_of_p256_is_refused(point: bytes) -> None:
    with pytest.raises(InvalidInput) as refusal:
        load_public_key(point)
    assert refusal.value.code == "bad_public_key"


@given(st.binary(max_size=70))
@settings(max_examples=100, deadline=None)
def test_only_our_error_leaves_load_public_key(garbage: bytes) -> None:
    for point in (garbage, b"\x04" + garbage.ljust(64, b"\0")[:64], b"\x02" + garbage.ljust(32, b"\0")[:32]):
        with contextlib.suppress(InvalidInput):
            load_public_key(point)


SIGNERS = {algorithm: EphemeralSigner(algorithm=algorithm) for algorithm in Algorithm}


def key_of(algorithm: Algorithm) -> PublicKey:
    signer = SIGNERS[algorithm]
    return load_public_key(signer.public, algorithm, signer.user_id)


@pytest.mark.parametrize("judged_by", list(Algorithm))
@pytest.mark.parametrize("signed_by", list(Algorithm))
def test_each_key_judges_by_its_own_algorithm_only(signed_by: Algorithm, judged_by: Algorithm) -> None:
    signer = SIGNERS[signed_by]
    (signature,) = signer.sign(signer.key_id, [b"a.b"])
    key = key_of(judged_by)
    assert algorithm_of(key) is judged_by
    assert verify(key, b"a.b", signature) is (signed_by is judged_by)
    assert not verify(key, b"a.c", signature)
    assert not verify(key, b"a.b", b"")
    assert not verify(key, b"a.b", bytes(64))


@pytest.mark.parametrize("named", ["ES256", "SM2", "ML-DSA-65", "none", None, ["SM2"]])
@pytest.mark.parametrize("algorithm", [Algorithm.ES256, Algorithm.SM2])
def test_a_jws_must_name_the_algorithm_of_the_key(algorithm: Algorithm, named: object) -> None:
    signer = SIGNERS[algorithm]
    (signature,) = signer.sign(signer.key_id, [b"a.b"])
    assert verify_jws(CompactJws({"alg": named}, b"", signature, b"a.b"), key_of(algorithm)) is (named == algorithm)


@pytest.mark.parametrize("algorithm", ["", "SM9", "ES384", "ML-DSA-65", "RS256"])
def test_a_key_of_an_unknown_algorithm_is_refused(algorithm: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        load_public_key(SIGNER.public, algorithm)
    assert refusal.value.code == "bad_public_key"


def test_uncompressed_gives_the_point_whatever_its_form() -> None:
    for algorithm in (Algorithm.ES256, Algorithm.SM2):
        point = SIGNERS[algorithm].public
        compressed = bytes([2 + (point[64] & 1)]) + point[1:33]
        assert uncompressed(compressed, algorithm) == uncompressed(point, algorithm) == point
    with pytest.raises(InvalidInput):
        uncompressed(SIGNERS[Algorithm.ML_DSA_65].public, Algorithm.ML_DSA_65)
