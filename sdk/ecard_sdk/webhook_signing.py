"""Webhooks as the authority sends them, made on a developer's own machine: body, headers, signatures.

By Standard Webhooks 1.0: `v1` is HMAC-SHA256, `v1a` Ed25519, both over `id.timestamp.body`.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_sdk.events_models import ChannelEvent

_SECRET: Final = "whsec_"  # noqa: S105 - how a secret begins
_PUBLIC: Final = "whpk_"
_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class WebhookSigner:
    """Signs what one webhook sends; `stream` is the webhook's id. `repr` shows nothing."""

    stream: str
    _secret: bytes = field(repr=False)
    _seed: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def generate(cls, secret: str | None = None) -> Self:
        """With a known shared secret, or a new one. Raises `InvalidInput` `bad_webhook_secret`."""
        return cls(
            secrets.token_hex(16),
            secrets.token_bytes(_BYTES) if secret is None else _decoded(secret),
            Ed25519PrivateKey.generate(),
        )

    @property
    def secret(self) -> str:
        """The shared secret as its receiver is given it."""
        return _SECRET + _text(self._secret)

    @property
    def public_key(self) -> str:
        """The public key as its receiver is given it."""
        return _PUBLIC + _text(self._seed.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def message(self, event: ChannelEvent, now: datetime) -> tuple[bytes, dict[str, str]]:
        """Body and headers of the request that a receiver would get of this event. `now` is aware UTC."""
        data: dict[str, object] = {"stream": self.stream, "number": event.number, "link_id": event.link_id}
        data["status"] = str(event.status)
        for name, value in (("action_type", event.action_type), ("scene_type", event.scene_type)):
            if value is not None:
                data[name] = value
        moment = event.raw.get("occurred_at") or event.occurred_at.isoformat()
        body = jose.dump_json({"type": str(event.type), "timestamp": moment, "data": data})
        return body, {"content-type": "application/json", **self.headers(body, f"msg_{event.id}", now)}

    def headers(self, body: bytes, message_id: str, now: datetime) -> dict[str, str]:
        """The three headers over a body."""
        stamp = str(int(now.timestamp()))
        content = f"{message_id}.{stamp}.".encode() + body
        shared = _text(hmac.digest(self._secret, content, "sha256"))
        return {
            "webhook-id": message_id,
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{shared} v1a,{_text(self._seed.sign(content))}",
        }


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decoded(secret: str) -> bytes:
    try:
        data = base64.b64decode(secret.removeprefix(_SECRET), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not secret.startswith(_SECRET) or not 24 <= len(data) <= 64:
        raise InvalidInput("bad_webhook_secret", "a secret is whsec_ and 24 to 64 bytes of base64")
    return data
