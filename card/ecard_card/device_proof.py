"""The device proof: a JWS by which a device shows that it holds the key a credential shall name (RFC 7800 §3.1).

It names the issuer, the enrolment and the time, so that it is good for one request. Pure: whoever receives it judges
the signature after `parse`.
"""

from __future__ import annotations

from typing import Final

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.errors import InvalidInput

PROOF_TYPE: Final = "ecard-device-proof+jwt"
#: Characters.
MAX_PROOF: Final = 4096
#: How far `iat` may lie from the issuer's clock, in seconds.
TOLERANCE: Final = 60


def draft(issuer: str, enrolment_id: str, issued_at: int, algorithm: Algorithm = Algorithm.ES256) -> jose.UnsignedJws:
    """The proof before the signature of a device key of `algorithm`. `issuer` is the issuer's URL, `issued_at` a
    NumericDate."""
    claims = {"aud": issuer, "nonce": enrolment_id, "iat": issued_at}
    return jose.UnsignedJws(jose.compact_signing_input({"alg": algorithm.value, "typ": PROOF_TYPE}, claims))


def parse(proof: str, *, issuer: str, enrolment_id: str, now: int) -> jose.CompactJws:
    """Reads a proof made for `issuer` and `enrolment_id` about `now`; its signature is still to be verified.

    Raises `InvalidInput`: `bad_jws`, `wrong_type` or `algorithm_not_allowed` for its form, `bad_device_proof` for
    what it says.
    """
    jws = jose.parse_compact(proof, typ=PROOF_TYPE, limit=MAX_PROOF)
    try:
        claims = jose.parse_json(jws.payload, limit=MAX_PROOF, max_depth=2)
    except InvalidInput as error:
        raise InvalidInput("bad_device_proof", error.detail) from None
    if not isinstance(claims, dict) or claims.get("aud") != issuer:
        raise InvalidInput("bad_device_proof", "aud is not this issuer")
    if claims.get("nonce") != enrolment_id:
        raise InvalidInput("bad_device_proof", "nonce is not this enrolment")
    issued_at = claims.get("iat")
    if type(issued_at) is not int or abs(issued_at - now) > TOLERANCE:
        raise InvalidInput("bad_device_proof", "iat is not now")
    return jws
