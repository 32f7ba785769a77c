"""The signed Status List Token, JWT and CWT (draft-ietf-oauth-status-list-21 §5).

Stricter than the draft where we write the tokens ourselves: `exp` is required, `kid` is required, and the CWT is
deterministic CBOR with every header protected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ecard_card import cbor, cose, jose
from ecard_card.algorithm import COSE_ALGORITHM, Algorithm
from ecard_card.credential import MAX_NUMERIC_DATE, Unsigned
from ecard_card.errors import InvalidInput
from ecard_card.status_list import Compressible, StatusList

TYP_JWT: Final = "statuslist+jwt"
TYP_CWT: Final = "application/statuslist+cwt"
#: Largest token read, in characters or bytes: 2^20 entries of two bits fit, however little they compress.
LIMIT: Final = 1 << 19

_SUB, _EXP, _IAT, _TTL, _STATUS_LIST = 2, 4, 6, 65534, 65533
_CWT_NAMES: Final = (_SUB, _IAT, _EXP, _TTL, _STATUS_LIST)
_JWT_NAMES: Final = ("sub", "iat", "exp", "ttl", "status_list")
_MAX_PARTS: Final = 256


@dataclass(frozen=True, slots=True)
class StatusToken:
    """What a status list token says, not yet verified. `kid` is text; for a CWT the hex digits of its bytes.

    Times are NumericDate, `ttl` is seconds. `position`: the list knows of every event of the issuer's feed up to this
    number; None where it does not say.
    """

    kid: str
    uri: str
    issued_at: int
    expires_at: int
    ttl: int | None
    statuses: StatusList
    signing_input: bytes
    signature: bytes
    position: int | None = None


@dataclass(frozen=True, slots=True)
class _UnsignedStatusCwt:
    protected: bytes
    payload: bytes

    @property
    def signing_input(self) -> bytes:
        return cose.signing_input(self.protected, self.payload, b"")

    def complete(self, signature: bytes) -> bytes:
        return cose.encode_sign1(self.protected, self.payload, signature)


def jwt_draft(
    uri: str,
    statuses: Compressible,
    kid: str,
    issued_at: int,
    expires_at: int,
    ttl: int,
    *,
    level: int = 6,
    algorithm: Algorithm = Algorithm.ES256,
    position: int | None = None,
) -> Unsigned:
    """The unsigned JWT form; `complete` gives text. `uri` is where the list is served, `level` is zlib's, `algorithm`
    the signing key's, `position` as in `StatusToken`."""
    _check_times(issued_at, expires_at, ttl)
    payload: dict[str, object] = {"sub": uri, "iat": issued_at, "exp": expires_at, "ttl": ttl}
    if position is not None:
        payload["feed_seq"] = _position(position)
    payload["status_list"] = {"bits": statuses.bits, "lst": jose.b64url_encode(statuses.compressed(level))}
    return jose.UnsignedJws(jose.compact_signing_input({"alg": algorithm.value, "kid": kid, "typ": TYP_JWT}, payload))


def cwt_draft(
    uri: str,
    statuses: Compressible,
    kid: bytes,
    issued_at: int,
    expires_at: int,
    ttl: int,
    *,
    level: int = 6,
    algorithm: Algorithm = Algorithm.ES256,
) -> Unsigned:
    """The unsigned CWT form; `complete` gives bytes, a COSE_Sign1 with tag 18."""
    _check_times(issued_at, expires_at, ttl)
    payload = {
        _SUB: uri,
        _IAT: issued_at,
        _EXP: expires_at,
        _TTL: ttl,
        _STATUS_LIST: {"bits": statuses.bits, "lst": statuses.compressed(level)},
    }
    headers = {cose.HEADER_ALG: COSE_ALGORITHM[algorithm], cose.HEADER_KID: kid, cose.HEADER_TYP: TYP_CWT}
    return _UnsignedStatusCwt(cose.encode_protected(headers), cbor.encode(payload))


