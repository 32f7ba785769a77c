"""Signing as Standard Webhooks 1.0 has it: `v1` is HMAC-SHA256, `v1a` Ed25519, both over `id.timestamp.body`."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ecard_issuer.partners.keeping import WebhookKeys

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how a secret begins
PUBLIC_PREFIX: Final = "whpk_"


def signed_headers(body: bytes, message_id: str, timestamp: int, keys: Sequence[WebhookKeys]) -> dict[str, str]:
    """The three headers. Each of `keys` signs in both ways; a receiver takes the signature that it can check."""
    content = f"{message_id}.{timestamp}.".encode() + body
    signatures = []
    for item in keys:
        signatures.append("v1," + _base64(hmac.digest(item.secret, content, "sha256")))
        signatures.append("v1a," + _base64(Ed25519PrivateKey.from_private_bytes(item.seed).sign(content)))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def secret_text(keys: WebhookKeys) -> str:
    """The shared secret as its receiver is given it."""
    return SECRET_PREFIX + _base64(keys.secret)


def public_text(keys: WebhookKeys) -> str:
    """The public key as its receiver is given it; no secret."""
    public = Ed25519PrivateKey.from_private_bytes(keys.seed).public_key()
    return PUBLIC_PREFIX + _base64(public.public_bytes(Encoding.Raw, PublicFormat.Raw))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
