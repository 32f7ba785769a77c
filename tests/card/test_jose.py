from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from tests.card.support import SIGNATURE, brief, holds, load, new_key, only_our_errors, point, refused

VECTORS = load("jose")["vectors"]
HEADER = {"alg": "ES256", "typ": "test+jwt", "kid": "0123abcd"}


def of_kind(kind: str) -> list[Any]:
    return [pytest.param(item, id=item["source"]) for item in VECTORS if item["kind"] == kind]


def token(header: object, payload: bytes = b"{}", signature: bytes = SIGNATURE) -> str:
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    return ".".join(map(jose.b64url_encode, (head, payload, signature)))


@pytest.mark.parametrize("vector", of_kind("thumbprint"))
def test_thumbprint_vectors(vector: dict[str, Any]) -> None:
    assert jose.b64url_encode(jose.thumbprint(vector["jwk"])) == vector["expect"]


@pytest.mark.parametrize("vector", of_kind("base64url"))
def test_base64url_vectors(vector: dict[str, Any]) -> None:
    assert jose.b64url_encode(bytes.fromhex(vector["hex"])) == vector["expect"]
    assert jose.b64url_decode(vector["expect"]).hex() == vector["hex"]


@pytest.mark.parametrize("vector", of_kind("jws"))
def test_jws_vectors(vector: dict[str, Any]) -> None:
    head, payload, signature = map(jose.b64url_decode, vector["token"].split("."))
    expect = vector["expect"]
    assert (jose.parse_json(head), jose.parse_json(payload)) == (expect["header"], expect["payload"])
    public = jose.parse_public_jwk(vector["jwk"])
    assert holds(public, vector["token"].rpartition(".")[0].encode(), signature)
    refused(lambda: jose.parse_compact(vector["token"], typ="JWT"), expect["parse"])


@pytest.mark.parametrize("vector", of_kind("refused"))
def test_other_algorithms_are_refused(vector: dict[str, Any]) -> None:
    refused(lambda: jose.parse_compact(vector["token"], typ="JWT"), vector["expect"])


@given(st.binary(max_size=300))
def test_base64url_there_and_back(data: bytes) -> None:
    text = base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    assert jose.b64url_encode(data) == text
    assert jose.b64url_decode(text) == data


@given(st.text(max_size=40) | st.text("AZaz09-_+/= \n", max_size=12))
def test_base64url_has_one_text_for_given_bytes(text: str) -> None:
    def read() -> None:
        assert jose.b64url_encode(jose.b64url_decode(text)) == text

    only_our_errors(read)


@pytest.mark.parametrize(
    "text", ["A", "Zh", "Zm9=", "Zg==", "Zm8=", "Zm9v\n", " Zm9v", "Zm 9v", "+_==", "a+b/", "Zm9v=", "é===", "A" * 5]
)
def test_non_canonical_base64url_is_refused(text: str) -> None:
    refused(lambda: jose.b64url_decode(text), "bad_base64url")


def test_compact_there_and_back() -> None:
    unsigned = jose.UnsignedJws(jose.compact_signing_input(HEADER, {"name": "张", "n": 1}))
    read = jose.parse_compact(unsigned.complete(SIGNATURE), typ="test+jwt")
    assert dict(read.header) == HEADER
    assert jose.parse_json(read.payload) == {"name": "张", "n": 1}
    assert (read.signature, read.signing_input) == (SIGNATURE, unsigned.signing_input)


def test_a_read_header_cannot_be_changed() -> None:
    """Headers are remembered between calls, so one caller must not change what the next one reads."""
    read = jose.parse_compact(token(HEADER), typ="test+jwt")
    with pytest.raises(TypeError):
        read.header["alg"] = "none"  # type: ignore[index]


@pytest.mark.parametrize(
    "alg",
    [
        "none",
        "None",
        "NONE",
        "HS256",
        "ES256K",
        "ES384",
        "EdDSA",
        "es256",
        "sm2",
        "ML-DSA-65",
        "",
        None,
        1,
        ["ES256"],
        ["SM2"],
    ],
)
def test_only_es256_and_sm2_are_read(alg: object) -> None:
    refused(lambda: jose.parse_compact(token({**HEADER, "alg": alg}), typ="test+jwt"), "algorithm_not_allowed")
    refused(
        lambda: jose.parse_compact(token({**HEADER, "alg": alg}, signature=b""), typ="test+jwt"),
        "algorithm_not_allowed",
    )


@pytest.mark.parametrize("typ", ["JWT", "TEST+jwt", "application/test+jwt", "", None, 1, ["test+jwt"]])
def test_another_type_is_refused(typ: object) -> None:
    refused(lambda: jose.parse_compact(token({**HEADER, "typ": typ}), typ="test+jwt"), "wrong_type")


