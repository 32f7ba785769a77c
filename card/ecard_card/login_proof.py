"""The login proof: a JWS by which a phone says "I log in there", signed by the device key of its credential.

It names the site, the request and the number that its holder chose, so that it is good for one login at one site and
says nothing anywhere else (RFC 8725 §3.11: a type of its own). The format is `docs/formats/login.md`. Pure: whoever
receives it judges the signature after `parse`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.errors import InvalidInput

PROOF_TYPE: Final = "ecard-login-proof+jwt"
#: Characters.
MAX_PROOF: Final = 2048
#: Seconds that `iat` may lie behind and ahead of the authority's clock, as for a key-binding JWT.
BEHIND: Final = 120
AHEAD: Final = 60
_NUMBER: Final = re.compile(r"[0-9]{2}")
_MEMBERS: Final = frozenset({"aud", "nonce", "iat", "number", "credential_id"})


@dataclass(frozen=True, slots=True)
class LoginProof:
    """What a proof says, not yet verified. `jws` is what its signature is judged by."""

    credential_id: bytes
    number: str
    jws: jose.CompactJws = field(repr=False)


def draft(
    client_id: str,
    request_id: str,
    number: str,
    credential_id: bytes,
    issued_at: int,
    algorithm: Algorithm = Algorithm.ES256,
) -> jose.UnsignedJws:
    """The proof before the signature of a device key of `algorithm`.

    `client_id` and `request_id` are those of the signed request, `number` the two digits that the holder chose,
    `credential_id` names the credential whose device key signs, `issued_at` is a NumericDate.
    """
    claims: dict[str, object] = {
        "aud": client_id,
        "nonce": request_id,
        "iat": issued_at,
        "number": number,
        "credential_id": jose.b64url_encode(credential_id),
    }
    return jose.UnsignedJws(jose.compact_signing_input({"alg": algorithm.value, "typ": PROOF_TYPE}, claims))


def parse(proof: str, *, client_id: str, request_id: str, now: int) -> LoginProof:
    """Reads a proof made for `client_id` and `request_id` about `now`; its signature is still to be verified.

    Raises `InvalidInput`: `bad_jws`, `wrong_type` or `algorithm_not_allowed` for its form, `bad_login_proof` for what
    it says.
    """
    jws = jose.parse_compact(proof, typ=PROOF_TYPE, limit=MAX_PROOF)
    if jws.header.keys() != {"alg", "typ"}:
        raise InvalidInput("bad_login_proof", "want just alg and typ in the header")
    try:
        claims = jose.parse_json(jws.payload, limit=MAX_PROOF, max_depth=1)
    except InvalidInput as error:
        raise InvalidInput("bad_login_proof", error.detail) from None
    if not isinstance(claims, dict) or claims.keys() != _MEMBERS:
        raise InvalidInput("bad_login_proof", "want aud, nonce, iat, number and credential_id, and nothing else")
    if claims["aud"] != client_id:
        raise InvalidInput("bad_login_proof", "aud is not the site of this request")
    if claims["nonce"] != request_id:
        raise InvalidInput("bad_login_proof", "nonce is not this request")
    issued_at, number, named = claims["iat"], claims["number"], claims["credential_id"]
    if type(issued_at) is not int or not now - BEHIND <= issued_at <= now + AHEAD:
        raise InvalidInput("bad_login_proof", "iat is not now")
    if type(number) is not str or not _NUMBER.fullmatch(number) or type(named) is not str:
        raise InvalidInput("bad_login_proof", "number is not two digits, or credential_id no text")
    try:
        credential_id = jose.b64url_decode(named)
    except InvalidInput as error:
        raise InvalidInput("bad_login_proof", error.detail) from None
    return LoginProof(credential_id, number, jws)
