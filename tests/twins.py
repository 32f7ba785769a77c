"""Two real keys that share a key id, found among the first 70,000 multiples of the generator: it takes five seconds."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.private_key import load_private_key

TWIN_KID: Final = "ca1ac214"
_SCALARS: Final = (65_586, 67_871)


def key_of(scalar: int) -> EphemeralSigner:
    """The P-256 key of a private number."""
    public = ec.derive_private_key(scalar, ec.SECP256R1()).public_key()
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    signer = EphemeralSigner()
    signer._private = load_private_key(Algorithm.ES256, scalar.to_bytes(32, "big"), point)
    signer.public, signer.key_id = point, jose.key_id(point)
    return signer


def twins() -> tuple[EphemeralSigner, EphemeralSigner]:
    """Both answer to `TWIN_KID`."""
    first, second = (key_of(scalar) for scalar in _SCALARS)
    assert first.key_id == second.key_id == TWIN_KID
    return first, second
