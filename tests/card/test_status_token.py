from __future__ import annotations

import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card import cbor, cose, jose, status_token
from ecard_card.algorithm import Algorithm
from ecard_card.status_list import StatusList
from tests.card.support import SIGNATURE, brief, holds, only_our_errors, params, refused

URI = "https://issuer.example/status-lists/7"
LST = zlib.compress(bytes(8))


def statuses() -> StatusList:
    made = StatusList(64)
    made.set(5, 2)
    return made


def jwt(payload: object, **header: object) -> str:
    head = {"alg": "ES256", "typ": "statuslist+jwt", "kid": "0123abcd", **header}
    body = payload if isinstance(payload, bytes) else jose.dump_json(payload)
    return ".".join(map(jose.b64url_encode, (jose.dump_json(head), body, SIGNATURE)))


def cwt(payload: object, **header: object) -> bytes:
    head = {1: -9, 4: b"abcd", 16: "application/statuslist+cwt", **{int(k[1:]): v for k, v in header.items()}}
    return cose.encode_sign1(cbor.encode(head), cbor.encode(payload), SIGNATURE)


CLAIMS = {"sub": URI, "iat": 1000, "exp": 2000, "ttl": 60, "status_list": {"bits": 2, "lst": jose.b64url_encode(LST)}}
CWT_CLAIMS = {2: URI, 6: 1000, 4: 2000, 65534: 60, 65533: {"bits": 2, "lst": LST}}


@pytest.mark.parametrize("vector", params("status_token"))
def test_vectors(vector: dict[str, Any]) -> None:
    expect = vector["expect"]
    public = b"\x04" + jose.b64url_decode(vector["public_x"]) + jose.b64url_decode(vector["public_y"])
    if vector["name"] == "CWT" and "parse" in expect:
        data = bytes.fromhex(vector["token"])
        refused(lambda: status_token.parse_cwt(data), expect["parse"])
        protected, payload, signature = vector_parts(data)
        assert holds(public, cose.signing_input(protected, payload, b""), signature)
        return
    read = (
        status_token.parse_cwt(bytes.fromhex(vector["token"]))
        if vector["name"] == "CWT"
        else status_token.parse_jwt(vector["token"])
    )
    assert (read.kid, read.uri, read.issued_at, read.expires_at, read.ttl) == (
        expect["kid"],
        expect["uri"],
        expect["issued_at"],
        expect["expires_at"],
        expect["ttl"],
    )
    assert read.statuses.packed().hex() == expect["packed"]
    assert holds(public, read.signing_input, read.signature)


def vector_parts(data: bytes) -> tuple[bytes, bytes, bytes]:
    """The parts of the draft's own CWT, whose kid stands in the unprotected header {4: h'3132'}."""
    protected, rest = data[4:36], data[36:]
    assert (data[:4], rest[:7]) == (b"\xd2\x84\x58\x20", b"\xa1\x04\x42\x31\x32\x58\x50")
    return protected, rest[7:87], rest[89:]


@pytest.mark.parametrize("algorithm", [Algorithm.ES256, Algorithm.SM2])
@pytest.mark.parametrize("form", ["jwt", "cwt"])
def test_there_and_back(form: str, algorithm: Algorithm) -> None:
    if form == "jwt":
        unsigned = status_token.jwt_draft(URI, statuses(), "61626364", 1000, 2000, 60, algorithm=algorithm)
        sealed = status_token.sealed_jwt(str(unsigned.complete(SIGNATURE)))
    else:
        unsigned = status_token.cwt_draft(URI, statuses(), b"abcd", 1000, 2000, 60, algorithm=algorithm)
        message = unsigned.complete(SIGNATURE)
        assert isinstance(message, bytes)
        sealed = status_token.sealed_cwt(message)
    assert sealed.algorithm is algorithm
    read = sealed.open()
    assert read == status_token.StatusToken(
        "61626364", URI, 1000, 2000, 60, statuses(), unsigned.signing_input, SIGNATURE
    )
    assert read.statuses.get(5) == 2


def test_full_list_of_a_million_entries_fits() -> None:
    full = StatusList.from_packed(bytes(range(256)) * 1024, 2)
    assert full.size == 1 << 20
    jwt_form = str(status_token.jwt_draft(URI, full, "0123abcd", 1000, 2000, 60, level=0).complete(SIGNATURE))
    cwt_form = status_token.cwt_draft(URI, full, b"abcd", 1000, 2000, 60, level=0).complete(SIGNATURE)
    assert isinstance(cwt_form, bytes)
    assert status_token.parse_jwt(jwt_form).statuses == full
    assert status_token.parse_cwt(cwt_form).statuses == full


def test_ttl_may_be_missing() -> None:
    without = {name: value for name, value in CLAIMS.items() if name != "ttl"}
    assert status_token.parse_jwt(jwt(without)).ttl is None
    assert status_token.parse_cwt(cwt({key: CWT_CLAIMS[key] for key in (2, 6, 4, 65533)})).ttl is None


def test_claims_we_do_not_use_are_ignored() -> None:
    more = {**CLAIMS, "iss": "https://issuer.example", "status_list": {**CLAIMS["status_list"], "aggregation_uri": "x"}}  # type: ignore[dict-item]
    assert status_token.parse_jwt(jwt(more)).uri == URI


