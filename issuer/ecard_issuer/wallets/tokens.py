"""Texts that open something: `id.secret`, where the id finds the row and the secret is 256 bits.

Codes of offers are computed from the offer's id under a key of the key file, so that an offer can be shown again and
the register keeps nothing that opens it; the transaction code likewise. Access tokens are random and kept as hashes.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ecard_card import jose
from ecard_keys.pepper import Pepper

TX_DIGITS: Final = 6
_FORM: Final = re.compile(r"([0-9a-f]{32})\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Opener:
    """Such a text, taken apart."""

    row_id: str
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        return f"{self.row_id}.{self.secret}"

    @property
    def hash(self) -> str:
        """What may be kept of the secret. Plain SHA-256: there is nothing to guess in 256 random bits."""
        return hashlib.sha256(self.secret.encode()).hexdigest()


def read_opener(text: str) -> Opener | None:
    """The parts of a text of this form, else None."""
    found = _FORM.fullmatch(text) if len(text) < 128 else None
    return None if found is None else Opener(found[1], found[2])


def new_opener(row_id: str, random: Callable[[int], bytes]) -> Opener:
    """A fresh secret for a row."""
    return Opener(row_id, jose.b64url_encode(random(32)))


class WalletSecrets:
    """What belongs to a row and cannot be guessed without the key file."""

    def __init__(self, pepper: Pepper) -> None:
        self._key = pepper.apply("wallets", b"1")  # once: a subkey of the pepper, for this purpose alone

    def reference(self, offer_id: str) -> Opener:
        """The last part of an offer's URL: whoever has it may fetch the offer, and with it the code."""
        return self._of("offer-reference", offer_id)

    def code(self, row_id: str) -> Opener:
        """The pre-authorized code of an offer, or the authorization code of a request."""
        return self._of("code", row_id)

    def issuer_state(self, offer_id: str) -> Opener:
        """What leads a wallet from the offer to our page (OpenID4VCI 1.0 §5.1.3)."""
        return self._of("issuer-state", offer_id)

    def request_uri(self, request_id: str) -> Opener:
        """What stands for a pushed authorization request."""
        return self._of("request-uri", request_id)

    def form(self, request_id: str, browser: str) -> str:
        """The token in a form of our page: it fits one request in one browser."""
        return jose.b64url_encode(self._mac("form", f"{request_id}\n{browser}"))

    def transaction_code(self, offer_id: str) -> str:
        """Six digits, told to the person on another way than the offer."""
        return f"{int.from_bytes(self._mac('transaction-code', offer_id)) % 10**TX_DIGITS:0{TX_DIGITS}d}"

    def nonce_tag(self, body: bytes) -> bytes:
        """16 bytes that show that a nonce is ours."""
        return hmac.digest(self._key, b"nonce\n" + body, "sha256")[:16]

    def _of(self, purpose: str, row_id: str) -> Opener:
        return Opener(row_id, jose.b64url_encode(self._mac(purpose, row_id)))

    def _mac(self, purpose: str, text: str) -> bytes:
        return hmac.digest(self._key, f"{purpose}\n{text}".encode(), "sha256")


def same(left: str, right: str) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(left.encode(), right.encode())
