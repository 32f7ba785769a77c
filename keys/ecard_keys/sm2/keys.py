"""SM2 signatures with SM3 (GB/T 32918.2-2016, on the curve of GB/T 32918.5), judged and made from plain bytes.

What the standard leaves to its user stands here, once for every backend: which points, scalars and signatures are
possible at all, and the hash Z that binds the signer's id and key into the message (§5.5). A backend only computes on
32-byte digests: `sm2_openssl` through the system's libcrypto, else `sm2_gmssl` (extra `sm`). Neither is trusted
unseen: at the first use each has to judge the published example.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Protocol

from ecard_card.errors import InvalidInput, Unavailable
from ecard_keys.key import MAX_USER_ID

# The recommended curve (GB/T 32918.5 §2): y² = x³ + ax + b over the prime field of P, of prime order N.
P: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A: Final = P - 3
B: Final = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
G: Final = bytes.fromhex(
    "32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7"
    "bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0"
)
_CURVE_BYTES: Final = A.to_bytes(32, "big") + B.to_bytes(32, "big") + G


class Backend(Protocol):
    """Computes; everything it is given was checked before. A fault of its own is `Unavailable`."""

    def sm3(self, data: bytes) -> bytes:
        """The 32-byte SM3 digest (GB/T 32905)."""

    def generate(self) -> tuple[bytes, bytes]:
        """A fresh scalar (32 bytes) and its 65-byte point."""

    def sign(self, secret: bytes, point: bytes, digest: bytes) -> bytes:
        """Raw r||s."""

    def verify(self, point: bytes, digest: bytes, signature: bytes) -> bool:
        """Whether raw r||s stands."""


def _openssl() -> Backend:
    from ecard_keys.sm2.openssl import OpenSsl

    return OpenSsl()


def _gmssl() -> Backend:
    from ecard_keys.sm2.gmssl import GmSsl  # loads its library: only where it is needed

    return GmSsl()


#: In order of preference: libcrypto is many times faster, and gets the system's security updates.
BACKENDS: Final[dict[str, Callable[[], Backend]]] = {"openssl": _openssl, "gmssl": _gmssl}


def available() -> bool:
    """Whether this machine can compute SM2."""
    return _found() is not None


@cache
def _found() -> Backend | None:
    """The first backend that loads and judges the published example right; looked for once in a process."""
    for load in BACKENDS.values():
        try:
            backend = load()
            if _proves_itself(backend):
                return backend
        except (ImportError, OSError, AttributeError, Unavailable):
            continue
    return None


def _backend() -> Backend:
    backend = _found()
    if backend is None:
        raise Unavailable("algorithm_unavailable", "no libcrypto with SM2 and SM3 here, and no gmssl-pyx")
    return backend


def _proves_itself(backend: Backend) -> bool:
    """The example of GB/T 32918.5 annex A.2: its signature holds, and holds for nothing else."""
    message = Z_EXAMPLE + b"message digest"
    digest = backend.sm3(message)
    return backend.verify(_EXAMPLE_POINT, digest, _EXAMPLE_SIGNATURE) and not backend.verify(
        _EXAMPLE_POINT, backend.sm3(message + b"\0"), _EXAMPLE_SIGNATURE
    )


_EXAMPLE_POINT: Final = bytes.fromhex(
    "0409f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
_EXAMPLE_SIGNATURE: Final = bytes.fromhex(
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
    "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)
#: Z of the example's signer, `1234567812345678`.
Z_EXAMPLE: Final = bytes.fromhex("b2e14c5c79c6df5b85f4fe7ed8db7a262b9da7e07ccb0ea9f4747b8ccda8a4f3")


@dataclass(frozen=True, slots=True)
class Sm2PublicKey:
    """A public key and the id of its signer. `point` is given in SEC1 form, 33 or 65 bytes, and kept as 65.

    Raises `InvalidInput` `bad_public_key` for anything that is no point of the curve or an id of more than 256 bytes,
    `Unavailable` `algorithm_unavailable`.
    """

    point: bytes
    user_id: bytes
    _z: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.user_id) > MAX_USER_ID:
            raise InvalidInput("bad_public_key", "the user id is longer than 256 bytes")
        object.__setattr__(self, "point", _on_curve(self.point))
        object.__setattr__(self, "_z", _backend().sm3(_z_input(self.point, self.user_id)))

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` (raw r||s, 64 bytes) is this signer's over `message` (GB/T 32918.2 §7.1)."""
        if len(signature) != 64:
            return False
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        if not (0 < r < N and 0 < s < N) or r + s == N:
            return False
        backend = _backend()
        return backend.verify(self.point, backend.sm3(self._z + message), signature)


class Sm2PrivateKey:
    """A private key in this process's memory: `secret` is the scalar in 32 bytes, big-endian, `public` its point.

    Raises `ValueError` for a scalar outside 1 to n-2 (§6.1), and what `Sm2PublicKey` raises for the rest.
    """

    def __init__(self, secret: bytes, public: bytes, user_id: bytes) -> None:
        if len(secret) != 32 or not 0 < int.from_bytes(secret, "big") < N - 1:
            raise ValueError("no private key of SM2")
        self.secret = secret
        self.public_key = Sm2PublicKey(public, user_id)
        self.public = self.public_key.point

    @classmethod
    def generate(cls, user_id: bytes) -> Sm2PrivateKey:
        """A fresh key. Raises `Unavailable` `algorithm_unavailable`."""
        while True:
            secret, public = _backend().generate()
            if 0 < int.from_bytes(secret, "big") < N - 1:
                return cls(secret, public, user_id)

    def sign(self, message: bytes) -> bytes:
        """Raw r||s over `message` (§6.1)."""
        backend = _backend()
        return backend.sign(self.secret, self.public, backend.sm3(self.public_key._z + message))


def _z_input(point: bytes, user_id: bytes) -> bytes:
    """ENTL || ID || a || b || G || public key: what Z is the hash of (GB/T 32918.2 §5.5)."""
    return (8 * len(user_id)).to_bytes(2, "big") + user_id + _CURVE_BYTES + point[1:]


def _on_curve(point: bytes) -> bytes:
    """The 65-byte form of a SEC1 point that lies on the curve; the curve's order is prime, so no more is to ask."""
    x = int.from_bytes(point[1:33], "big")
    square = (x * x * x + A * x + B) % P
    if len(point) == 65 and point[0] == 4:
        y = int.from_bytes(point[33:], "big")
    elif len(point) == 33 and point[0] in (2, 3):
        y = pow(square, (P + 1) // 4, P)  # the root, if there is one: P is 3 modulo 4
        y = y if y & 1 == point[0] & 1 else P - y
    else:
        raise InvalidInput("bad_public_key", "want a SEC1 point of 33 or 65 bytes")
    if x >= P or y >= P or y * y % P != square:
        raise InvalidInput("bad_public_key", "the point is not on the curve of SM2")
    return b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")
