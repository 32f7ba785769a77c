"""Judging drafts before they are signed: each is read as a stranger's, rebuilt from what was read, and compared.

What is signed is therefore what this house writes, byte for byte: no unknown member, no second spelling, no bytes that
happen to mean something elsewhere. Two things are taken as sent, because they cannot be read here: the digests of
disclosures (the claims behind them stay with the issuer) and how a status list is compressed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ecard_card import cbor, cose, jose
from ecard_card.algorithm import Algorithm
from ecard_card.credential import card_type
from ecard_card.errors import InvalidInput

#: How far `iat` may be from the desk's clock, in seconds.
MAX_AGE: Final = 600
COSE_PREFIX: Final = b"\x84jSignature1"
NO_SIGNATURE: Final = bytes(64)
_NO_SIGNATURE_TEXT: Final = "." + jose.b64url_encode(NO_SIGNATURE)


@dataclass(frozen=True, slots=True)
class SigningRules:
    """What may be signed for one issuer.

    `status_uri` is the template of its status lists, `regions` the codes (GB/T 2260) whose cards it may issue for,
    with the wildcards of `ecard_card.region.covers`; none means no card at all. A `test` issuer signs marked test cards
    and nothing else, every other one none.
    """

    issuer: str
    status_uri: str
    regions: tuple[str, ...]
    longest_validity: timedelta = timedelta(days=3650)
    longest_list_life: timedelta = timedelta(days=7)
    test: bool = False

    @property
    def vct(self) -> str:
        """The one credential type that may be signed."""
        return card_type(self.issuer)


@dataclass(frozen=True, slots=True)
class Signatory:
    """The key that is asked to sign."""

    key_id: str
    algorithm: Algorithm


def refused(rule: str, why: str) -> InvalidInput:
    """The error for a draft that breaks `rule`."""
    return InvalidInput("draft_refused", f"{rule}: {why}")


def require(condition: bool, rule: str, why: str) -> None:
    """Raise `refused` unless `condition`."""
    if not condition:
        raise refused(rule, why)


def require_time(issued_at: int, now: datetime) -> None:
    """Refuse what is not dated about now."""
    require(abs(issued_at - int(now.timestamp())) <= MAX_AGE, "clock", "iat is more than ten minutes off")


def require_header(header: Mapping[str, object], typ: str, signatory: Signatory) -> None:
    """Refuse a JWS header that is not ours for this key."""
    require(header.get("kid") == signatory.key_id, "key", "the draft names another key")
    require(header.get("alg") == signatory.algorithm, "algorithm", "the draft names another algorithm than its key's")
    require(header == {"alg": signatory.algorithm, "typ": typ, "kid": signatory.key_id}, "form", "a foreign header")


def as_jws(draft: bytes) -> str:
    """The signing input as a compact JWS with a signature of zeros, for the parsers of `ecard_card`."""
    if not draft.isascii():
        raise InvalidInput("bad_jws", "not ASCII")
    return draft.decode("ascii") + _NO_SIGNATURE_TEXT


def as_sign1(draft: bytes, external_aad: bytes, limit: int) -> bytes:
    """The Sig_structure as a COSE_Sign1 with a signature of zeros. Raises `InvalidInput` `bad_cose`."""
    protected, aad, payload = sig_structure(draft, limit)
    if aad != external_aad:
        raise InvalidInput("bad_cose", "a Sig_structure of another kind of message")
    return cose.encode_sign1(protected, payload, NO_SIGNATURE)


def sig_structure(draft: bytes, limit: int) -> tuple[bytes, bytes, bytes]:
    """Protected header, external data and payload of a Sig_structure. Raises `InvalidInput` `bad_cose`."""
    match cbor.decode(draft, limit=limit, max_depth=1):
        case ["Signature1", bytes(protected), bytes(aad), bytes(payload)]:
            return protected, aad, payload
    raise InvalidInput("bad_cose", "not a Sig_structure")


def jws_payload(draft: bytes, limit: int) -> dict[str, object]:
    """The claims of a JWS signing input, which was parsed before. Raises `InvalidInput`."""
    claims = jose.parse_json(jose.b64url_decode(draft.partition(b".")[2].decode()), limit=limit)
    if type(claims) is not dict:
        raise InvalidInput("bad_jws", "the payload is not an object")
    return claims


def jws_with(frame: bytes, name: str, value: object) -> bytes:
    """Our own signing input `frame` with one claim replaced by what could not be rebuilt."""
    head, _, body = frame.partition(b".")
    claims = jose.parse_json(jose.b64url_decode(body.decode()))
    assert type(claims) is dict  # noqa: S101 - `frame` is ours
    claims[name] = value
    return head + b"." + jose.b64url_encode(jose.dump_json(claims)).encode()


def cose_with(frame: bytes, name: int, value: object) -> bytes:
    """As `jws_with`, for a Sig_structure."""
    protected, aad, payload = sig_structure(frame, len(frame))
    claims = cbor.decode(payload)
    assert type(claims) is dict  # noqa: S101 - `frame` is ours
    claims[name] = value
    return cose.signing_input(protected, cbor.encode(claims), aad)
