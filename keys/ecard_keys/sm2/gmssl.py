"""SM2 and SM3 by `gmssl-pyx` (extra `sm`), for systems whose libcrypto was built without them.

GmSSL prints traces on standard error for input it refuses. `sm2` checks points, scalars and signatures before they
get here, so what is refused in here is a fault of the library.
"""

from __future__ import annotations

import gmssl_pyx
from cryptography.hazmat.primitives.asymmetric import utils

from ecard_card.errors import Unavailable


class GmSsl:
    """A `Backend` of `sm2`."""

    def sm3(self, data: bytes) -> bytes:
        return bytes(gmssl_pyx.sm3_hash(data))

    def generate(self) -> tuple[bytes, bytes]:
        try:
            public, secret = gmssl_pyx.sm2_key_generate()
        except gmssl_pyx.GmsslInnerError:
            raise _fault() from None
        return bytes(secret), b"\x04" + bytes(public)

    def sign(self, secret: bytes, point: bytes, digest: bytes) -> bytes:
        try:
            r, s = utils.decode_dss_signature(gmssl_pyx.sm2_sign_sm3_digest(secret, digest))
        except gmssl_pyx.GmsslInnerError:
            raise _fault() from None
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def verify(self, point: bytes, digest: bytes, signature: bytes) -> bool:
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        try:
            return bool(gmssl_pyx.sm2_verify_sm3_digest(point[1:], digest, utils.encode_dss_signature(r, s)))
        except gmssl_pyx.GmsslInnerError:
            raise _fault() from None


def _fault() -> Unavailable:
    return Unavailable("algorithm_unavailable", "GmSSL did not compute SM2")
