"""Errors that say which part of a request was refused: OAuth has an error of its own for each (RFC 6749 §5.2)."""

from __future__ import annotations

from ecard_card.errors import NotAllowed, NotAuthenticated


class ClientRefused(NotAuthenticated):
    """The client did not prove who it is: `invalid_client`."""


class ProofRefused(NotAuthenticated):
    """The DPoP proof does not hold: `invalid_dpop_proof` (RFC 9449 §5)."""


class NonceNeeded(ProofRefused):
    """The proof has to carry a nonce of ours, `nonce`: `use_dpop_nonce` (RFC 9449 §8)."""

    def __init__(self, nonce: str) -> None:
        super().__init__("dpop_nonce_needed", "put the nonce of the header DPoP-Nonce into the proof")
        self.nonce = nonce


class TokenRefused(NotAuthenticated):
    """The access token is unknown, over, or somebody else's: `invalid_token` (RFC 6750 §3.1)."""


class ScopeMissing(NotAllowed):
    """The token has not all of `scopes`: `insufficient_scope` (RFC 6750 §3.1)."""

    def __init__(self, scopes: str) -> None:
        super().__init__("scope_missing", f"this call needs {scopes}")
        self.scopes = scopes
