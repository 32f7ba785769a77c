from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card import cbor, cose
from tests.card.support import SIGNATURE, brief, holds, only_our_errors, params, refused

PROTECTED = cose.encode_protected({cose.HEADER_ALG: cose.ALG_ESP256})


@pytest.mark.parametrize("vector", params("cose_sign1"))
def test_vectors(vector: dict[str, Any]) -> None:
    part = {name: bytes.fromhex(vector[name]) for name in ("protected", "external_aad", "payload", "signature")}
    signing_input = cose.signing_input(part["protected"], part["payload"], part["external_aad"])
    expect = vector["expect"]
    if expect["signature"] == "valid":
        assert signing_input.hex() == vector["signing_input"]
    public = b"\x04" + bytes.fromhex(vector["public_x"] + vector["public_y"])
    assert holds(public, signing_input, part["signature"]) == (expect["signature"] == "valid")
    message = bytes.fromhex(vector["message"])
    if expect["decode"] == "ok":
        read = cose.decode_sign1(message)
        assert (read.protected, read.payload, read.signature) == (
            part["protected"],
            part["payload"],
            part["signature"],
        )
        assert read.signing_input(part["external_aad"]) == signing_input
        assert cose.encode_sign1(*(part[name] for name in ("protected", "payload", "signature"))) == message
    else:
        refused(lambda: cose.decode_sign1(message), expect["decode"])


@given(st.binary(max_size=70_000), st.binary(max_size=300), st.binary(max_size=300))
def test_signing_input_is_the_cbor_of_sig_structure(payload: bytes, protected: bytes, aad: bytes) -> None:
    assert cose.signing_input(protected, payload, aad) == cbor.encode(["Signature1", protected, aad, payload])


@given(st.binary(max_size=70_000))
def test_there_and_back(payload: bytes) -> None:
    message = cose.encode_sign1(PROTECTED, payload, SIGNATURE)
    read = cose.decode_sign1(message, limit=1 << 20)
    assert (read.headers, read.payload, read.signature) == ({1: -9}, payload, SIGNATURE)
    assert message == b"\xd2" + cbor.encode([PROTECTED, {}, payload, SIGNATURE])


@given(st.binary(max_size=200), st.binary(max_size=90))
def test_only_our_errors_leave_the_reader(head: bytes, tail: bytes) -> None:
    for data in (head, b"\xd2\x84" + head, b"\xd2\x84" + head + b"\x58\x40" + tail):
        only_our_errors(lambda data=data: cose.decode_sign1(data))  # type: ignore[misc]


@given(st.binary(max_size=40), st.data())
def test_whatever_is_read_has_one_spelling(payload: bytes, data: st.DataObject) -> None:
    """A changed byte is either refused or changes what is read: no two messages mean the same."""
    message = bytearray(cose.encode_sign1(PROTECTED, payload, SIGNATURE))
    message[data.draw(st.integers(0, len(message) - 1))] ^= data.draw(st.integers(1, 255))

    def read() -> None:
        got = cose.decode_sign1(bytes(message))
        assert cose.encode_sign1(got.protected, got.payload, got.signature) == bytes(message)
        assert got.headers == cbor.decode(got.protected)

    only_our_errors(read)


def hand(protected: object, unprotected: object, payload: object, signature: object) -> bytes:
    return b"\xd2" + cbor.encode([protected, unprotected, payload, signature])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xd2",
        b"\xd2\x84",
        hand(PROTECTED, {}, b"", SIGNATURE)[1:],
        b"\xd1" + hand(PROTECTED, {}, b"", SIGNATURE)[1:],
        b"\xd8\x12" + hand(PROTECTED, {}, b"", SIGNATURE)[1:],
        b"\xd8\x3d" + hand(PROTECTED, {}, b"", SIGNATURE),
        hand(PROTECTED, {4: b"1"}, b"", SIGNATURE),
        hand(PROTECTED, [], b"", SIGNATURE),
        hand(PROTECTED, {}, None, SIGNATURE),
        hand(PROTECTED, {}, b"", SIGNATURE[:63]),
        hand(PROTECTED, {}, b"", SIGNATURE + b"0"),
        hand(PROTECTED, {}, b"", b""),
        hand({1: -9}, {}, b"", SIGNATURE),
        hand(b"", {}, b"", SIGNATURE),
        hand(b"\x80", {}, b"", SIGNATURE),
        hand(cbor.encode({"alg": -9}), {}, b"", SIGNATURE),
        hand(b"\xa1\x18\x01\x28", {}, b"", SIGNATURE),
        hand(b"\xa2\x01\x28\x01\x28", {}, b"", SIGNATURE),
        hand(PROTECTED, {}, b"", SIGNATURE) + b"\x00",
        b"\xd2" + cbor.encode([PROTECTED, {}, b"", SIGNATURE, b""]),
        b"\xd2\x84\x58\x03" + PROTECTED + b"\xa0\x40\x58\x40" + SIGNATURE,
        b"\xd2\x84\x43" + PROTECTED + b"\xa0\x59\x00\x01a\x58\x40" + SIGNATURE,
        b"\xd2\x84\x43" + PROTECTED + b"\xa0\x5a\x00\x00\x00\x01a\x58\x40" + SIGNATURE,
        b"\xd2\x84\x43" + PROTECTED + b"\xa0\x5b\x00\x00\x00\x00\x00\x00\x00\x01a\x58\x40" + SIGNATURE,
        b"\xd2\x84\x5a\xff\xff\xff\xff",
        b"\xd2\x9f\x43" + PROTECTED + b"\xa0\x40\x58\x40" + SIGNATURE + b"\xff",
        b"\xd2" + b"\x81" * 4000,
        b"\xd2\x84\x5a\x00\x98\x96\x80" + bytes(10_000_000),
    ],
    ids=brief,
)
def test_malformed_messages_are_refused(data: bytes) -> None:
    refused(lambda: cose.decode_sign1(data), "bad_cose")


def test_limit_is_in_bytes_of_the_whole_message() -> None:
    message = cose.encode_sign1(PROTECTED, b"x" * 100, SIGNATURE)
    cose.decode_sign1(message, limit=len(message))
    refused(lambda: cose.decode_sign1(message, limit=len(message) - 1), "bad_cose")


def test_empty_protected_header_is_no_bytes() -> None:
    assert cose.encode_protected({}) == b""


@given(st.binary(min_size=64, max_size=64))
def test_a_cose_key_is_the_compressed_point(xy: bytes) -> None:
    compressed = cose.compress_point(b"\x04" + xy)
    key = cbor.decode(cbor.encode(cose.cose_key(b"\x04" + xy)))
    assert key == {1: 2, -1: 1, -2: xy[:32], -3: bool(xy[63] & 1)}
    assert cose.cose_key(compressed) == cose.cose_key(b"\x04" + xy)


@pytest.mark.parametrize("point", [b"", bytes(33), b"\x04" + bytes(32), bytes(65), b"\x02" + bytes(64)])
def test_what_is_no_point_is_refused(point: bytes) -> None:
    refused(lambda: cose.compress_point(point), "bad_cose_key")
