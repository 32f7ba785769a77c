"""What is common to the authority's signed statements: who signed, and whether that may be believed now.

Confirmations, requests of logins and settlement authorizations are compact JWS under keys that the trust list gives the
purpose `statement`. Each kind reads its own claims, between the two steps here.
"""

from __future__ import annotations

from typing import Final

from ecard_card import jose
from ecard_card.errors import CheckFailed, InvalidInput
from ecard_keys.key import KeyPurpose
from ecard_keys.trust.trust import Trust, TrustedKey
from ecard_keys.verify import verify

SKEW: Final = 60  # seconds that two clocks may differ
HEADER: Final = frozenset({"alg", "kid", "typ"})


def signed_by(token: str, trust: Trust, seconds: int, *, typ: str, limit: int) -> tuple[jose.CompactJws, TrustedKey]:
    """The parts of `token` and the one key that signed it, at the time `seconds`. Nothing in it is believed yet.

    Raises `InvalidInput` `bad_jws` (also for a header of other members), `wrong_type`, `algorithm_not_allowed`;
    `CheckFailed` `trust_expired`, `unknown_key`, `key_wrong_purpose`, `bad_signature`.
    """
    jws = jose.parse_compact(token, typ=typ, limit=limit)
    if jws.header.keys() != HEADER:
        raise InvalidInput("bad_jws", "want just alg, kid and typ in the header")
    if trust.expires_at < seconds - SKEW:
        raise CheckFailed("trust_expired", "the trust list has expired")
    kid = str(jws.header["kid"])
    candidates = trust.candidates(kid, KeyPurpose.STATEMENT)
    if not candidates:
        if any(trust.candidates(kid, purpose) for purpose in KeyPurpose):
            raise CheckFailed("key_wrong_purpose", "the key it names may not sign statements")
        raise CheckFailed("unknown_key", "no issuer on the trust list has this key")
    signers = [
        key
        for key in candidates
        if key.record.algorithm == jws.algorithm and verify(key.loaded(), jws.signing_input, jws.signature)
    ]
    if len(signers) != 1:
        raise CheckFailed("bad_signature", "not signed by the one key that it names")
    return jws, signers[0]


def require_in_force(key: TrustedKey, issuer: str, issued_at: int, expires_at: int, seconds: int) -> None:
    """Raises `CheckFailed`: the key's own reason, `issuer_mismatch`, `not_yet_valid`, `expired`."""
    refusal = key.accepts(issued_at)
    if refusal is not None:
        raise CheckFailed(refusal, "the issuer's key may not have signed this then")
    if issuer != key.issuer.issuer:
        raise CheckFailed("issuer_mismatch", "iss is not the issuer that the signing key belongs to")
    if issued_at > seconds + SKEW:
        raise CheckFailed("not_yet_valid", "dated ahead of our clock")
    if expires_at < seconds - SKEW:
        raise CheckFailed("expired", "it is over")
