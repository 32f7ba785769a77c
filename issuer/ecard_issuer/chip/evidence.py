"""The evidence that a chip was there: challenge, reading, answer; and its JSON for storage and for a desk far away.

What a desk sends is hostile input: strict members, bounded sizes, one form per value. The format is written down in
`docs/formats/chip-evidence.md`.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Self

from ecard_card.card import IdentificationCode
from ecard_card.errors import ChipFault, InvalidInput
from ecard_card.jose import dump_json, parse_json
from ecard_issuer.chip.reading import Reading

EVIDENCE_FORMAT: Final = "ecard-chip-evidence/1"
CHALLENGE_FORMAT: Final = "ecard-chip-challenge/1"
MAX_JSON: Final = 16384
NONCE_BYTES: Final = 16
DIGEST_BYTES: Final = 32

_MAX_ID = 128
_MAX_ANSWER = 256
_MAX_RECORDS = 32
_MAX_TIME = 253402300799  # end of the year 9999
_HEX = re.compile(r"(?:[0-9A-F]{2})*")
_TAG = re.compile(r"[0-9A-F]{2}")


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the server asks a chip to answer; fresh per attempt and used once.

    `issued_at` is a NumericDate in seconds. Raises `InvalidInput` `bad_chip_challenge`.
    """

    enrolment_id: str
    terminal_id: str
    issued_at: int
    nonce: bytes

    def __post_init__(self) -> None:
        for text in (self.enrolment_id, self.terminal_id):
            if not 1 <= len(text) <= _MAX_ID or not text.isprintable():
                raise InvalidInput("bad_chip_challenge", "ids have 1 to 128 printable characters")
        if not 0 <= self.issued_at <= _MAX_TIME or len(self.nonce) != NONCE_BYTES:
            raise InvalidInput("bad_chip_challenge", "want a time in seconds and a nonce of 16 bytes")

    @classmethod
    def new(
        cls,
        enrolment_id: str,
        terminal_id: str,
        now: datetime,
        *,
        token_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> Self:
        return cls(enrolment_id, terminal_id, int(now.timestamp()), token_bytes(NONCE_BYTES))

    def digest(self) -> bytes:
        """32 bytes that bind all four parts: SHA-256 over each part behind its two-byte length.

        All that a desk needs. A signature chip signs it as it stands; R1 and R2 of a shared-key chip are its first 16.
        """
        parts = (
            b"ecard-chip-challenge-1",
            self.enrolment_id.encode(),
            self.terminal_id.encode(),
            self.issued_at.to_bytes(8, "big"),
            self.nonce,
        )
        return hashlib.sha256(b"".join(len(part).to_bytes(2, "big") + part for part in parts)).digest()

    def to_json(self) -> str:
        return dump_json(
            {
                "format": CHALLENGE_FORMAT,
                "enrolment_id": self.enrolment_id,
                "terminal_id": self.terminal_id,
                "issued_at": self.issued_at,
                "nonce": _hex(self.nonce),
            }
        ).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Inverse of `to_json`; raises `InvalidInput` `bad_chip_challenge`."""
        try:
            data = _members(_parse(text), {"format", "enrolment_id", "terminal_id", "issued_at", "nonce"})
            issued_at = data["issued_at"]
            if data["format"] != CHALLENGE_FORMAT or type(issued_at) is not int:
                raise _Malformed
            return cls(_text(data["enrolment_id"]), _text(data["terminal_id"]), issued_at, _bytes(data["nonce"], 16))
        except _Malformed:
            raise InvalidInput("bad_chip_challenge", "not a challenge of format ecard-chip-challenge/1") from None


def split_challenge(digest: bytes) -> tuple[bytes, bytes]:
    """R1 (process factor) and R2 (original data), 8 bytes each, cut from a challenge digest of 32 bytes."""
    if len(digest) != DIGEST_BYTES:
        raise InvalidInput("bad_chip_challenge", "a challenge digest has 32 bytes")
    return digest[:8], digest[8:16]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the chip answered, and to which challenge digest the desk says it did."""

    challenge: bytes
    data: bytes

    def __post_init__(self) -> None:
        if len(self.challenge) != DIGEST_BYTES or len(self.data) > _MAX_ANSWER:
            raise ChipFault("chip_answer_malformed", "want a digest of 32 bytes and an answer of at most 256")


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known of a chip: a reading with or without an answer, or only a number that somebody typed.

    Exactly one of `reading` and `declared` is given, and no answer without a reading; else `InvalidInput`
    `bad_chip_evidence`.
    """

    reading: Reading | None = None
    answer: Answer | None = None
    declared: IdentificationCode | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if (self.reading is None) == (self.declared is None) or (self.answer is not None and self.reading is None):
            raise InvalidInput("bad_chip_evidence", "want a reading, with or without an answer, or a declared code")

    def without_holder(self) -> Evidence:
        """What is stored: the same without the holder's records, which the register keeps encrypted elsewhere."""
        return self if self.reading is None else Evidence(self.reading.without_holder(), self.answer)

    def to_json(self) -> str:
        """The JSON of `docs/formats/chip-evidence.md`, members in a fixed order."""
        document: dict[str, object] = {"format": EVIDENCE_FORMAT}
        if self.declared is not None:
            document["declared"] = self.declared.text
        if self.reading is not None:
            document["reading"] = _reading_members(self.reading)
        if self.answer is not None:
            document["answer"] = {"challenge": _hex(self.answer.challenge), "data": _hex(self.answer.data)}
        return dump_json(document).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Inverse of `to_json`, strict; raises `InvalidInput` `bad_chip_evidence`. Judges nothing."""
        try:
            data = _members(_parse(text), {"format"}, {"declared", "reading", "answer"})
            if data["format"] != EVIDENCE_FORMAT:
                raise _Malformed
            return cls(
                _reading(data["reading"]) if "reading" in data else None,
                _answer(data["answer"]) if "answer" in data else None,
                IdentificationCode(_text(data["declared"])) if "declared" in data else None,
            )
        except (_Malformed, InvalidInput, ChipFault):
            raise InvalidInput("bad_chip_evidence", "not evidence of format ecard-chip-evidence/1") from None


class _Malformed(Exception):
    pass


def _reading_members(reading: Reading) -> dict[str, object]:
    members: dict[str, object] = {
        "atr": _hex(reading.atr),
        "fci": _hex(reading.fci),
        "issuer_records": _record_members(reading.issuer_records),
    }
    if reading.holder_records is not None:
        members["holder_records"] = _record_members(reading.holder_records)
    if reading.certificate is not None:
        members["certificate"] = _hex(reading.certificate)
    return members


def _record_members(records: Mapping[int, bytes]) -> dict[str, str]:
    return {f"{tag:02X}": _hex(value) for tag, value in sorted(records.items())}


def _reading(value: object) -> Reading:
    data = _members(value, {"atr", "fci", "issuer_records"}, {"holder_records", "certificate"})
    return Reading(
        _bytes(data["atr"], 33),
        _bytes(data["fci"], 256),
        _records(data["issuer_records"]),
        _records(data["holder_records"]) if "holder_records" in data else None,
        _bytes(data["certificate"], 4096) if "certificate" in data else None,
    )


def _records(value: object) -> dict[int, bytes]:
    if type(value) is not dict or len(value) > _MAX_RECORDS or not all(_TAG.fullmatch(tag) for tag in value):
        raise _Malformed
    return {int(tag, 16): _bytes(record, 255) for tag, record in value.items()}


def _answer(value: object) -> Answer:
    data = _members(value, {"challenge", "data"})
    return Answer(_bytes(data["challenge"], DIGEST_BYTES), _bytes(data["data"], _MAX_ANSWER))


def _parse(text: str | bytes) -> object:
    try:
        return parse_json(text.encode() if isinstance(text, str) else text, limit=MAX_JSON, max_depth=4)
    except (InvalidInput, UnicodeEncodeError):
        raise _Malformed from None


def _members(value: object, needed: set[str], optional: set[str] | None = None) -> dict[str, object]:
    if type(value) is not dict or not needed <= value.keys() <= needed | (optional or set()):
        raise _Malformed
    return value


def _text(value: object) -> str:
    if type(value) is not str:
        raise _Malformed
    return value


def _bytes(value: object, limit: int) -> bytes:
    text = _text(value)
    if len(text) > 2 * limit or not _HEX.fullmatch(text):
        raise _Malformed
    return bytes.fromhex(text)


def _hex(data: bytes) -> str:
    return data.hex().upper()
