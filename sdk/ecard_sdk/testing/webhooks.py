"""The fake's webhooks: secrets, and messages signed as the authority signs them."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from collections.abc import Callable
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ecard_sdk.testing.authority import FakeEvent


class FakeWebhooks:
    """One webhook for each app."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._ids: dict[str, str] = {}
        self._keys: dict[str, tuple[bytes, Ed25519PrivateKey]] = {}

    def webhook_id(self, app_id: str) -> str:
        """That of the app's only webhook."""
        return self._ids.setdefault(app_id, secrets.token_hex(16))

    def rotate(self, app_id: str) -> tuple[str, str]:
        """A new secret and public key, in the form that `unwrap` takes."""
        self._keys[app_id] = secret, seed = secrets.token_bytes(32), Ed25519PrivateKey.generate()
        public = seed.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return f"whsec_{_text(secret)}", f"whpk_{_text(public)}"

    def message(self, app_id: str, event: FakeEvent) -> tuple[bytes, dict[str, str]]:
        """Body and headers of the request that the app's receiver would get now. After `rotate`."""
        secret, seed = self._keys[app_id]
        data = {
            "stream": self.webhook_id(app_id),
            "number": event.number,
            "link_id": event.link.link_id,
            "status": str(event.status),
        }
        said = {"type": str(event.type), "timestamp": event.occurred_at.isoformat(), "data": data}
        body, stamp = json.dumps(said).encode(), str(int(self._clock().timestamp()))
        message_id = f"msg_{event.event_id}"
        content = f"{message_id}.{stamp}.".encode() + body
        signatures = (f"v1,{_text(hmac.digest(secret, content, 'sha256'))}", f"v1a,{_text(seed.sign(content))}")
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": stamp,
            "webhook-signature": " ".join(signatures),
        }
        return body, headers


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
