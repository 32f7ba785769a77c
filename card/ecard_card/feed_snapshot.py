"""A snapshot of what a feed's events come to: one signed manifest, and chunks that it names by length and SHA-256.

`docs/formats/feed-snapshot.md` is this module as a page. Nothing here believes anything: verify the manifest, compare
each chunk with it, and only then read the chunk.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ecard_card import jose, status_delta
from ecard_card.algorithm import Algorithm
from ecard_card.credential import MAX_NUMERIC_DATE
from ecard_card.errors import CheckFailed, InvalidInput
from ecard_card.jose import CompactJws, UnsignedJws
from ecard_card.status_delta import Change

TYP: Final = "feed-snapshot+jwt"
#: Characters of a manifest, chunks that one may name, and bytes of a chunk.
LIMIT: Final = 4 << 20
MAX_CHUNKS: Final = 32_768
MAX_CHUNK: Final = 1 << 20
#: Statuses in a chunk, and its bytes: they grow a hundred times when they are read.
MAX_STATUSES: Final = 32_768
MAX_STATUS_CHUNK: Final = 8 * MAX_STATUSES
#: Bytes of a compact credential; an event holds none that is longer.
MAX_CREDENTIAL: Final = 1536
#: Bytes of a denied key: thumbprint and cut-off.
_DENIED: Final = 32 + 8
_MAX_INTEGER: Final = 2**53 - 1
_DIGEST: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_MEMBERS: Final = ("iss", "iat", "stream", "n", "status_uri", "seq", "digest", "as_of")


class Kind(StrEnum):
    """What a chunk holds. Chunks are counted in this order."""

    CREDENTIALS = "credentials"
    STATUSES = "statuses"
    DENIED_KEYS = "denied_keys"


_LONGEST: Final = {
    Kind.CREDENTIALS: MAX_CHUNK,
    Kind.STATUSES: MAX_STATUS_CHUNK,
    Kind.DENIED_KEYS: MAX_CHUNK,
}


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a manifest says of a chunk: its kind, its bytes, and base64url of their SHA-256."""

    kind: Kind
    length: int
    sha256: str

    @classmethod
    def of(cls, kind: Kind, data: bytes) -> Chunk:
        """What to say of `data`."""
        return cls(kind, len(data), _sha256(data))

    def require(self, data: bytes) -> None:
        """Raises `CheckFailed` `feed_snapshot_altered` unless `data` is this chunk."""
        if len(data) != self.length or _sha256(data) != self.sha256:
            raise CheckFailed("feed_snapshot_altered", "a chunk is not the one that the manifest names")


