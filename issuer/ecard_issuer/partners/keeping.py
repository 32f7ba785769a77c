"""What a stream must keep secret, sealed at rest: what its receiver asks to be shown, and the keys of its webhooks.

Two generations of webhook secrets may live: while a receiver changes over, every delivery is signed by both.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ecard_card.errors import CheckFailed, Unavailable
from ecard_keys import protect
from ecard_keys.protect import Protector

_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class WebhookKeys:
    """One generation: the HMAC secret (`v1`) and the Ed25519 seed (`v1a`), 32 bytes each."""

    secret: bytes = field(repr=False)
    seed: bytes = field(repr=False)

    @classmethod
    def generate(cls, random: Callable[[int], bytes] = secrets.token_bytes) -> WebhookKeys:
        return cls(random(_SECRET_BYTES), random(_SECRET_BYTES))


@dataclass(frozen=True, slots=True)
class StreamSecrets:
    """`authorization` is the header that a push receiver wants; `keys` are the newest first, at most two."""

    authorization: str | None = field(default=None, repr=False)
    keys: tuple[WebhookKeys, ...] = field(default=(), repr=False)


class Keeper:
    """Seals and opens; each stream has a data key of its own, under the secrets of the protector."""

    def __init__(self, protector: Protector) -> None:
        self._protector = protector

    def seal(self, stream_id: str, kept: StreamSecrets) -> tuple[bytes, bytes]:
        """The wrapped data key and what it seals."""
        data_key = protect.new_data_key()
        plain = {
            "authorization": kept.authorization,
            "keys": [[item.secret.hex(), item.seed.hex()] for item in kept.keys],
        }
        wrapped = self._protector.wrap(data_key, context=_context(stream_id))
        return wrapped, protect.seal(data_key, json.dumps(plain).encode(), context=_context(stream_id))

    def open(self, stream_id: str, wrapped: bytes, sealed: bytes) -> StreamSecrets:
        """Raises `Unavailable` `register_damaged`."""
        try:
            data_key = self._protector.unwrap(wrapped, context=_context(stream_id))
            plain = json.loads(protect.open_(data_key, sealed, context=_context(stream_id)))
        except CheckFailed:
            raise Unavailable("register_damaged", "sealed data was altered, or lies under another record") from None
        keys = tuple(WebhookKeys(bytes.fromhex(secret), bytes.fromhex(seed)) for secret, seed in plain["keys"])
        return StreamSecrets(plain["authorization"], keys)


def _context(stream_id: str) -> bytes:
    return f"partner-stream/{stream_id}/secrets".encode()