CHANGES: list[dict[str, object]] = [
    {"sub": None},
    {"sub": ""},
    {"sub": 1},
    {"sub": "u" * 3000},
    {"iat": None},
    {"iat": "1000"},
    {"iat": 1000.0},
    {"iat": True},
    {"iat": -1},
    {"exp": None},
    {"exp": 1000},
    {"exp": 1e12},
    {"exp": 10**12},
    {"ttl": 0},
    {"ttl": -5},
    {"ttl": "60"},
    {"ttl": 1.5},
    {"status_list": None},
    {"status_list": []},
    {"status_list": {}},
    {"status_list": {"bits": 2}},
    {"status_list": {"bits": 2, "lst": 7}},
    {"status_list": {"bits": 2, "lst": "===="}},
    {"status_list": {"bits": 2, "lst": "A"}},
]
LISTS: list[dict[str, object]] = [
    {"bits": 3, "lst": CLAIMS["status_list"]["lst"]},  # type: ignore[index]
    {"bits": True, "lst": CLAIMS["status_list"]["lst"]},  # type: ignore[index]
    {"bits": "2", "lst": CLAIMS["status_list"]["lst"]},  # type: ignore[index]
    {"bits": 2, "lst": ""},
    {"bits": 2, "lst": "AAAA"},
    {"bits": 2, "lst": jose.b64url_encode(zlib.compress(b""))},
]


@pytest.mark.parametrize("change", CHANGES)
def test_malformed_claims_are_refused(change: dict[str, object]) -> None:
    refused(lambda: status_token.parse_jwt(jwt({**CLAIMS, **change})), "bad_status_token")


@pytest.mark.parametrize("status_list", LISTS)
def test_malformed_lists_are_refused(status_list: dict[str, object]) -> None:
    refused(lambda: status_token.parse_jwt(jwt({**CLAIMS, "status_list": status_list})), "bad_status_list")


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("", "bad_status_token"),
        ("x" * 600_000, "bad_status_token"),
        (jwt(b"[]"), "bad_status_token"),
        (jwt(b'{"iat":1,"iat":2}'), "bad_status_token"),
        (jwt(CLAIMS, kid=""), "bad_status_token"),
        (jwt(CLAIMS, jku="https://evil.example"), "bad_status_token"),
        (jwt(CLAIMS, typ="JWT"), "wrong_type"),
        (jwt(CLAIMS, typ="dc+sd-jwt"), "wrong_type"),
        (jwt(CLAIMS, alg="none"), "algorithm_not_allowed"),
        (jwt(CLAIMS, alg="HS256"), "algorithm_not_allowed"),
    ],
    ids=brief,
)
def test_malformed_jwt_is_refused(token: str, code: str) -> None:
    refused(lambda: status_token.parse_jwt(token), code)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "bad_status_token"),
        (b"\xd2" + b"\x81" * 100_000, "bad_status_token"),
        (cwt([]), "bad_status_token"),
        (cwt({key: value for key, value in CWT_CLAIMS.items() if key != 6}), "bad_status_token"),
        (cwt({**CWT_CLAIMS, 65533: {"bits": 2, "lst": "AAAA"}}), "bad_status_token"),
        (cwt({**CWT_CLAIMS, 65533: {"bits": 3, "lst": LST}}), "bad_status_list"),
        (cwt({**CWT_CLAIMS, 65533: {"bits": 2, "lst": LST[:-1]}}), "bad_status_list"),
        (cwt(CWT_CLAIMS, _1=-7), "algorithm_not_allowed"),
        (cwt(CWT_CLAIMS, _16="application/cwt"), "wrong_type"),
        (cwt(CWT_CLAIMS, _4="abcd"), "bad_status_token"),
        (cwt(CWT_CLAIMS, _4=b""), "bad_status_token"),
        (cwt(CWT_CLAIMS, _2=[1]), "bad_status_token"),
    ],
)
def test_malformed_cwt_is_refused(data: bytes, code: str) -> None:
    refused(lambda: status_token.parse_cwt(data), code)


def test_bomb_in_a_token_is_refused() -> None:
    bomb = zlib.compress(bytes(1 << 26), 9)
    claims = {**CLAIMS, "status_list": {"bits": 2, "lst": jose.b64url_encode(bomb)}}
    refused(lambda: status_token.parse_jwt(jwt(claims)), "bad_status_list", within=0.5)


@pytest.mark.parametrize("times", [(2000, 1000, 60), (1000, 1000, 60), (-1, 1000, 60), (1000, 2000, 0)])
def test_impossible_times_are_not_written(times: tuple[int, int, int]) -> None:
    refused(lambda: status_token.jwt_draft(URI, statuses(), "0123abcd", *times), "bad_status_token")
    refused(lambda: status_token.cwt_draft(URI, statuses(), b"abcd", *times), "bad_status_token")


@given(st.binary(max_size=100), st.text(max_size=100))
def test_only_our_errors_leave_the_readers(data: bytes, text: str) -> None:
    for candidate in (text, jwt(data)):
        only_our_errors(lambda candidate=candidate: status_token.parse_jwt(candidate))  # type: ignore[misc]
    for message in (data, b"\xd2\x84" + data, cose.encode_sign1(data, data, SIGNATURE)):
        only_our_errors(lambda message=message: status_token.parse_cwt(message))  # type: ignore[misc]
