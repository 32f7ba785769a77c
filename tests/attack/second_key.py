"""The second public key for which an ECDSA signature holds (SEC 1 §4.1.6): anybody computes it from the signature
and the message, without any private key, and nobody knows its private half."""

from __future__ import annotations

import hashlib
from typing import Final

from ecard_keys.key import P256_ORDER as N

P: Final = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
B: Final = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G: Final = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
Point = tuple[int, int] | None


def _add(one: Point, other: Point) -> Point:
    if one is None or other is None:
        return one or other
    (x1, y1), (x2, y2) = one, other
    if x1 == x2 and (y1 + y2) % P == 0:
        return None
    if one == other:
        slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, P) % P
    else:
        slope = (y2 - y1) * pow(x2 - x1, -1, P) % P
    x = (slope * slope - x1 - x2) % P
    return x, (slope * (x1 - x) - y1) % P


def _times(number: int, point: Point) -> Point:
    total: Point = None
    for bit in f"{number % N:b}":
        total = _add(total, total)
        if bit == "1":
            total = _add(total, point)
    return total


def second_key(message: bytes, signature: bytes, public: bytes) -> bytes:
    """The 65-byte point beside `public` that also judges raw r||s over `message` by ES256 to be good."""
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    e = int.from_bytes(hashlib.sha256(message).digest(), "big")
    y = pow(r * r * r - 3 * r + B, (P + 1) // 4, P)
    for root in (y, P - y):
        found = _times(pow(r, -1, N), _add(_times(s, (r, root)), _times(-e, G)))
        assert found is not None
        point = b"\x04" + b"".join(number.to_bytes(32, "big") for number in found)
        if point != public:
            return point
    raise AssertionError("the signature is not this key's")
