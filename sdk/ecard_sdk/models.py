"""What the services answer, as frozen values. Members that this version does not know are passed over, so a newer
service does not break an older client. What is personal is not in any `repr`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Self

from ecard_card import jose
from ecard_card.card import ChipAssurance
from ecard_card.errors import EcardError
from ecard_card.status import CardChange, CardStatus
from ecard_sdk.errors import ServerError


class Model(ABC):
    """Made by `of` from parsed JSON; raises `ServerError` `service_answer_unreadable` where a member is missing."""

    @classmethod
    def of(cls, answer: object) -> Self:
        try:
            if not isinstance(answer, dict):
                raise TypeError
            return cls._of(answer)
        except (KeyError, TypeError, ValueError, AttributeError, EcardError):
            raise ServerError("service_answer_unreadable", f"the answer is no {cls.__name__}") from None

    @classmethod
    def each(cls, answer: object, member: str) -> tuple[Self, ...]:
        """One for each item of the list that the answer has as `member`."""
        items = answer.get(member) if isinstance(answer, dict) else None
        if not isinstance(items, list):
            raise ServerError("service_answer_unreadable", "the answer holds no list")
        return tuple(cls.of(item) for item in items)

    @classmethod
    @abstractmethod
    def _of(cls, data: Mapping[str, Any]) -> Self: ...


@dataclass(frozen=True, slots=True)
class Card(Model):
    """A physical card as the register shows it, without personal data.

    `ecard_status` is what follows from `status` for its e-card: `valid`, `invalid` (for ever) or `suspended`.
    `sequence` is that of its last change.
    """

    card_ref: str
    status: CardStatus
    ecard_status: str
    chip_profile: str
    issued_on: date
    expires_on: date
    sequence: int
    ecard_id: str | None

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            _text(data["card_ref"]),
            CardStatus(data["status"]),
            _text(data["ecard_status"]),
            _text(data["chip_profile"]),
            date.fromisoformat(data["issued_on"]),
            date.fromisoformat(data["expires_on"]),
            int(data["sequence"]),
            data.get("ecard_id"),
        )


@dataclass(frozen=True, slots=True)
class Change(Model):
    """A change of a card's status as recorded. `applied` is False for a repetition, which changes nothing.

    `sequence` is the register's own count; `source_sequence` is the sender's number, and `missed` counts the sender's
    numbers before it that the register has never seen.
    """

    applied: bool
    card_ref: str
    change: CardChange
    status: CardStatus
    sequence: int
    event_id: str
    missed: int
    source_sequence: int | None = None

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            bool(data["applied"]),
            _text(data["card_ref"]),
            CardChange(data["change"]),
            CardStatus(data["status"]),
            int(data["sequence"]),
            _text(data["event_id"]),
            int(data.get("missed", 0)),
            data.get("source_sequence"),
        )


@dataclass(frozen=True, slots=True)
class Enrolment(Model):
    """A challenge that a chip shall answer. `challenge` are the 32 bytes that the desk gives to the chip."""

    enrolment_id: str
    challenge: bytes
    expires_at: datetime

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        return cls(_text(data["enrolment_id"]), bytes.fromhex(data["challenge"]), _time(data["expires_at"]))


@dataclass(frozen=True, slots=True)
class ProvenChip(Model):
    """A chip that answered: good for one credential until `usable_until`."""

    enrolment_id: str
    card_ref: str
    chip_assurance: ChipAssurance
    usable_until: datetime

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            _text(data["enrolment_id"]),
            _text(data["card_ref"]),
            ChipAssurance.from_label(data["chip_assurance"]),
            _time(data["usable_until"]),
        )


@dataclass(frozen=True, slots=True)
class IssuedCredential(Model):
    """One credential in two formats: hand `cwt` to `DeviceKey.offline_code`, `sd_jwt` to `DeviceKey.present`."""

    ecard_id: str
    credential_id: bytes
    expires_at: datetime
    chip_assurance: ChipAssurance
    cwt: bytes = field(repr=False)
    sd_jwt: str = field(repr=False)

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            _text(data["ecard_id"]),
            bytes.fromhex(data["credential_id"]),
            _time(data["expires_at"]),
            ChipAssurance.from_label(data["chip_assurance"]),
            jose.b64url_decode(data["cwt"]),
            _text(data["sd_jwt"]),
        )


@dataclass(frozen=True, slots=True)
class Key(Model):
    """A signing key of the issuer as the world may know it. `next_change_from`: when it may be promoted or retired,
    whichever comes next in its life; None where nothing does."""

    kid: str
    purpose: str
    state: str
    not_before: datetime
    next_change_from: datetime | None = None

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        later = data.get("next_change_from")
        return cls(
            _text(data["kid"]),
            _text(data["purpose"]),
            _text(data["state"]),
            _time(data["not_before"]),
            None if later is None else _time(later),
        )


@dataclass(frozen=True, slots=True)
class Step(Model):
    """One numbered step of a check; `ok` is None where it was not reached."""

    number: int
    name: str
    ok: bool | None
    detail: str

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        return cls(int(data["number"]), _text(data["name"]), data["ok"], _text(data.get("detail", "")))


@dataclass(frozen=True, slots=True)
class Verification(Model):
    """A verdict as the counter service recorded it. Decide on `outcome`: `valid`, `check`, `invalid`, `undecided`.

    `first_seen` (when, at which counter) is set where the reason is `replayed`.
    """

    verification_id: str
    outcome: str
    reason: str
    checks: tuple[Step, ...]
    status_as_of: datetime | None
    chip_assurance: ChipAssurance | None
    issuer: str | None
    first_seen: tuple[datetime, str] | None
    holder_proof: str | None
    test_card: bool
    claims: Mapping[str, object] = field(default_factory=dict, repr=False)

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        outcome = _text(data["outcome"])
        if outcome not in ("valid", "check", "invalid", "undecided"):
            raise ValueError
        as_of, assurance, seen = data.get("status_as_of"), data.get("chip_assurance"), data.get("first_seen")
        return cls(
            _text(data["verification_id"]),
            outcome,
            _text(data["reason"]),
            tuple(Step.of(step) for step in data.get("checks", ())),
            None if as_of is None else _time(as_of),
            None if assurance is None else ChipAssurance.from_label(assurance),
            data.get("issuer"),
            None if seen is None else (_time(seen["at"]), _text(seen["where"])),
            data.get("holder_proof"),
            data.get("test_card") is True,
            dict(data.get("claims") or {}),
        )

    @property
    def valid(self) -> bool:
        """Whether a counter may serve without asking further."""
        return self.outcome == "valid"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _time(value: object) -> datetime:
    """RFC 3339 text with its zone."""
    moment = datetime.fromisoformat(_text(value))
    if moment.tzinfo is None:
        raise ValueError
    return moment
