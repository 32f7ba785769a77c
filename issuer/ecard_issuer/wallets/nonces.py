"""`c_nonce` (OpenID4VCI 1.0 §7): random, dated and tagged, so that giving one out writes nothing; its use is what is
written, once, as the key of a batch."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime
from typing import Final

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_issuer.wallets.tokens import WalletSecrets

#: Seconds for which a nonce may be used.
NONCE_LIFE: Final = 300
_BODY: Final = 20  # 16 random bytes and the last second of its life


class Nonces:
    """Makes nonces, and knows its own again, in whichever process."""

    def __init__(self, secrets: WalletSecrets, random: Callable[[int], bytes]) -> None:
        self._secrets, self._random = secrets, random

    def make(self, now: datetime) -> str:
        """A nonce good until `NONCE_LIFE` seconds from now."""
        body = self._random(16) + (int(now.timestamp()) + NONCE_LIFE).to_bytes(4)
        return jose.b64url_encode(body + self._secrets.nonce_tag(body))

    def good(self, nonce: str, now: datetime) -> bool:
        """Whether it is ours and not over. Says nothing of whether it was used."""
        if len(nonce) != 48:
            return False
        try:
            raw = jose.b64url_decode(nonce)
        except InvalidInput:
            return False
        body, tag = raw[:_BODY], raw[_BODY:]
        left = int.from_bytes(body[16:]) - int(now.timestamp())
        return hmac.compare_digest(tag, self._secrets.nonce_tag(body)) and 0 < left <= NONCE_LIFE


def batch_id_of(nonce: str) -> str:
    """What a used nonce is remembered by: 128 bits, hex."""
    return hashlib.sha256(nonce.encode()).hexdigest()[:32]
