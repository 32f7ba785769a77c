"""A throwaway key in memory, to sign a draft and check it as a verifier would before the real key is spent."""

from __future__ import annotations

from collections.abc import Sequence

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.errors import NotFound
from ecard_keys.key import DEFAULT_USER_ID, KeyPurpose, KeyRecord, KeyState
from ecard_keys.private_key import generate_private_key
from ecard_keys.signer import require_messages


class EphemeralSigner:
    """A `Signer` with one key that lives as long as this object and is never written anywhere.

    `key_id` lets it stand in for a real key: a draft names the real key in its signed header, and a trust made of
    `record()` finds this one under that name. By default it answers to its own kid. `user_id` is for SM2 only.
    Raises `Unavailable` `algorithm_unavailable`.
    """

    def __init__(
        self,
        key_id: str | None = None,
        algorithm: Algorithm = Algorithm.ES256,
        user_id: bytes = DEFAULT_USER_ID,
    ) -> None:
        self.algorithm = algorithm
        self.user_id = user_id if algorithm is Algorithm.SM2 else None
        self._private = generate_private_key(algorithm, user_id)
        self.public = self._private.public
        self.key_id = jose.key_id(self.public, algorithm) if key_id is None else key_id

    def sign(self, key_id: str, messages: Sequence[bytes]) -> list[bytes]:
        """See `Signer.sign`."""
        self._known(key_id)
        require_messages(messages)
        return [self._private.sign(message) for message in messages]

    def public_key(self, key_id: str) -> bytes:
        """The public half as `KeyRecord.public` wants it. Raises `NotFound` `key_unknown`."""
        self._known(key_id)
        return self.public

    def record(self, purpose: KeyPurpose, not_before: int = 0) -> KeyRecord:
        """This key as an active key of `purpose`, for a trust that only the draft's check sees."""
        return KeyRecord(
            self.key_id, purpose, KeyState.ACTIVE, self.algorithm, self.public, not_before, user_id=self.user_id
        )

    def _known(self, key_id: str) -> None:
        if key_id != self.key_id:
            raise NotFound("key_unknown", "this signer holds one key, and not that one")
