"""Demonstrating proof of possession, DPoP (RFC 9449): a request comes with a JWT that the sender's key signed for it.

The URL that a proof names is compared with the configured public origin and the path that was asked: what `Host` or a
forwarded header says is not heard.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_issuer.oauth.clocks import SKEW, numeric_date, require_recent
from ecard_issuer.oauth.jwt import read_jwt
from ecard_issuer.oauth.one_time import OnceOnly
from ecard_issuer.oauth.refusals import NonceNeeded, ProofRefused
from ecard_keys.client_keys import read_client_key
from ecard_keys.client_signer import access_token_hash

MAX_PROOF: Final = 4096
_MAX_JTI: Final = 256
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
#: A keyed hash of the authority: label and data to 32 bytes. `Pepper.apply` is one.
KeyedHash = Callable[[str, bytes], bytes]


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked: `url` is public origin and path, without query."""

    method: str
    url: str


@dataclass(frozen=True, slots=True)
class Proven:
    """A proof that holds: the key's RFC 7638 thumbprint, for `cnf.jkt`. `once` has still to be taken."""

    thumbprint: str
    once: OnceOnly


class DpopNonces:
    """Nonces of ours without a store: keyed hashes of the time, good for two to four minutes (RFC 9449 §8)."""

    _SECONDS: Final = 120

    def __init__(self, keyed_hash: KeyedHash) -> None:
        self._keyed_hash = keyed_hash

    def fresh(self, now: datetime) -> str:
        """The nonce of this moment."""
        return self._of(int(now.timestamp()) // self._SECONDS)

    def holds(self, nonce: str, now: datetime) -> bool:
        """Whether `nonce` was given out a short time ago."""
        present = int(now.timestamp()) // self._SECONDS
        given = nonce.encode("utf-8", "replace")
        return any(hmac.compare_digest(self._of(turn).encode(), given) for turn in (present, present - 1))

    def _of(self, turn: int) -> str:
        return jose.b64url_encode(self._keyed_hash("dpop-nonce", turn.to_bytes(8, "big"))[:18])


def judge_proof(
    proof: str,
    request: Request,
    now: datetime,
    *,
    access_token: str | None = None,
    nonces: DpopNonces | None = None,
) -> Proven:
    """Check a proof for `request` (RFC 9449 §4.3); at a resource with the `access_token` that came along.

    Raises `ProofRefused`: `dpop_proof_wrong`, and `clock_differs` with the difference; `NonceNeeded`
    `dpop_nonce_needed` where `nonces` are asked for and the proof has none that is fresh.
    """
    try:
        read = read_jwt(proof, types=("dpop+jwt",), members=("jwk",), limit=MAX_PROOF)
        key = read_client_key(read.header.get("jwk"))
    except InvalidInput as error:
        raise ProofRefused("dpop_proof_wrong", error.detail) from None
    if not read.signed_by(key):
        raise ProofRefused("dpop_proof_wrong", "the signature does not hold")
    jti, issued = read.text("jti", _MAX_JTI), numeric_date(read.claims.get("iat"))
    if not jti or issued is None:
        raise ProofRefused("dpop_proof_wrong", "jti or iat is missing or out of its bounds")
    if read.claims.get("htm") != request.method:
        raise ProofRefused("dpop_proof_wrong", "htm is not the method of this request")
    if _comparable(read.text("htu", 2048)) != _comparable(request.url):
        raise ProofRefused("dpop_proof_wrong", "htu is not the address of this request at the authority's own origin")
    require_recent(issued, now, "iat", ProofRefused)
    if access_token is not None and read.claims.get("ath") != access_token_hash(access_token):
        raise ProofRefused("dpop_proof_wrong", "ath is not the hash of the access token")
    if nonces is not None and not nonces.holds(read.text("nonce", 256), now):
        raise NonceNeeded(nonces.fresh(now))
    until = datetime.fromtimestamp(issued, UTC) + 2 * SKEW
    return Proven(key.thumbprint, OnceOnly("dpop-proof", key.thumbprint, jti, until))


def _comparable(url: str) -> tuple[str, str, int | None, str] | None:
    """Scheme, host, port and path as RFC 3986 §6.2.2 compares them; None for what is no http URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS or parts.username is not None:
        return None
    return scheme, (parts.hostname or "").lower(), port or _DEFAULT_PORTS[scheme], parts.path or "/"
