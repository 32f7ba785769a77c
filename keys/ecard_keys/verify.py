"""Judging a signature with a public key of any of our algorithms. The hot path of every check is ES256: one
conversion, one verification."""

from __future__ import annotations

from typing import overload

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, utils
from jwt.algorithms import ECAlgorithm

from ecard_card.algorithm import Algorithm
from ecard_card.errors import InvalidInput
from ecard_card.jose import CompactJws
from ecard_keys.key import DEFAULT_USER_ID, P256_ORDER
from ecard_keys.sm2.keys import Sm2PublicKey

#: A loaded key, and with it the one algorithm that it may be used with.
PublicKey = ec.EllipticCurvePublicKey | Sm2PublicKey | mldsa.MLDSA65PublicKey

_ES256, _SM2 = Algorithm.ES256, Algorithm.SM2  # an enumeration's member costs more to name than to compare
_CURVE = ec.SECP256R1()
_POINT_FORMS = frozenset({(65, b"\x04"), (33, b"\x02"), (33, b"\x03")})
_ECDSA = ec.ECDSA(hashes.SHA256())
_HALF_ORDER = P256_ORDER // 2
_JWT_ES256 = ECAlgorithm(ECAlgorithm.SHA256, ec.SECP256R1)


@overload
def load_public_key(public: bytes) -> ec.EllipticCurvePublicKey: ...
@overload
def load_public_key(public: bytes, algorithm: str, user_id: bytes | None = None) -> PublicKey: ...
def load_public_key(public: bytes, algorithm: str = Algorithm.ES256, user_id: bytes | None = None) -> PublicKey:
    """A key of one algorithm, from its SEC1 point (33 bytes compressed or 65 uncompressed, SEC 1 §2.3.4) or, for
    ML-DSA-65, its 1952 bytes. `user_id` belongs to an SM2 key and to no other.

    Raises `InvalidInput` `bad_public_key`: unknown algorithm, other length or form, not on the curve, or an SM2 key
    without user id; `Unavailable` `algorithm_unavailable` where this machine cannot compute SM2.
    """
    if algorithm == _ES256:
        return _load_point(public)
    if algorithm == _SM2:
        if user_id is None or (len(public), public[:1]) not in _POINT_FORMS:
            raise InvalidInput("bad_public_key", "want a SEC1 point of 33 or 65 bytes, and the user id of the key")
        return Sm2PublicKey(public, user_id)
    if algorithm == Algorithm.ML_DSA_65 and len(public) == 1952:
        return mldsa.MLDSA65PublicKey.from_public_bytes(public)
    raise InvalidInput("bad_public_key", "an algorithm unknown here, or a key of another length")


def _load_point(point: bytes) -> ec.EllipticCurvePublicKey:
    if (len(point), point[:1]) not in _POINT_FORMS:
        raise InvalidInput("bad_public_key", "want a SEC1 point of 33 or 65 bytes")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, point)
    except ValueError:
        raise InvalidInput("bad_public_key", "the point is not on P-256") from None


def uncompressed(point: bytes, algorithm: Algorithm = Algorithm.ES256) -> bytes:
    """The 65-byte form of a SEC1 point on the curve of ES256 or SM2. Raises as `load_public_key` does."""
    key = load_public_key(point, algorithm, DEFAULT_USER_ID)
    if isinstance(key, Sm2PublicKey):
        return key.point
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise InvalidInput("bad_public_key", "a key that is no point")
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def algorithm_of(public_key: PublicKey) -> Algorithm:
    """The one algorithm that a loaded key judges."""
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return Algorithm.ES256
    return Algorithm.SM2 if isinstance(public_key, Sm2PublicKey) else Algorithm.ML_DSA_65


def verify(public_key: PublicKey, message: bytes, signature: bytes, *, low_s: bool = False) -> bool:
    """Whether `signature` is the key's over `message`, by the one algorithm of the key: ES256 (RFC 7518 §3.4) and
    SM2 (GB/T 32918.2 §7) as raw r||s in 64 bytes, ML-DSA-65 (FIPS 204, empty context) in 3309.

    Says nothing of the `alg` that a header claims: that it is the key's is the caller's to ask (`algorithm_of`).
    `low_s` also refuses the second form (r, n-s) that anybody can make of an ES256 signature: wanted wherever a whole
    code or token is recognised again by its bytes. Of SM2 signatures there is no such second form (s does not enter
    its equation as ±s), so `low_s` asks nothing of them.

    Never raises on what was signed; `Unavailable` `algorithm_unavailable` if SM2 is lost while we run.
    """
    if isinstance(public_key, Sm2PublicKey):
        return public_key.verify(message, signature)
    if isinstance(public_key, mldsa.MLDSA65PublicKey):
        return _verify_ml_dsa(public_key, message, signature)
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


def _verify_ml_dsa(public_key: mldsa.MLDSA65PublicKey, message: bytes, signature: bytes) -> bool:
    try:
        public_key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def verify_jws(jws: CompactJws, public_key: PublicKey, *, low_s: bool = False) -> bool:
    """Whether a strictly parsed compact JWS was signed by `public_key` with the algorithm that its header names.

    `ecard_card.jose.parse_compact` has read the token before: form, header, `typ` and `alg`. ES256 is judged by
    PyJWT, which gets a key object and never chooses an algorithm, so none of its lenient readings are reached.
    """
    if jws.header.get("alg") != algorithm_of(public_key) or len(jws.signature) != 64:
        return False
    if not isinstance(public_key, ec.EllipticCurvePublicKey):
        return verify(public_key, jws.signing_input, jws.signature)
    if public_key.curve.name != _CURVE.name:
        return False
    if low_s and int.from_bytes(jws.signature[32:], "big") > _HALF_ORDER:
        return False
    return _JWT_ES256.verify(jws.signing_input, public_key, jws.signature)
