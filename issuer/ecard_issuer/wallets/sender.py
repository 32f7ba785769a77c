"""Which key a request is bound to: DPoP (RFC 9449) at the wallet endpoints. Each proof counts once."""

from __future__ import annotations

from datetime import datetime

from ecard_issuer.oauth.dpop import Request, judge_proof
from ecard_issuer.oauth.one_time import OneTime
from ecard_issuer.oauth.refusals import ProofRefused
from ecard_issuer.wallets.metadata import authorization_server
from ecard_issuer.wallets.refusals import WalletRefusal


class Sender:
    """Judges proofs for the endpoints below the authorization server's own address."""

    def __init__(self, one_time: OneTime, origin: str) -> None:
        self._one_time, self._base = one_time, authorization_server(origin)

    def key_of(self, proof: str | None, endpoint: str, now: datetime) -> str | None:
        """The thumbprint of the key that signed a proof for `POST` to an endpoint; None without a proof.

        Raises `WalletRefusal` `invalid_dpop_proof`.
        """
        return None if proof is None else self._judge(proof, endpoint, now, None, 400)

    def key_for_token(self, proof: str | None, endpoint: str, token: str, now: datetime) -> str:
        """As `key_of`, for a request with an access token: the proof is needed, and names the token."""
        if proof is None:
            raise WalletRefusal("invalid_dpop_proof", "a token of type DPoP comes with a proof", status=401)
        return self._judge(proof, endpoint, now, token, 401)

    def _judge(self, proof: str, endpoint: str, now: datetime, token: str | None, status: int) -> str:
        try:
            proven = judge_proof(proof, Request("POST", f"{self._base}/{endpoint}"), now, access_token=token)
        except ProofRefused as refusal:
            raise WalletRefusal("invalid_dpop_proof", refusal.detail, status=status) from None
        if self._one_time.take([proven.once]) is not None:
            raise WalletRefusal("invalid_dpop_proof", "this proof was used before", status=status)
        return proven.thumbprint
