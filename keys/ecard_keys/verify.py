"""Judging an ES256 signature with a public key. The hot path of every check: one conversion, one verification."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from jwt.algorithms import ECAlgorithm

from ecard_card.errors import InvalidInput
from ecard_card.jose import CompactJws
from ecard_keys.key import ES256, P256_ORDER

_CURVE = ec.SECP256R1()
_POINT_FORMS = frozenset({(65, b"\x04"), (33, b"\x02"), (33, b"\x03")})
_ECDSA = ec.ECDSA(hashes.SHA256())
_HALF_ORDER = P256_ORDER // 2
_JWT_ES256 = ECAlgorithm(ECAlgorithm.SHA256, ec.SECP256R1)


def load_public_key(point: bytes) -> ec.EllipticCurvePublicKey:
    """A P-256 key from its SEC1 point, 33 bytes compressed or 65 uncompressed (SEC 1 §2.3.4).

    Raises `InvalidInput` `bad_public_key`: other length or form, or not on the curve.
    """
    if (len(point), point[:1]) not in _POINT_FORMS:
        raise InvalidInput("bad_public_key", "want a SEC1 point of 33 or 65 bytes")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, point)
    except ValueError:
        raise InvalidInput("bad_public_key", "the point is not on P-256") from None


def verify(public_key: ec.EllipticCurvePublicKey, message: bytes, signature: bytes, *, low_s: bool = False) -> bool:
    """Whether `signature` (raw r||s, 64 bytes) is the key's over `message` by ES256 (RFC 7518 §3.4). Never raises.

    `low_s` also refuses the second form (r, n-s) that anybody can make of a signature: wanted wherever a whole code
    or token is recognised again by its bytes.
    """
    if len(signature) != 64:
        return False
    s = int.from_bytes(signature[32:], "big")
    if low_s and s > _HALF_ORDER:
        return False
    try:
        public_key.verify(utils.encode_dss_signature(int.from_bytes(signature[:32], "big"), s), message, _ECDSA)
    except InvalidSignature:
        return False
    return True


def verify_jws(jws: CompactJws, public_key: ec.EllipticCurvePublicKey, *, low_s: bool = False) -> bool:
    """Whether a strictly parsed compact JWS was signed by `public_key`, by PyJWT's ES256 and no other algorithm.

    `ecard_card.jose.parse_compact` has read the token before: form, header, `typ` and `alg`. PyJWT gets a key object
    and never chooses an algorithm, so none of its lenient readings of a token are reached.
    """
    if jws.header.get("alg") != ES256 or len(jws.signature) != 64 or public_key.curve.name != _CURVE.name:
        return False
    if low_s and int.from_bytes(jws.signature[32:], "big") > _HALF_ORDER:
        return False
    return _JWT_ES256.verify(jws.signing_input, public_key, jws.signature)