def test_missing_alg_or_type_is_refused() -> None:
    refused(lambda: jose.parse_compact(token({"typ": "test+jwt"}), typ="test+jwt"), "algorithm_not_allowed")
    refused(lambda: jose.parse_compact(token({"alg": "ES256"}), typ="test+jwt"), "wrong_type")


@pytest.mark.parametrize(
    "name", ["jwk", "jku", "x5u", "x5t", "x5t#S256", "crit", "b64", "cty", "zip", "enc", "ALG", ""]
)
def test_other_header_members_are_refused(name: str) -> None:
    refused(lambda: jose.parse_compact(token({**HEADER, name: "x"}), typ="test+jwt"), "bad_jws")


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b'"x"',
        b"null",
        b"{",
        b'{"alg":"ES256","alg":"ES256","typ":"test+jwt"}',
        b'{"alg":"ES256","\\u0061lg":"none","typ":"test+jwt"}',
        b'\xef\xbb\xbf{"alg":"ES256","typ":"test+jwt"}',
        '{"alg":"ES256","typ":"test+jwt"}'.encode("utf-16"),
        b'{"alg":"ES256","typ":"test+jwt","kid":1}',
        b'{"alg":"ES256","typ":"test+jwt","kid":"' + b"x" * 257 + b'"}',
        b'{"alg":"ES256","typ":"test+jwt","x5c":[]}',
        b'{"alg":"ES256","typ":"test+jwt","x5c":"MII"}',
        b'{"alg":"ES256","typ":"test+jwt","x5c":[1]}',
        b'{"alg":"ES256","typ":"test+jwt","x5c":["A","A","A","A","A","A","A","A","A"]}',
        b'{"alg":"ES256","typ":"test+jwt","x5c":[[[[]]]]}',
        b'{"alg":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    ],
    ids=brief,
)
def test_malformed_headers_are_refused(header: bytes) -> None:
    refused(lambda: jose.parse_compact(token(header), typ="test+jwt"), "bad_jws")


GOOD = token(HEADER)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "...",
        GOOD + ".",
        "." + GOOD,
        GOOD.replace(".", ""),
        GOOD + "=",
        GOOD + "==",
        GOOD + "\n",
        " " + GOOD,
        GOOD.replace(".", ". ", 1),
        GOOD[:-2],
        GOOD[:-1] + ("x" if GOOD[-1] != "x" else "y"),
        token(HEADER, signature=b""),
        token(HEADER, signature=SIGNATURE + b"0"),
        token(HEADER, signature=SIGNATURE[:63]),
        GOOD + "é",
        "é" + GOOD,
        "A" * 10_000_000,
        "." * 10_000_000,
        token(HEADER, payload=bytes(7_000_000)),
    ],
    ids=brief,
)
def test_malformed_tokens_are_refused(text: str) -> None:
    refused(lambda: jose.parse_compact(text, typ="test+jwt"), "bad_jws", "algorithm_not_allowed")


@given(st.text(max_size=60), st.binary(max_size=60), st.binary(max_size=60))
def test_only_our_errors_leave_the_reader(text: str, head: bytes, payload: bytes) -> None:
    for candidate in (text, f"{GOOD}{text}", f"{text}.{text}.{text}", token(head, payload)):
        only_our_errors(lambda candidate=candidate: jose.parse_compact(candidate, typ="test+jwt"))  # type: ignore[misc]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@given(JSON)
def test_json_there_and_back(value: object) -> None:
    assert jose.parse_json(jose.dump_json(value), max_depth=20) == value
    assert jose.parse_json(b" " + jose.dump_json(value) + b"\n", max_depth=20) == value


@given(st.binary(max_size=60) | st.text('{}[]":,\\u0dDfF8 \ntruealsn-+.eE', max_size=40).map(str.encode))
def test_only_our_errors_leave_the_json_reader(data: bytes) -> None:
    only_our_errors(lambda: jose.parse_json(data))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"nul",
        b"{} {}",
        b"{}x",
        b"{'a':1}",
        b'{"a":1,}',
        b'{"a":1,"a":1}',
        b'{"x":{"a":1,"\\u0061":2}}',
        b"NaN",
        b"[Infinity]",
        b"[-Infinity]",
        b"[1e999]",
        b"[-1e999]",
        b"[" + b"9" * 5000 + b"]",
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b'{"\\udfff":1}',
        b'"a\nb"',
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b"[" * 17 + b"]" * 17,
        b'{"a":' * 30_000 + b"1" + b"}" * 30_000,
        b"[" * 65_000,
        b" " * 65_537,
        b'"' + b"x" * 10_000_000 + b'"',
    ],
    ids=brief,
)
def test_json_that_is_refused(data: bytes) -> None:
    refused(lambda: jose.parse_json(data), "bad_json")