#: Thumbprint (SHA-256 of RFC 7638), and the NumericDate after which its signatures are void; 0: all of them are.
DeniedKey = tuple[bytes, int]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot says of itself, not yet verified. Times are NumericDates.

    It is the fold of the events of `stream` up to number `seq`, whose digest is `digest`. `as_of`: every change that
    was acknowledged by then is among them. `number` counts the issuer's snapshots.
    """

    issuer: str
    issued_at: int
    stream: str
    number: int
    status_uri: str
    seq: int
    digest: str
    as_of: int
    chunks: tuple[Chunk, ...] = field(repr=False)

    def claims(self) -> dict[str, object]:
        """As the JWS has them, in the order in which this house writes them."""
        values = (
            *(self.issuer, self.issued_at, self.stream, self.number, self.status_uri),
            *(self.seq, self.digest, self.as_of),
        )
        named = {
            kind.value: [[chunk.length, chunk.sha256] for chunk in self.chunks if chunk.kind is kind] for kind in Kind
        }
        return dict(zip(_MEMBERS, values, strict=True)) | named


@dataclass(frozen=True, slots=True)
class SealedManifest:
    """A manifest whose outside was read and whose payload was not: verify the signature, then `open` it."""

    kid: str
    jws: CompactJws = field(repr=False)

    @property
    def digest(self) -> str:
        """What the feed calls it: base64url of SHA-256 over header and claims as signed, without the signature."""
        return _sha256(self.jws.signing_input)

    def open(self) -> Manifest:
        """What it says. Raises `InvalidInput` `bad_feed_snapshot`."""
        try:
            return _read(jose.parse_json(self.jws.payload, limit=LIMIT, max_depth=3, max_items=4 * MAX_CHUNKS))
        except InvalidInput as error:
            raise InvalidInput("bad_feed_snapshot", error.detail) from None


def draft(manifest: Manifest, kid: str, algorithm: Algorithm = Algorithm.ES256) -> UnsignedJws:
    """The unsigned manifest. Raises `InvalidInput` `bad_feed_snapshot` for what a verifier would refuse to read."""
    claims = manifest.claims()
    _read(claims)
    return UnsignedJws(
        jose.compact_signing_input({"alg": algorithm.value, "kid": kid, "typ": TYP}, claims),
    )


def sealed(token: str) -> SealedManifest:
    """The outside of a manifest. Raises `InvalidInput`: `bad_feed_snapshot`, `wrong_type`, `algorithm_not_allowed`."""
    try:
        jws = jose.parse_compact(token, typ=TYP, limit=LIMIT)
    except InvalidInput as error:
        if error.code == "bad_jws":
            raise InvalidInput("bad_feed_snapshot", error.detail) from None
        raise
    kid = jws.header.get("kid")
    if type(kid) is not str or not kid or len(jws.header) != 3:
        raise InvalidInput("bad_feed_snapshot", "want the headers alg, kid and typ, and nothing else")
    return SealedManifest(kid, jws)


def credential_chunks(credentials: Iterable[bytes]) -> Iterator[bytes]:
    """Compact credentials, each after its length in two bytes, in chunks that are as long as they may be."""
    held = bytearray()
    for data in credentials:
        if not 1 <= len(data) <= MAX_CREDENTIAL:
            raise InvalidInput("bad_feed_snapshot", "a credential that no event could hold")
        if len(held) + 2 + len(data) > MAX_CHUNK:
            yield bytes(held)
            held.clear()
        held += len(data).to_bytes(2, "big") + data
    if held:
        yield bytes(held)


def read_credentials(chunk: bytes) -> Iterator[bytes]:
    """Inverse of `credential_chunks`, for one chunk. Raises `InvalidInput` `bad_feed_snapshot`, perhaps late."""
    place, end = 0, len(chunk)
    while place < end:
        start = place + 2
        place = start + int.from_bytes(chunk[place:start], "big")
        if not start < place <= min(end, start + MAX_CREDENTIAL):
            raise InvalidInput("bad_feed_snapshot", "a credential is cut short, or of no length")
        yield chunk[start:place]


def status_chunks(statuses: Iterable[Change]) -> Iterator[bytes]:
    """List number, index and value of entries, in the order of their places, packed as a status delta packs them."""
    held: list[Change] = []
    for entry in statuses:
        held.append(entry)
        if len(held) == MAX_STATUSES:
            yield status_delta.pack(held)
            held.clear()
    if held:
        yield status_delta.pack(held)


def read_statuses(chunk: bytes) -> tuple[Change, ...]:
    """Inverse of `status_chunks`, for one chunk. Raises `InvalidInput` `bad_feed_snapshot`."""
    try:
        return status_delta.unpack(chunk)
    except InvalidInput as error:
        raise InvalidInput("bad_feed_snapshot", error.detail) from None


def denied_chunks(keys: Iterable[DeniedKey]) -> Iterator[bytes]:
    """Denied keys, each a thumbprint of 32 bytes and its cut-off in 8."""
    held = bytearray()
    for thumbprint, cut_off in keys:
        if len(held) + _DENIED > MAX_CHUNK:
            yield bytes(held)
            held.clear()
        held += thumbprint + cut_off.to_bytes(8, "big")
    if held:
        yield bytes(held)


def read_denied(chunk: bytes) -> Iterator[DeniedKey]:
    """Inverse of `denied_chunks`, for one chunk. Raises `InvalidInput` `bad_feed_snapshot`."""
    if len(chunk) % _DENIED:
        raise InvalidInput("bad_feed_snapshot", "a denied key is cut short")
    for place in range(0, len(chunk), _DENIED):
        cut_off = int.from_bytes(chunk[place + 32 : place + _DENIED], "big")
        if cut_off > _MAX_INTEGER:
            raise InvalidInput("bad_feed_snapshot", "a cut-off that is no time")
        yield chunk[place : place + 32], cut_off


def _sha256(data: bytes) -> str:
    return jose.b64url_encode(hashlib.sha256(data).digest())


def _read(claims: object) -> Manifest:
    if type(claims) is not dict or claims.keys() != {*_MEMBERS, *Kind}:
        raise InvalidInput("bad_feed_snapshot", "members are missing, or there are others")
    for name in ("iss", "stream", "status_uri"):
        if type(claims[name]) is not str or not 1 <= len(claims[name]) <= 512:
            raise InvalidInput("bad_feed_snapshot", f"{name} is no name")
    if type(claims["digest"]) is not str or not _DIGEST.fullmatch(claims["digest"]):
        raise InvalidInput("bad_feed_snapshot", "digest is no digest")
    names = ("iat", "n", "seq", "as_of")
    if not all(type(claims[name]) is int and 0 <= claims[name] <= _MAX_INTEGER for name in names):
        raise InvalidInput("bad_feed_snapshot", "want whole numbers")
    manifest = Manifest(
        issuer=claims["iss"],
        issued_at=claims["iat"],
        stream=claims["stream"],
        number=claims["n"],
        status_uri=claims["status_uri"],
        seq=claims["seq"],
        digest=claims["digest"],
        as_of=claims["as_of"],
        chunks=tuple(_chunk(kind, item) for kind in Kind for item in _list(claims[kind])),
    )
    if len(manifest.chunks) > MAX_CHUNKS:
        raise InvalidInput("bad_feed_snapshot", "more chunks than allowed")
    if manifest.number < 1 or manifest.seq < 1 or not manifest.as_of <= manifest.issued_at <= MAX_NUMERIC_DATE:
        raise InvalidInput("bad_feed_snapshot", "n, seq, iat and as_of do not make sense")
    return manifest


def _list(value: object) -> list[object]:
    if type(value) is not list:
        raise InvalidInput("bad_feed_snapshot", "chunks are not a list")
    return value


def _chunk(kind: Kind, item: object) -> Chunk:
    match item:
        case [int(length), str(sha256)] if (
            type(length) is int and 1 <= length <= _LONGEST[kind] and _DIGEST.fullmatch(sha256)
        ):
            return Chunk(kind, length, sha256)
    raise InvalidInput("bad_feed_snapshot", "a chunk without length or digest, or too long")
