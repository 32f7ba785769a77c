"""Private keys of every algorithm of this house, in one shape: for homes that hold them in this process's memory."""

from __future__ import annotations

from typing import Protocol

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, mldsa

from ecard_card.algorithm import Algorithm
from ecard_keys.key import DEFAULT_USER_ID, P256_ORDER
from ecard_keys.signer import raw_low_s
from ecard_keys.sm2.keys import Sm2PrivateKey

_ECDSA = ec.ECDSA(hashes.SHA256())


class PrivateKey(Protocol):
    """`secret` is 32 bytes whatever the algorithm; `public` is in the form of `KeyRecord.public`."""

    @property
    def public(self) -> bytes: ...

    @property
    def secret(self) -> bytes: ...

    def sign(self, message: bytes) -> bytes:
        """The raw signature, as `Signer.sign` promises it."""


def generate_private_key(algorithm: Algorithm, user_id: bytes = DEFAULT_USER_ID) -> PrivateKey:
    """A fresh key; `user_id` goes into signatures of SM2 only. Raises `Unavailable` `algorithm_unavailable`."""
    match algorithm:
        case Algorithm.ES256:
            return _Ecdsa(ec.generate_private_key(ec.SECP256R1()))
        case Algorithm.SM2:
            return Sm2PrivateKey.generate(user_id)
        case Algorithm.ML_DSA_65:
            return _MlDsa(mldsa.MLDSA65PrivateKey.generate())


def load_private_key(algorithm: Algorithm, secret: bytes, public: bytes, user_id: bytes | None = None) -> PrivateKey:
    """A key from its `secret` (the scalar, big-endian, or for ML-DSA-65 the seed of FIPS 204 §5.1) and public half.

    Raises `ValueError` for a secret that is none, `Unavailable` `algorithm_unavailable`.
    """
    match algorithm:
        case Algorithm.ES256:
            scalar = int.from_bytes(secret, "big")
            if len(secret) != 32 or not 0 < scalar < P256_ORDER:
                raise ValueError("no private key of P-256")
            return _Ecdsa(ec.derive_private_key(scalar, ec.SECP256R1()))
        case Algorithm.SM2:
            if user_id is None:
                raise ValueError("an SM2 key without its user id")
            return Sm2PrivateKey(secret, public, user_id)
        case Algorithm.ML_DSA_65:
            return _MlDsa(mldsa.MLDSA65PrivateKey.from_seed_bytes(secret))


class _Ecdsa:
    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    @property
    def public(self) -> bytes:
        return self._key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )

    @property
    def secret(self) -> bytes:
        return self._key.private_numbers().private_value.to_bytes(32, "big")

    def sign(self, message: bytes) -> bytes:
        return raw_low_s(self._key.sign(message, _ECDSA))


class _MlDsa:
    def __init__(self, key: mldsa.MLDSA65PrivateKey) -> None:
        self._key = key

    @property
    def public(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    @property
    def secret(self) -> bytes:
        return self._key.private_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)
