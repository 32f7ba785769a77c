"""Proofs of possession of a wallet's keys: JWTs of OpenID4VCI 1.0 appendix F.1. Pure, but for the nonce it hands back.

One key by `jwk` in the header; `kid` (a DID) and `x5c` are not taken: there is nobody here to resolve or trust them by.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ecard_card import jose
from ecard_card.errors import InvalidInput, Unavailable
from ecard_issuer.wallets.refusals import WalletRefusal
from ecard_keys.verify import load_public_key, verify_jws

TYP: Final = "openid4vci-proof+jwt"
#: Characters of one proof.
MAX_PROOF: Final = 8192
#: How far `iat` may lie ahead of our clock, and behind it (a nonce is older than its proof), in seconds.
AHEAD: Final = 60
BEHIND: Final = 360
_NEEDED: Final = frozenset({"alg", "typ", "jwk"})
#: A statement about where the key lives (appendix D). Nobody's word about keys is trusted here, so none is read.
_UNREAD: Final = frozenset({"key_attestation"})


@dataclass(frozen=True, slots=True)
class KeyProof:
    """A key whose possession was shown, as an uncompressed point, and the nonce that dates it."""

    point: bytes = field(repr=False)
    nonce: str = field(repr=False)


def read_proof(proof: str, *, issuer: str, client_id: str | None, now: int) -> KeyProof:
    """The key that a proof shows. `client_id` is the wallet's where it has one; `iss` must then be that, if given, and
    may not be there otherwise (appendix F.1).

    Raises `WalletRefusal` `invalid_proof`; `invalid_nonce` where the proof has none.
    """
    try:
        head, body, tail = proof.split(".") if len(proof) <= MAX_PROOF else ("", "", "")
        header = jose.parse_json(jose.b64url_decode(head), limit=MAX_PROOF, max_depth=2)
        claims = jose.parse_json(jose.b64url_decode(body), limit=MAX_PROOF, max_depth=2)
        signature = jose.b64url_decode(tail)
    except (InvalidInput, ValueError):
        raise WalletRefusal("invalid_proof", "not a compact JWS of the allowed size") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise WalletRefusal("invalid_proof", "header and payload are JSON objects")
    point = _key_of(header)
    jws = jose.CompactJws(header, body.encode(), signature, proof[: -len(tail) - 1].encode())
    try:
        if len(signature) != 64 or not verify_jws(jws, load_public_key(point)):
            raise WalletRefusal("invalid_proof", "not signed by the key in its header")
    except (InvalidInput, Unavailable):
        raise WalletRefusal("invalid_proof", "the key in the header is no P-256 key") from None
    if claims.get("aud") not in (issuer, [issuer]):
        raise WalletRefusal("invalid_proof", "aud is not this credential issuer")
    if "iss" in claims and (client_id is None or claims["iss"] != client_id):
        raise WalletRefusal("invalid_proof", "iss is not the client id of this wallet")
    issued_at = claims.get("iat")
    if type(issued_at) is not int or not -BEHIND <= issued_at - now <= AHEAD:
        raise WalletRefusal("invalid_proof", "iat is not now")
    nonce = claims.get("nonce")
    if type(nonce) is not str:
        raise WalletRefusal("invalid_nonce", "a proof names a c_nonce")
    return KeyProof(point, nonce)


def _key_of(header: dict[str, object]) -> bytes:
    if header.get("typ") != TYP:
        raise WalletRefusal("invalid_proof", f"typ is {TYP}")
    if header.get("alg") != "ES256":
        raise WalletRefusal("invalid_proof", "only ES256 is accepted")
    if set(header) - _UNREAD != _NEEDED:
        raise WalletRefusal("invalid_proof", "the header has alg, typ and jwk, and no other way to a key")
    try:
        return jose.parse_public_jwk(header["jwk"])
    except InvalidInput as error:
        raise WalletRefusal("invalid_proof", error.detail) from None
