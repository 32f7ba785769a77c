"""COSE_Sign1 (RFC 9052 §4.2) and the COSE_Key of a P-256 or SM2 key (RFC 9053 §7.1.1): bytes only, no cryptography.

Our messages are strict: tag 18, everything in the protected header, an empty unprotected map, a 64-byte signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ecard_card import cbor
from ecard_card.algorithm import COSE_ALGORITHM, COSE_CURVE, Algorithm
from ecard_card.errors import InvalidInput

#: ECDSA with P-256 and SHA-256, fully specified (RFC 9864); the older ES256 (-7) is deprecated in COSE.
ALG_ESP256: Final = COSE_ALGORITHM[Algorithm.ES256]
#: Algorithms of the messages we read, by their number: those whose signature has 64 bytes.
ALGORITHMS: Final = {COSE_ALGORITHM[algorithm]: algorithm for algorithm in (Algorithm.ES256, Algorithm.SM2)}

HEADER_ALG: Final = 1
HEADER_KID: Final = 4
HEADER_TYP: Final = 16  # RFC 9596

_SIGNATURE_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class Sign1:
    """A COSE_Sign1 as read, not yet verified. `headers` is the decoded form of `protected`."""

    protected: bytes
    headers: Mapping[int, object]
    payload: bytes
    signature: bytes

    def signing_input(self, external_aad: bytes = b"") -> bytes:
        """The bytes that `signature` was made over."""
        return signing_input(self.protected, self.payload, external_aad)


def encode_protected(headers: Mapping[int, object]) -> bytes:
    """The content of the protected bucket; an empty map is written as no bytes at all (RFC 9052 §3)."""
    return cbor.encode(dict(headers)) if headers else b""


def signing_input(protected: bytes, payload: bytes, external_aad: bytes) -> bytes:
    """Sig_structure of RFC 9052 §4.4 with context `Signature1`. `external_aad` separates our kinds of message."""
    # Array of four, its first text fixed: written out, because every check of a code passes here twice.
    return b"\x84jSignature1" + _bytes(protected) + _bytes(external_aad) + _bytes(payload)


def encode_sign1(protected: bytes, payload: bytes, signature: bytes) -> bytes:
    """The tagged message with an empty unprotected map."""
    return b"\xd2\x84" + _bytes(protected) + b"\xa0" + _bytes(payload) + _bytes(signature)


def split_sign1(data: bytes, *, limit: int = 4096) -> tuple[bytes, bytes, bytes]:
    """The protected header, payload and signature of a tagged COSE_Sign1 of at most `limit` bytes.

    Raises `InvalidInput` `bad_cose` unless it is deterministic CBOR: tag 18, an array of four, an empty unprotected
    map, an attached payload and a signature of 64 bytes. The content of the protected header is not looked at.
    """
    if type(data) is not bytes or len(data) > limit or data[:2] != b"\xd2\x84":
        raise InvalidInput("bad_cose", "no COSE_Sign1 of the allowed size")
    protected, end = _take_bytes(data, 2)
    if data[end : end + 1] != b"\xa0":
        raise InvalidInput("bad_cose", "unprotected headers are not allowed")
    payload, end = _take_bytes(data, end + 1)
    if data[end : end + 2] != b"\x58\x40" or len(data) != end + 2 + _SIGNATURE_BYTES:
        raise InvalidInput("bad_cose", "the message does not end with a signature of 64 bytes")
    return protected, payload, data[end + 2 :]


def decode_sign1(data: bytes, *, limit: int = 4096) -> Sign1:
    """Reads a tagged COSE_Sign1; which headers and which algorithm it has is the caller's to judge.

    Raises `InvalidInput` `bad_cose` as `split_sign1` does, and where the protected header is not a deterministic map
    with integer labels.
    """
    protected, payload, signature = split_sign1(data, limit=limit)
    try:
        headers = cbor.decode(protected, max_depth=2)
    except InvalidInput:
        raise InvalidInput("bad_cose", "the protected header is not deterministic CBOR") from None
    if type(headers) is not dict or any(type(label) is not int for label in headers):
        raise InvalidInput("bad_cose", "the protected header is not a map with integer labels")
    return Sign1(protected, headers, payload, signature)


def compress_point(point: bytes) -> bytes:
    """A point (SEC1 §2.3.3, 33 or 65 bytes) in its 33-byte form; `InvalidInput` `bad_cose_key` for others."""
    if len(point) == 65 and point[0] == 4:
        return (b"\x03" if point[64] & 1 else b"\x02") + point[1:33]
    if len(point) == 33 and point[0] in (2, 3):
        return point
    raise InvalidInput("bad_cose_key", "not a SEC1 point")


def cose_key(point: bytes, algorithm: Algorithm = Algorithm.ES256) -> dict[int, object]:
    """COSE_Key of a point (33 or 65 bytes SEC1): kty EC2, the curve of ES256 or SM2, x, and y as its sign bit only."""
    compressed = compress_point(point)
    return {1: 2, -1: COSE_CURVE[algorithm], -2: compressed[1:], -3: compressed[0] == 3}


def _bytes(content: bytes) -> bytes:
    """A CBOR byte string (major type 2) with the shortest length."""
    length = len(content)
    if length < 24:
        return (0x40 | length).to_bytes(1, "big") + content
    if length < 0x100:
        return b"\x58" + length.to_bytes(1, "big") + content
    if length < 0x10000:
        return b"\x59" + length.to_bytes(2, "big") + content
    return b"\x5a" + length.to_bytes(4, "big") + content


def _take_bytes(data: bytes, start: int) -> tuple[bytes, int]:
    """The byte string whose head stands at `start`, and where it ends; only the shortest form of a length will do."""
    head = data[start : start + 1]
    if b"\x40" <= head <= b"\x57":
        start += 1
        length = head[0] - 0x40
    elif head == b"\x58":
        length = int.from_bytes(data[start + 1 : start + 2], "big")
        start += 2 if length >= 24 else len(data)
    elif head == b"\x59":
        length = int.from_bytes(data[start + 1 : start + 3], "big")
        start += 3 if length >= 0x100 else len(data)
    elif head == b"\x5a":
        length = int.from_bytes(data[start + 1 : start + 5], "big")
        start += 5 if length >= 0x10000 else len(data)
    else:
        raise InvalidInput("bad_cose", "a part is not a byte string")
    end = start + length
    if end > len(data):
        raise InvalidInput("bad_cose", "a byte string is cut short, or its length is not in the shortest form")
    return data[start:end], end
