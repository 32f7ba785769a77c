"""Strict reading of compact JWS (RFC 7515 §7.1), JSON and JWK, before any verification.

Libraries accept more than we want to see: duplicate members, unused headers, padding, other types. Whatever is
verified later was read here first, so all of it means one thing only.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from ecard_card.algorithm import JWK_CURVE, Algorithm
from ecard_card.errors import InvalidInput

_HEADER_MEMBERS: Final = frozenset({"alg", "typ", "kid", "x5c"})
_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})
_THUMBPRINT_MEMBERS: Final = {
    "EC": ("crv", "kty", "x", "y"),
    "RSA": ("e", "kty", "n"),
    "OKP": ("crv", "kty", "x"),
    "AKP": ("alg", "kty", "pub"),  # RFC 9964 §6
}


@dataclass(slots=True)  # not frozen: several are made in each check, and freezing costs a microsecond each
class CompactJws:
    """A JWS as read, not yet verified."""

    header: Mapping[str, object]
    payload: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    signing_input: bytes = field(repr=False)

    @property
    def algorithm(self) -> Algorithm:
        """What the header says it was signed with."""
        return Algorithm.SM2 if self.header.get("alg") == "SM2" else Algorithm.ES256


_ALGORITHMS: Final = ("ES256", "SM2")


def parse_compact(token: str, *, typ: str, limit: int = 65536) -> CompactJws:
    """Reads a JWS of at most `limit` characters, signed by ES256 or SM2, whose `typ` is exactly `typ`.

    Which of the two is for the caller to compare with the key that judges it: a header never chooses an algorithm.

    Raises `InvalidInput`: `bad_jws` (form, encoding, or a header member other than alg, typ, kid and x5c),
    `wrong_type`, `algorithm_not_allowed`.
    """
    if type(token) is not str or len(token) > limit or token.count(".") != 2:
        raise InvalidInput("bad_jws", "not three parts of the allowed size")
    head, body, tail = token.split(".")
    header = _read_header(head) if len(head) > _SHORT_HEADER else _short_header(head)
    if header.get("alg") not in _ALGORITHMS:
        raise InvalidInput("algorithm_not_allowed", "only ES256 and SM2 are allowed")
    if header.get("typ") != typ:
        raise InvalidInput("wrong_type", "a token of another type")
    try:
        payload = b64url_decode(body)
        signature = b64url_decode(tail)
    except InvalidInput as error:
        raise InvalidInput("bad_jws", error.detail) from None
    if len(signature) != 64:
        raise InvalidInput("bad_jws", "the signature is not 64 bytes")
    return CompactJws(header, payload, signature, token[: -len(tail) - 1].encode())


def _read_header(head: str) -> Mapping[str, object]:
    try:
        header = parse_json(b64url_decode(head), limit=16384, max_depth=3)
    except InvalidInput as error:
        raise InvalidInput("bad_jws", error.detail) from None
    if type(header) is not dict or not _HEADER_MEMBERS.issuperset(header):
        raise InvalidInput("bad_jws", "the header has members other than alg, typ, kid and x5c")
    kid = header.get("kid", "")
    if type(kid) is not str or len(kid) > 256:
        raise InvalidInput("bad_jws", "kid is not a short text")
    if "x5c" in header:
        chain = header["x5c"]
        if type(chain) is not list or not 1 <= len(chain) <= 8 or any(type(item) is not str for item in chain):
            raise InvalidInput("bad_jws", "x5c is not a list of one to eight certificates")
    return MappingProxyType(header)


#: A header without certificates is the same text in most tokens of a signer, so the last few are remembered.
_SHORT_HEADER: Final = 256
_short_header = lru_cache(maxsize=64)(_read_header)


def compact_signing_input(header: Mapping[str, object], payload: Mapping[str, object]) -> bytes:
    """BASE64URL(header) "." BASE64URL(payload), both as compact JSON in the order given (RFC 7515 §5.1)."""
    return f"{b64url_encode(dump_json(header))}.{b64url_encode(dump_json(payload))}".encode()


@dataclass(frozen=True, slots=True)
class UnsignedJws:
    """A compact JWS that lacks its signature."""

    signing_input: bytes = field(repr=False)

    def complete(self, signature: bytes) -> str:
        """The finished JWS; `signature` is raw r||s, 64 bytes."""
        return f"{self.signing_input.decode()}.{b64url_encode(signature)}"


def dump_json(value: object) -> bytes:
    """Compact UTF-8 JSON, members in the order given."""
    return _ENCODER.encode(value).encode()


_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def parse_json(data: bytes, *, limit: int = 65536, max_depth: int = 16, max_items: int | None = None) -> object:
    """The value of UTF-8 JSON text of at most `limit` bytes and `max_depth` containers deep.

    `max_items` bounds containers and commas, texts included: a large document of few long texts needs it, lest four
    megabytes of brackets become a hundred of objects.

    Raises `InvalidInput` `bad_json`, also for duplicate members, NaN, infinities and halves of surrogate pairs.
    """
    if len(data) > limit:
        raise InvalidInput("bad_json", "larger than allowed")
    if max_items is not None and data.count(b"{") + data.count(b"[") + data.count(b",") > max_items:
        raise InvalidInput("bad_json", "more parts than allowed")
    try:
        value = _read_json(data.decode())
        if b"\\u" in data:  # only an escape can bring in half of a surrogate pair
            dump_json(value)
    except (ValueError, RecursionError):
        raise InvalidInput("bad_json", "not JSON, or JSON that can be read in two ways") from None
    # Counting brackets bounds the depth of most texts without a walk.
    if data.count(b"{") + data.count(b"[") > max_depth and _deeper(value, max_depth):
        raise InvalidInput("bad_json", "nested too deeply")
    return value


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member twice")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def _refuse_constant(text: str) -> object:
    raise ValueError("NaN or infinity")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_no_duplicates, parse_float=_finite, parse_constant=_refuse_constant
)


def _read_json(text: str) -> object:
    if text[:1] in "{[":
        value: object
        value, end = _DECODER.raw_decode(text)
        if end == len(text):
            return value
    # Does the same once more and allows for white space around, which costs as much as a short text itself.
    return _DECODER.decode(text)


def _deeper(value: object, max_depth: int) -> bool:
    """Whether `value` holds containers nested more than `max_depth` deep."""
    level = [value]
    for _ in range(max_depth):
        inner: list[object] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        level = inner
    return any(isinstance(item, dict | list) for item in level)


_TO_STANDARD: Final = bytes.maketrans(b"-_+/=", b"+/!!!")
_FROM_STANDARD: Final = bytes.maketrans(b"+/", b"-_")
# The characters that may come last, by length modulo 4: those whose unused bits are zero (RFC 4648 §3.5).
_LAST: Final = {2: "AQgw", 3: "AEIMQUYcgkosw048"}
_PADDING: Final = {0: b"", 2: b"==", 3: b"="}


def b64url_encode(data: bytes) -> str:
    """Base64url without padding (RFC 7515 §2)."""
    return binascii.b2a_base64(data, newline=False).translate(_FROM_STANDARD).rstrip(b"=").decode()


def b64url_decode(text: str) -> bytes:
    """Inverse of `b64url_encode`; exactly one text is accepted for given bytes.

    Raises `InvalidInput` `bad_base64url` for padding, foreign characters and non-zero unused bits.
    """
    rest = len(text) % 4
    try:
        if rest and text[-1] not in _LAST[rest]:
            raise ValueError
        return binascii.a2b_base64(text.encode("ascii").translate(_TO_STANDARD) + _PADDING[rest], strict_mode=True)
    except (KeyError, ValueError):
        raise InvalidInput("bad_base64url", "not canonical base64url without padding") from None


def public_jwk(x: bytes, y: bytes, algorithm: Algorithm = Algorithm.ES256) -> dict[str, str]:
    """The JWK of a public key on P-256 (RFC 7518 §6.2.1) or, with `crv` SM2, for SM2; `x` and `y` are 32 bytes each."""
    return {"kty": "EC", "crv": JWK_CURVE[algorithm], "x": b64url_encode(x), "y": b64url_encode(y)}


def jwk_of(public: bytes, algorithm: Algorithm = Algorithm.ES256) -> dict[str, str]:
    """The public JWK of a key in our own form.

    ES256 and SM2: a 65-byte SEC1 point (`public_jwk`). ML-DSA-65: its 1952 bytes, as `AKP` (RFC 9964 §3). Raises
    `InvalidInput` `bad_jwk` for other forms.
    """
    if algorithm is Algorithm.ML_DSA_65:
        if len(public) != _ML_DSA_65_BYTES:
            raise InvalidInput("bad_jwk", "a public key of ML-DSA-65 has 1952 bytes")
        return {"kty": "AKP", "alg": algorithm.value, "pub": b64url_encode(public)}
    if len(public) != 65 or public[0] != 4:
        raise InvalidInput("bad_jwk", "not an uncompressed point")
    return public_jwk(public[1:33], public[33:], algorithm)


_ML_DSA_65_BYTES: Final = 1952


def parse_public_jwk(value: object) -> bytes:
    """The 65-byte SEC1 point of a P-256 public JWK, as `parse_jwk` reads it; other keys are refused."""
    algorithm, point = parse_jwk(value)
    if algorithm is not Algorithm.ES256:
        raise InvalidInput("bad_jwk", "not a P-256 JWK")
    return point


def parse_jwk(value: object) -> tuple[Algorithm, bytes]:
    """What algorithm a public JWK is for, and the key as `jwk_of` takes it; no point is tried on its curve.

    Raises `InvalidInput` `bad_jwk`, also for a JWK with private members. Other members (`kid`, `use`) are ignored.
    """
    if not isinstance(value, dict):
        raise InvalidInput("bad_jwk", "not a JWK")
    if not _PRIVATE_MEMBERS.isdisjoint(value):
        raise InvalidInput("bad_jwk", "a JWK with private members must never be sent")
    if value.get("kty") == "AKP":
        return Algorithm.ML_DSA_65, _parse_akp(value)
    curve, x, y = value.get("crv"), value.get("x"), value.get("y")
    algorithm = _BY_CURVE.get(curve) if type(curve) is str else None
    if value.get("kty") != "EC" or algorithm is None:
        raise InvalidInput("bad_jwk", "not a key of an algorithm known here")
    # 43 characters are 32 bytes, leading zeros included (RFC 7518 §6.2.1.2).
    if type(x) is not str or type(y) is not str or len(x) != 43 or len(y) != 43:
        raise InvalidInput("bad_jwk", "x and y are not 32 bytes each")
    return algorithm, b"\x04" + _jwk_bytes(x) + _jwk_bytes(y)


_BY_CURVE: Final = {curve: algorithm for algorithm, curve in JWK_CURVE.items()}


def _parse_akp(value: Mapping[str, object]) -> bytes:
    pub = value.get("pub")
    if value.get("alg") != Algorithm.ML_DSA_65 or type(pub) is not str or len(pub) > 2 * _ML_DSA_65_BYTES:
        raise InvalidInput("bad_jwk", "an AKP key that is none of ML-DSA-65")
    public = _jwk_bytes(pub)
    if len(public) != _ML_DSA_65_BYTES:
        raise InvalidInput("bad_jwk", "a public key of ML-DSA-65 has 1952 bytes")
    return public


def _jwk_bytes(text: str) -> bytes:
    try:
        return b64url_decode(text)
    except InvalidInput as error:
        raise InvalidInput("bad_jwk", error.detail) from None


def thumbprint(jwk: Mapping[str, str]) -> bytes:
    """SHA-256 thumbprint of a public JWK (RFC 7638 §3). Raises `InvalidInput` `bad_jwk` where members are missing."""
    members = _THUMBPRINT_MEMBERS.get(jwk.get("kty", ""))
    if members is None or any(type(jwk.get(name)) is not str for name in members):
        raise InvalidInput("bad_jwk", "the members that a thumbprint needs are missing")
    return hashlib.sha256(dump_json({name: jwk[name] for name in members})).digest()


def key_id_of(jwk: Mapping[str, str]) -> str:
    """Our key id: the first eight hex digits of the thumbprint. Short enough for a code; two keys may share one."""
    return thumbprint(jwk).hex()[:8]


def key_id(public: bytes, algorithm: Algorithm = Algorithm.ES256) -> str:
    """`key_id_of` a key in the form that `jwk_of` takes. Raises `InvalidInput` `bad_jwk`."""
    return key_id_of(jwk_of(public, algorithm))
