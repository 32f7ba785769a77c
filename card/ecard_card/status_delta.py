"""The signed status delta: what changed on an issuer's status lists between two places of its feed.

Deltas are numbered without gaps and chained, so that an offline verifier may take them from any carrier. What stands in
one and how its changes are packed is `docs/formats/status-delta.md`; `draft` and `parse` are that page as code.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.credential import MAX_NUMERIC_DATE
from ecard_card.errors import InvalidInput
from ecard_card.jose import CompactJws, UnsignedJws

TYP: Final = "ecard-status-delta+jwt"
#: Characters of one delta, and the entries that it may name: two thirds of the limit at the most.
LIMIT: Final = 1 << 18
MAX_CHANGES: Final = 16_384
#: Entries of a list; the place of entry `index` of list `n` is `n * LIST_SIZE + index`.
LIST_SIZE: Final = 1 << 20
MAX_LIST: Final = 2**31 - 1
#: `previous` of the first delta of an issuer.
FIRST: Final = "-"
_MAX_INTEGER: Final = 2**53 - 1
_LONGEST: Final = 8  # bytes of one packed change: 53 bits
_DIGEST: Final = re.compile(r"-|[A-Za-z0-9_-]{43}")
_MEMBERS: Final = ("iss", "iat", "exp", "n", "from", "to", "prev", "as_of", "trust_list", "changes")

#: List number, index, and the entry's value from now on.
Change = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class StatusDelta:
    """What a delta says, not yet verified. Times are NumericDates.

    It covers the events of the feed after number `after` and up to `upto`. `as_of`: every change acknowledged by then
    is among those up to `upto`. `trust_list` is the version of the newest trust list when it was made.
    """

    issuer: str
    issued_at: int
    expires_at: int
    number: int
    after: int
    upto: int
    previous: str
    as_of: int
    trust_list: int
    changes: tuple[Change, ...] = field(repr=False)

    def claims(self) -> dict[str, object]:
        """As the JWS has them, in the order in which this house writes them."""
        values = (
            *(self.issuer, self.issued_at, self.expires_at, self.number, self.after, self.upto, self.previous),
            *(self.as_of, self.trust_list, jose.b64url_encode(pack(self.changes))),
        )
        return dict(zip(_MEMBERS, values, strict=True))


@dataclass(frozen=True, slots=True)
class SealedDelta:
    """A delta whose outside was read and whose payload was not: verify the signature, then `open` it."""

    kid: str
    jws: CompactJws = field(repr=False)

    @property
    def digest(self) -> str:
        """What the next delta calls this one."""
        return digest_of(self.jws.signing_input)

    def open(self) -> StatusDelta:
        """What it says. Raises `InvalidInput` `bad_status_delta`."""
        try:
            return _read(jose.parse_json(self.jws.payload, limit=LIMIT, max_depth=1))
        except InvalidInput as error:
            raise InvalidInput("bad_status_delta", error.detail) from None


def draft(delta: StatusDelta, kid: str, algorithm: Algorithm = Algorithm.ES256) -> UnsignedJws:
    """The unsigned delta. Raises `InvalidInput` `bad_status_delta` for what a verifier would refuse to read."""
    claims = delta.claims()
    _read(claims)
    header = {"alg": algorithm.value, "kid": kid, "typ": TYP}
    return UnsignedJws(jose.compact_signing_input(header, claims))


def sealed(token: str) -> SealedDelta:
    """The outside of a delta. Raises `InvalidInput`: `bad_status_delta`, `wrong_type`, `algorithm_not_allowed`."""
    try:
        jws = jose.parse_compact(token, typ=TYP, limit=LIMIT)
    except InvalidInput as error:
        if error.code == "bad_jws":
            raise InvalidInput("bad_status_delta", error.detail) from None
        raise
    kid = jws.header.get("kid")
    if type(kid) is not str or not kid or len(jws.header) != 3:
        raise InvalidInput("bad_status_delta", "want the headers alg, kid and typ, and nothing else")
    return SealedDelta(kid, jws)


def digest_of(signing_input: bytes) -> str:
    """base64url of SHA-256 over header and claims as signed, without the signature."""
    return jose.b64url_encode(hashlib.sha256(signing_input).digest())


def pack(changes: Iterable[Change]) -> bytes:
    """Changes, in the order of their places, as one number each: four times the gap to the place before, and the value.

    The gap is the number of places left out. A number is written seven bits a byte, the lowest first, the top bit set
    in all bytes but the last (unsigned LEB128). Raises `InvalidInput` `bad_status_delta` for what has no place or
    order.
    """
    packed, before = bytearray(), -1
    for list_id, index, value in changes:
        place = list_id * LIST_SIZE + index
        if not (0 <= list_id <= MAX_LIST and 0 <= index < LIST_SIZE and 0 <= value <= 2 and place > before):
            raise InvalidInput("bad_status_delta", "a change without a place, out of order or of an unknown value")
        number, before = (place - before - 1) << 2 | value, place
        while number > 0x7F:
            packed.append(number & 0x7F | 0x80)
            number >>= 7
        packed.append(number)
    return bytes(packed)


def unpack(data: bytes) -> tuple[Change, ...]:
    """Inverse of `pack`; exactly one sequence of bytes is accepted for given changes.

    Raises `InvalidInput` `bad_status_delta`.
    """
    changes: list[Change] = []
    place, number, shift = -1, 0, 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte & 0x80:
            if shift >= 7 * _LONGEST:
                raise InvalidInput("bad_status_delta", "a number that is too long")
            continue
        value, place = number & 3, place + 1 + (number >> 2)
        if (byte == 0 and shift > 7) or value == 3 or place > MAX_LIST * LIST_SIZE + LIST_SIZE - 1:
            raise InvalidInput("bad_status_delta", "a number with a longer spelling, or a change that cannot be")
        changes.append((place // LIST_SIZE, place % LIST_SIZE, value))
        number = shift = 0
    if shift:
        raise InvalidInput("bad_status_delta", "cut short within a number")
    return tuple(changes)


def _read(claims: object) -> StatusDelta:
    if type(claims) is not dict or claims.keys() != set(_MEMBERS):
        raise InvalidInput("bad_status_delta", "members are missing, or there are others")
    issuer, previous, packed = claims["iss"], claims["prev"], claims["changes"]
    if type(issuer) is not str or not 1 <= len(issuer) <= 512:
        raise InvalidInput("bad_status_delta", "iss is no name")
    if type(previous) is not str or not _DIGEST.fullmatch(previous) or type(packed) is not str:
        raise InvalidInput("bad_status_delta", "prev is no digest, or changes no text")
    names = ("iat", "exp", "n", "from", "to", "as_of", "trust_list")
    if not all(type(claims[name]) is int and 0 <= claims[name] <= _MAX_INTEGER for name in names):
        raise InvalidInput("bad_status_delta", "want whole numbers")
    delta = StatusDelta(
        issuer=issuer,
        issued_at=claims["iat"],
        expires_at=claims["exp"],
        number=claims["n"],
        after=claims["from"],
        upto=claims["to"],
        previous=previous,
        as_of=claims["as_of"],
        trust_list=claims["trust_list"],
        changes=unpack(jose.b64url_decode(packed)),
    )
    if not (delta.as_of <= delta.issued_at and delta.as_of < delta.expires_at <= MAX_NUMERIC_DATE):
        raise InvalidInput("bad_status_delta", "iat, exp and as_of do not make sense")
    if delta.number < 1 or delta.after > delta.upto or (delta.previous == FIRST) != (delta.number == 1):
        raise InvalidInput("bad_status_delta", "n, from, to and prev do not make sense")
    # An event names one entry; more changes than events, or changes without any, were made up.
    if len(delta.changes) > min(MAX_CHANGES, delta.upto - delta.after):
        raise InvalidInput("bad_status_delta", "more changes than events")
    return delta
