"""The port behind which every private key lives: bytes in, raw signatures out, by key id.

Whoever holds a `Signer` can ask for signatures and can never see a key. Adapters (file, network, hardware) are one
module each and pass the one suite `tests/contracts/signer_contract.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import utils

from ecard_card.errors import InvalidInput
from ecard_keys.key import P256_ORDER, KeyPurpose


class Signer(Protocol):
    """Signs with keys it never shows."""

    def sign(self, key_id: str, messages: Sequence[bytes]) -> list[bytes]:
        """One signature per message, in order, all or none; an empty batch gives an empty list.

        The message is hashed here. ES256 (RFC 7518 §3.4): r||s in 64 bytes, and s is always the lower of its two
        values. SM2 (GB/T 32918.2 §6): r||s in 64 bytes, under the key's own user id. ML-DSA-65 (RFC 9964): 3309
        bytes, empty context. Safe to call from several threads.

        Raises `NotFound` `key_unknown`, `InvalidInput` `bad_message` (a message is not bytes; nothing was signed),
        `Unavailable` `key_home_unavailable` or a more exact code of the adapter.
        """
        ...


@dataclass(frozen=True, slots=True)
class HeldKey:
    """What a home tells of a key it holds. `created_at` is a NumericDate; `public` and `user_id` as in `KeyRecord`."""

    key_id: str
    purpose: KeyPurpose
    algorithm: str
    public: bytes
    created_at: int
    user_id: bytes | None = None  # of SM2 keys


class KeyHome(Signer, Protocol):
    """A signer that also makes and destroys its keys. Which key signs when is not its decision."""

    def create(self, purpose: KeyPurpose, now: datetime) -> str:
        """Make a key for one purpose and return its id once it is stored durably."""
        ...

    def public_key(self, key_id: str) -> bytes:
        """The public half: a 65-byte uncompressed point, 1952 bytes of ML-DSA-65. Raises `NotFound` `key_unknown`."""
        ...

    def held(self) -> tuple[HeldKey, ...]:
        """All keys held, oldest first."""
        ...

    def destroy(self, key_id: str) -> None:
        """Forget a key for ever. Raises `NotFound` `key_unknown`."""
        ...


def raw_low_s(der: bytes) -> bytes:
    """A DER ECDSA P-256 signature as r||s, 64 bytes, with the lower s."""
    r, s = utils.decode_dss_signature(der)
    if s > P256_ORDER // 2:
        s = P256_ORDER - s
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def require_messages(messages: Sequence[bytes]) -> None:
    """Raise `InvalidInput` `bad_message` unless every item is bytes: checked before the first signature is made."""
    if not all(isinstance(message, bytes) for message in messages):
        raise InvalidInput("bad_message", "a batch is a sequence of bytes")
