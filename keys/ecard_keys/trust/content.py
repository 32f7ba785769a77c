"""What a trust list says: issuers, their regions, status hosts and keys; and its one canonical JSON form.

Reading is forgiving towards single entries and strict about the whole: an issuer or key that this version does not
understand (another key type, a purpose or state yet to be invented) is skipped and counted and hides no other.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.errors import InvalidInput
from ecard_keys.key import MAX_INTEGER, UNPUBLISHED, KeyPurpose, KeyRecord, KeyState
from ecard_keys.status_uri import overlapping

MAX_ISSUERS = 1024
MAX_KEYS = 64  # of one issuer

#: What signs documents of issuers. ML-DSA-65 is for root keys, which the list does not name.
_ALGORITHMS = frozenset({Algorithm.ES256, Algorithm.SM2})
_TEXT = re.compile(r"[\x21-\x7e]{1,512}")
_REGION = re.compile(r"[0-9]{6}")


@dataclass(frozen=True, slots=True)
class IssuerEntry:
    """One issuer: its identifier, where its status lists are, the regions it may sign for, its keys.

    `status_uri` is a template with `{list}` for the list's number. Raises `InvalidInput` `bad_issuer_entry`.
    """

    issuer: str
    status_uri: str
    regions: tuple[str, ...]  # six digits of GB/T 2260 each
    keys: tuple[KeyRecord, ...]

    def __post_init__(self) -> None:
        if not _TEXT.fullmatch(self.issuer) or not _TEXT.fullmatch(self.status_uri):
            raise InvalidInput("bad_issuer_entry", "issuer and status address are 1 to 512 printable ASCII characters")
        if self.status_uri.count("{list}") != 1 or not self.status_uri.startswith(("https://", "http://")):
            raise InvalidInput("bad_issuer_entry", "the status address is an http(s) URI with one {list}")
        if len(self.regions) > 4096 or not all(_REGION.fullmatch(region) for region in self.regions):
            raise InvalidInput("bad_issuer_entry", "a region is six digits")
        if len(self.keys) > MAX_KEYS:
            raise InvalidInput("bad_issuer_entry", "too many keys")


@dataclass(frozen=True, slots=True)
class TrustList:
    """What the roots signed. Times are NumericDates.

    `previous` is the predecessor's `digest`, None only in version 1. Raises `InvalidInput` `bad_trust_list`.
    """

    version: int
    issued_at: int
    expires_at: int
    previous: str | None
    issuers: tuple[IssuerEntry, ...]
    root_version: int = 1
    skipped: int = field(default=0, compare=False)  # entries of the document that this reader did not understand
    signed_digest: str | None = field(default=None, compare=False, repr=False)  # of a list read from a document

    def __post_init__(self) -> None:
        numbers = (self.version, self.issued_at, self.expires_at, self.root_version)
        if not all(type(number) is int and 0 <= number <= MAX_INTEGER for number in numbers):
            raise InvalidInput("bad_trust_list", "version and times are whole numbers from 0 to 2^53-1")
        if self.version < 1 or self.root_version < 1 or self.expires_at <= self.issued_at:
            raise InvalidInput("bad_trust_list", "versions count from 1, and a list expires after it was issued")
        if (self.previous is None) != (self.version == 1):
            raise InvalidInput("bad_trust_list", "every list but the first names its predecessor")
        if self.previous is not None and len(jose.b64url_decode(self.previous)) != 32:
            raise InvalidInput("bad_trust_list", "the predecessor is named by a SHA-256")
        if len(self.issuers) > MAX_ISSUERS or len({entry.issuer for entry in self.issuers}) != len(self.issuers):
            raise InvalidInput("bad_trust_list", "too many issuers, or one issuer twice")

    @property
    def digest(self) -> str:
        """base64url SHA-256 of the signed payload: what a successor names as `previous`.

        Of the payload and not of the document, so that it does not depend on which of the roots signed.
        """
        return self.signed_digest or digest_of(encode(self))


def encode(trust_list: TrustList) -> bytes:
    """The canonical payload. Raises `InvalidInput` `bad_trust_list` for a list that was read with entries skipped:
    written again it would silently lose them; and for one that takes an issuer's keys away by naming them twice, or by
    a status template over another's."""
    if trust_list.skipped:
        raise InvalidInput("bad_trust_list", "this list has entries that this version cannot write")
    keys = [record.public for entry in trust_list.issuers for record in entry.keys]
    if len(set(keys)) != len(keys) or overlapping([entry.status_uri for entry in trust_list.issuers]):
        raise InvalidInput("bad_trust_list", "a key stands twice, or templates overlap: readers would use none of them")
    content: dict[str, object] = {
        "version": trust_list.version,
        "root": trust_list.root_version,
        "iat": trust_list.issued_at,
        "exp": trust_list.expires_at,
        "issuers": [
            {
                "iss": entry.issuer,
                "status_uri": entry.status_uri,
                "regions": list(entry.regions),
                "keys": [_write_key(record) for record in entry.keys],
            }
            for entry in trust_list.issuers
        ],
    }
    if trust_list.previous is not None:
        content["previous"] = trust_list.previous
    return canonical_json(content)