@dataclass(frozen=True, slots=True)
class SealedStatusToken:
    """A token whose outside was read and whose payload was not: verify the signature, then `open` it.

    The payload of a stranger can be made expensive to read; one that is signed was written by somebody we know.
    """

    kid: str
    algorithm: Algorithm
    signing_input: bytes
    signature: bytes
    payload: bytes
    is_jwt: bool

    def open(self) -> StatusToken:
        """What it says. Raises `InvalidInput` `bad_status_token` or `bad_status_list`."""
        try:
            claims = (
                jose.parse_json(self.payload, limit=LIMIT, max_depth=8, max_items=_MAX_PARTS)
                if self.is_jwt
                else cbor.decode(self.payload, limit=LIMIT, max_depth=4)
            )
        except InvalidInput as error:
            raise InvalidInput("bad_status_token", error.detail) from None
        if not isinstance(claims, dict):
            raise InvalidInput("bad_status_token", "the payload is not a set of claims")
        *names, lists = _JWT_NAMES if self.is_jwt else _CWT_NAMES
        uri, issued_at, expires_at, ttl = _claims(*(claims.get(name) for name in names))
        status_list = claims.get(lists)
        if not isinstance(status_list, dict):
            raise InvalidInput("bad_status_token", "no status_list claim")
        statuses = StatusList.from_compressed(self._compressed(status_list.get("lst")), _bits(status_list.get("bits")))
        position = _position(claims["feed_seq"]) if self.is_jwt and "feed_seq" in claims else None
        signed = (self.signing_input, self.signature)
        return StatusToken(self.kid, uri, issued_at, expires_at, ttl, statuses, *signed, position)

    def _compressed(self, lst: object) -> bytes:
        if self.is_jwt and isinstance(lst, str):
            try:
                return jose.b64url_decode(lst)
            except InvalidInput as error:
                raise InvalidInput("bad_status_token", error.detail) from None
        if not self.is_jwt and isinstance(lst, bytes):
            return lst
        raise InvalidInput("bad_status_token", "lst is not text (JWT) or a byte string (CWT)")


def sealed_jwt(token: str) -> SealedStatusToken:
    """The JWT form, its payload unread. Raises `InvalidInput`: `bad_status_token`, `wrong_type`,
    `algorithm_not_allowed`."""
    try:
        jws = jose.parse_compact(token, typ=TYP_JWT, limit=LIMIT)
    except InvalidInput as error:
        if error.code == "bad_jws":
            raise InvalidInput("bad_status_token", error.detail) from None
        raise
    kid = jws.header.get("kid")
    if type(kid) is not str or not kid:
        raise InvalidInput("bad_status_token", "kid is missing")
    return SealedStatusToken(kid, jws.algorithm, jws.signing_input, jws.signature, jws.payload, is_jwt=True)


def sealed_cwt(data: bytes) -> SealedStatusToken:
    """The CWT form as `cwt_draft` writes it, with the headers alg, kid and typ and no other, its payload unread.

    Raises `InvalidInput`: `bad_status_token`, `wrong_type`, `algorithm_not_allowed`.
    """
    try:
        message = cose.decode_sign1(data, limit=LIMIT)
    except InvalidInput as error:
        raise InvalidInput("bad_status_token", error.detail) from None
    headers = message.headers
    number = headers.get(cose.HEADER_ALG)
    algorithm = cose.ALGORITHMS.get(number) if type(number) is int else None
    if algorithm is None:
        raise InvalidInput("algorithm_not_allowed", "only ESP256 and SM2 sign a status list")
    if headers.get(cose.HEADER_TYP) != TYP_CWT:
        raise InvalidInput("wrong_type", "not a status list token")
    kid = headers.get(cose.HEADER_KID)
    if type(kid) is not bytes or not 1 <= len(kid) <= 32 or len(headers) != 3:
        raise InvalidInput("bad_status_token", "want the headers alg, kid and typ, and nothing else")
    signed = (message.signing_input(), message.signature, message.payload)
    return SealedStatusToken(kid.hex(), algorithm, *signed, is_jwt=False)


def parse_jwt(token: str) -> StatusToken:
    """Reads the JWT form whole; claims we do not use are ignored. Raises as `sealed_jwt` and `open` do."""
    return sealed_jwt(token).open()


def parse_cwt(data: bytes) -> StatusToken:
    """Reads the CWT form whole. Raises as `sealed_cwt` and `open` do."""
    return sealed_cwt(data).open()


def _claims(uri: object, issued_at: object, expires_at: object, ttl: object) -> tuple[str, int, int, int | None]:
    if type(uri) is not str or not 1 <= len(uri) <= 2048:
        raise InvalidInput("bad_status_token", "sub is not the URI of the list")
    if type(issued_at) is not int or type(expires_at) is not int or not (ttl is None or type(ttl) is int):
        raise InvalidInput("bad_status_token", "iat, exp and ttl are whole numbers of seconds")
    _check_times(issued_at, expires_at, ttl)
    return uri, issued_at, expires_at, ttl


def _check_times(issued_at: int, expires_at: int, ttl: int | None) -> None:
    if not 0 <= issued_at < expires_at <= MAX_NUMERIC_DATE or (ttl is not None and ttl < 1):
        raise InvalidInput("bad_status_token", "iat, exp and ttl do not make sense")


def _position(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**53:
        raise InvalidInput("bad_status_token", "feed_seq is no number of an event")
    return value


def _bits(value: object) -> int:
    if type(value) is not int:
        raise InvalidInput("bad_status_list", "bits is not a number")
    return value
