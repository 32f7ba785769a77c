"""Refusals in the form that OAuth 2.0 and OpenID4VCI 1.0 fix: an error code of theirs, for a wallet to act on."""

from __future__ import annotations

from ecard_card.errors import EcardError


class WalletRefusal(EcardError):
    """`code` is the `error` of RFC 6749 §5.2 or of OpenID4VCI 1.0; `status` the HTTP status that goes with it."""

    def __init__(self, code: str, detail: str = "", *, status: int = 400) -> None:
        super().__init__(code, detail)
        self.status = status