def decode(payload: bytes, *, limit: int) -> TrustList:
    """Inverse of `encode`, for a payload whose signatures hold. Raises `InvalidInput`: not canonical, or the whole
    (not a single entry) is outside its bounds. Unknown members are left alone, for later versions."""
    content = jose.parse_json(payload, limit=limit)
    if not isinstance(content, dict) or canonical_json(content) != payload:
        raise InvalidInput("bad_trust_list", "not a canonical JSON object")
    listed = content.get("issuers")
    if not isinstance(listed, list) or len(listed) > MAX_ISSUERS:
        raise InvalidInput("bad_trust_list", "issuers is no list, or too long")
    issuers: list[IssuerEntry] = []
    skipped = 0
    for value in listed:
        try:
            entry, odd = _read_issuer(value)
        except (InvalidInput, KeyError, TypeError, ValueError):
            skipped += 1
            continue
        issuers.append(entry)
        skipped += odd
    previous = content.get("previous")
    if previous is not None and not isinstance(previous, str):
        raise InvalidInput("bad_trust_list", "previous is no text")
    return TrustList(
        version=_whole(content.get("version")),
        issued_at=_whole(content.get("iat")),
        expires_at=_whole(content.get("exp")),
        previous=previous,
        issuers=tuple(issuers),
        root_version=_whole(content.get("root")),
        skipped=skipped,
        signed_digest=digest_of(payload),
    )


def canonical_json(value: object) -> bytes:
    """Sorted members, no white space, UTF-8: RFC 8785 for the strings and whole numbers used here."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_of(payload: bytes) -> str:
    """base64url SHA-256 of a payload."""
    return jose.b64url_encode(hashlib.sha256(payload).digest())


def _write_key(record: KeyRecord) -> dict[str, object]:
    if record.algorithm not in _ALGORITHMS or record.state in UNPUBLISHED:
        raise InvalidInput("bad_trust_list", "a list names keys of ES256 and SM2, once published and never destroyed")
    content: dict[str, object] = {
        **jose.jwk_of(record.public, Algorithm(record.algorithm)),
        "alg": str(record.algorithm),
        "kid": record.kid,
        "purpose": record.purpose.value,
        "state": record.state.value,
        "nbf": record.not_before,
    }
    if record.retired_from is not None:
        content["retired_from"] = record.retired_from
    if record.compromised_from is not None:
        content["compromised_from"] = record.compromised_from
    if record.user_id is not None:
        content["user_id"] = jose.b64url_encode(record.user_id)
    return content


def _read_issuer(value: object) -> tuple[IssuerEntry, int]:
    """The entry and how many of its keys were skipped."""
    fields = _members(value)
    keys, regions = fields["keys"], fields["regions"]
    if not isinstance(keys, list) or not isinstance(regions, list) or len(keys) > MAX_KEYS:
        raise InvalidInput("bad_issuer_entry", "keys and regions are lists")
    records = []
    for key in keys:
        try:
            records.append(_read_key(key))
        except (InvalidInput, KeyError, TypeError, ValueError):
            continue
    issuer, status_uri = _text(fields["iss"]), _text(fields["status_uri"])
    entry = IssuerEntry(issuer, status_uri, tuple(_text(region) for region in regions), tuple(records))
    return entry, len(keys) - len(records)


def _read_key(value: object) -> KeyRecord:
    fields = _members(value)
    algorithm, public = jose.parse_jwk(value)
    state = KeyState(_text(fields["state"]))
    if algorithm not in _ALGORITHMS or _text(fields["alg"]) != algorithm or state in UNPUBLISHED:
        raise InvalidInput("bad_key_record", "an algorithm, or a state, that no list may name")
    # Else anybody's key could be listed under anybody's kid, and one can be found for each signature that it holds for.
    if _text(fields["kid"]) != jose.key_id(public, algorithm):
        raise InvalidInput("bad_key_record", "the kid is not that of the key")
    retired_from, compromised_from = fields.get("retired_from"), fields.get("compromised_from")
    user_id = jose.b64url_decode(_text(fields["user_id"])) if algorithm is Algorithm.SM2 else None
    return KeyRecord(
        kid=_text(fields["kid"]),
        purpose=KeyPurpose(_text(fields["purpose"])),
        state=state,
        algorithm=algorithm,
        public=public,
        not_before=_whole(fields["nbf"]),
        retired_from=None if retired_from is None else _whole(retired_from),
        compromised_from=None if compromised_from is None else _whole(compromised_from),
        user_id=user_id,
    )


def _members(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise InvalidInput("bad_trust_list", "want an object")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidInput("bad_trust_list", "want a text")
    return value


def _whole(value: object) -> int:
    if type(value) is not int:
        raise InvalidInput("bad_trust_list", "want a whole number")
    return value