def test_json_depth_is_counted_in_containers() -> None:
    assert jose.parse_json(b"[" * 16 + b"]" * 16)
    assert jose.parse_json(b"[[],[],[],[]]", max_depth=2) == [[], [], [], []]
    assert jose.parse_json(b'"[[[[["', max_depth=1) == "[[[[["
    refused(lambda: jose.parse_json(b"[[[],[]],[]]", max_depth=2), "bad_json")


def test_public_jwk_there_and_back() -> None:
    public = point(new_key())
    jwk = jose.public_jwk(public[1:33], public[33:])
    assert jose.parse_public_jwk(jwk) == public
    assert jose.parse_public_jwk({**jwk, "kid": "1", "use": "sig", "alg": "ES256"}) == public
    assert jose.key_id(public) == jose.thumbprint(jwk).hex()[:8]


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_key_of_each_algorithm_goes_there_and_back(algorithm: Algorithm) -> None:
    public = bytes(1952) if algorithm is Algorithm.ML_DSA_65 else b"\x04" + bytes(range(64))
    jwk = jose.jwk_of(public, algorithm)
    assert jose.parse_jwk({**jwk, "kid": "1"}) == (algorithm, public)
    assert jose.key_id(public, algorithm) == jose.key_id_of(jwk) == jose.thumbprint(jwk).hex()[:8]
    if algorithm is not Algorithm.ES256:
        refused(lambda: jose.parse_public_jwk(jwk), "bad_jwk")
    for other in (b"", public[:-1], public + b"\0"):
        refused(lambda other=other: jose.jwk_of(other, algorithm), "bad_jwk")  # type: ignore[misc]


def test_one_point_has_another_key_id_on_each_curve() -> None:
    public = b"\x04" + bytes(range(64))
    assert jose.key_id(public, Algorithm.SM2) != jose.key_id(public)


AKP = jose.jwk_of(bytes(1952), Algorithm.ML_DSA_65)


@pytest.mark.parametrize(
    "value",
    [
        {**AKP, "alg": "ML-DSA-44"},
        {**AKP, "alg": "ML-DSA-87"},
        {**AKP, "alg": None},
        {**AKP, "pub": "AAAA"},
        {**AKP, "pub": AKP["pub"] + "AAAA"},
        {**AKP, "pub": "A" * 1_000_000},
        {**AKP, "pub": 7},
        {**AKP, "priv": "AAAA"},
        {**jose.public_jwk(bytes(32), bytes(32)), "crv": ["SM2"]},
        {**jose.public_jwk(bytes(32), bytes(32)), "crv": "sm2"},
        {**jose.public_jwk(bytes(32), bytes(32)), "kty": "AKP"},
    ],
    ids=brief,
)
def test_keys_of_no_algorithm_of_ours_are_refused(value: object) -> None:
    refused(lambda: jose.parse_jwk(value), "bad_jwk")


def test_the_header_says_which_of_the_two_algorithms() -> None:
    for alg in (Algorithm.ES256, Algorithm.SM2):
        assert jose.parse_compact(token({**HEADER, "alg": alg.value}), typ="test+jwt").algorithm is alg


JWK = jose.public_jwk(bytes(32), bytes(32))


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "x",
        {},
        {**JWK, "kty": "RSA"},
        {**JWK, "crv": "P-384"},
        {**JWK, "crv": "secp256k1"},
        {**JWK, "d": JWK["x"]},
        {**JWK, "k": "AA"},
        {**JWK, "x": JWK["x"][:-1]},
        {**JWK, "x": JWK["x"] + "A"},
        {**JWK, "x": JWK["x"][:-1] + "B"},
        {**JWK, "y": "=" * 43},
        {**JWK, "y": 1},
        {"kty": "EC", "crv": "P-256", "x": JWK["x"]},
    ],
    ids=brief,
)
def test_other_jwks_are_refused(value: object) -> None:
    refused(lambda: jose.parse_public_jwk(value), "bad_jwk")


@pytest.mark.parametrize("jwk", [{}, {"kty": "oct", "k": "AA"}, {"kty": "EC", "crv": "P-256", "x": "AA"}])
def test_thumbprint_needs_its_members(jwk: dict[str, str]) -> None:
    refused(lambda: jose.thumbprint(jwk), "bad_jwk")


def test_key_id_needs_an_uncompressed_point() -> None:
    refused(lambda: jose.key_id(b"\x02" + bytes(32)), "bad_jwk")
