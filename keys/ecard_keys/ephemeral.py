"""A throwaway key in memory, to sign a draft and check it as a verifier would before the real key is spent."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ecard_card import jose
from ecard_card.errors import NotFound
from ecard_keys.key import ES256, KeyPurpose, KeyRecord, KeyState
from ecard_keys.signer import raw_low_s, require_messages

_ECDSA = ec.ECDSA(hashes.SHA256())


class EphemeralSigner:
    """A `Signer` with one P-256 key that lives as long as this object and is never written anywhere.

    `key_id` lets it stand in for a real key: a draft names the real key in its signed header, and a trust made of
    `record()` finds this one under that name. By default it answers to its own kid.
    """

    def __init__(self, key_id: str | None = None) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        self.public = self._private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        self.key_id = jose.key_id(self.public) if key_id is None else key_id

    def sign(self, key_id: str, messages: Sequence[bytes]) -> list[bytes]:
        """See `Signer.sign`."""
        self._known(key_id)
        require_messages(messages)
        return [raw_low_s(self._private.sign(message, _ECDSA)) for message in messages]

    def public_key(self, key_id: str) -> bytes:
        """The 65-byte uncompressed point. Raises `NotFound` `key_unknown`."""
        self._known(key_id)
        return self.public

    def record(self, purpose: KeyPurpose, not_before: int = 0) -> KeyRecord:
        """This key as an active key of `purpose`, for a trust that only the draft's check sees."""
        return KeyRecord(self.key_id, purpose, KeyState.ACTIVE, ES256, self.public, not_before)

    def _known(self, key_id: str) -> None:
        if key_id != self.key_id:
            raise NotFound("key_unknown", "this signer holds one key, and not that one")
