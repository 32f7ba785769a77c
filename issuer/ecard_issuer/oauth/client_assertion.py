"""Client authentication by a signed JWT, `private_key_jwt` (RFC 7523 §3, with the audience rule of rfc7523bis).

The audience is the authorization server's issuer identifier and nothing else, as one text: an assertion made for
another server, also one that shares a name with ours in a list, is never good here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from ecard_card.errors import InvalidInput
from ecard_issuer.oauth.clocks import SKEW, numeric_date
from ecard_issuer.oauth.jwt import ReadJwt, read_jwt
from ecard_issuer.oauth.one_time import OnceOnly
from ecard_issuer.oauth.refusals import ClientRefused
from ecard_keys.client_keys import ClientKey
from ecard_keys.http_signature import difference

#: `client_assertion_type` (RFC 7523 §2.2).
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: `client-authentication+jwt` is the type of rfc7523bis; older libraries write `JWT` or nothing.
_TYPES: Final = ("client-authentication+jwt", "jwt", None)
LONGEST_LIFE: Final = timedelta(seconds=300)
_MAX_ID: Final = 256
_MAX_JTI: Final = 256

#: The keys of a client that may have signed with this `kid` ("" where the header names none). Raises what it likes.
KeysOf = Callable[[str, str], Sequence[ClientKey]]


@dataclass(frozen=True, slots=True)
class ProvenClient:
    """A client whose assertion holds. `once` has still to be taken."""

    client_id: str
    kid: str
    once: OnceOnly


def claimed_client(assertion: str) -> str:
    """Whose assertion this says it is, before anything is judged. Raises `ClientRefused` `client_assertion_wrong`."""
    return _read(assertion).text("sub", _MAX_ID)


def judge_assertion(assertion: str, audience: str, keys_of: KeysOf, now: datetime) -> ProvenClient:
    """The client that signed `assertion` for the authorization server `audience`.

    Raises `ClientRefused`: `client_assertion_wrong`, and `clock_differs` with the difference where the times say that
    the client's clock is wrong.
    """
    read = _read(assertion)
    client_id = read.text("sub", _MAX_ID)
    if not client_id or read.claims.get("iss") != client_id:
        raise ClientRefused("client_assertion_wrong", "iss and sub are both the client's id")
    key = _key_of(read, client_id, keys_of)
    if not read.signed_by(key):
        raise ClientRefused("client_assertion_wrong", "the signature does not hold")
    # What follows is told to whoever holds the key: the details help them and nobody else.
    if read.claims.get("aud") != audience:
        raise ClientRefused("client_assertion_wrong", "aud is this server's issuer identifier, as one text")
    expires = _judge_times(read, now)
    jti = read.text("jti", _MAX_JTI)
    if not jti:
        raise ClientRefused("client_assertion_wrong", "jti is missing or too long")
    until = datetime.fromtimestamp(expires, UTC) + SKEW
    return ProvenClient(client_id, key.kid, OnceOnly("client-assertion", client_id, jti, until))


def _read(assertion: str) -> ReadJwt:
    try:
        return read_jwt(assertion, types=_TYPES, members=("kid",))
    except InvalidInput as error:
        raise ClientRefused("client_assertion_wrong", error.detail) from None


def _key_of(read: ReadJwt, client_id: str, keys_of: KeysOf) -> ClientKey:
    kid = read.header.get("kid", "")
    if type(kid) is not str or len(kid) > _MAX_ID:
        raise ClientRefused("client_assertion_wrong", "kid is not a short text")
    keys = keys_of(client_id, kid)
    if kid:
        keys = [key for key in keys if key.kid == kid]
    if len(keys) != 1:
        raise ClientRefused("client_assertion_wrong", "no key of this client has this kid")
    return keys[0]


def _judge_times(read: ReadJwt, now: datetime) -> int:
    present = int(now.timestamp())
    expires, issued = numeric_date(read.claims.get("exp")), numeric_date(read.claims.get("iat", present))
    begins = numeric_date(read.claims.get("nbf", present))
    if expires is None or issued is None or begins is None:
        raise ClientRefused("client_assertion_wrong", "exp, and iat and nbf where they are there, are numeric dates")
    skew = int(SKEW.total_seconds())
    # An assertion that is over, or not begun, was made by a clock that is wrong or was kept too long.
    if issued > present + skew or begins > present + skew:
        raise ClientRefused("clock_differs", f"iat is {difference(max(issued, begins) - present)}")
    if expires + skew < present:
        raise ClientRefused("clock_differs", f"exp is {difference(expires - present)}")
    if expires - present > LONGEST_LIFE.total_seconds() + skew or expires - issued > LONGEST_LIFE.total_seconds():
        raise ClientRefused("client_assertion_wrong", "exp is at most 300 s ahead")
    return expires
