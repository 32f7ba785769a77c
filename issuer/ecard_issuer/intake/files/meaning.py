"""What a row says: a card with its status, or a change of a card. Strict; a refusal names a field and no value."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from ecard_card.card import Card, CardNumber, Chip, Holder, IdentificationCode, IdNumber
from ecard_card.china import CHINA
from ecard_card.errors import InvalidInput
from ecard_card.jose import b64url_decode
from ecard_card.status import CardChange, CardStatus
from ecard_issuer.intake.event import CardEvent, Subject

_STATUS_OF: Final = MappingProxyType(
    {str(int(status)): status for status in CardStatus}
    | {
        "封存": CardStatus.SEALED,
        "正常": CardStatus.NORMAL,
        "正式挂失": CardStatus.LOST,
        "应用锁定": CardStatus.LOCKED,
        "临时挂失": CardStatus.TEMPORARILY_LOST,
        "注销": CardStatus.CANCELLED,
    }
)
_CHANGE_OF: Final = MappingProxyType(
    {change.value: change for change in CardChange}
    | {
        "启用": CardChange.ENABLE,
        "临时挂失": CardChange.REPORT_TEMPORARY_LOSS,
        "正式挂失": CardChange.REPORT_LOSS,
        "解挂": CardChange.RELEASE,
        "应用锁定": CardChange.LOCK,
        "应用解锁": CardChange.UNLOCK,
        "补换卡": CardChange.REPLACE,
        "注销": CardChange.CANCEL,
    }
)


@dataclass(slots=True)  # made once a row
class CardRecord:
    """A card of the physical register. `sequence` is the source's number of the last change that the status contains,
    which happened at `as_of` (without a time of its own: the day of issue)."""

    card: Card = field(repr=False)
    status: CardStatus
    sequence: int | None
    as_of: datetime


def card_of(fields: Mapping[str, str], profile: str | None = None) -> CardRecord:
    """Raises `InvalidInput`: `row_field_missing`, `bad_row_field`, and those of `Card` and its parts."""
    code = IdentificationCode(_needed(fields, "identification_code").upper())
    if fields.get("region", code.region) != code.region:
        raise InvalidInput("bad_row_field", "region: not that of the identification code")
    public = fields.get("chip_public_key")
    issued_on = _date(_needed(fields, "issued_on"))
    historical = fields.get("atr_historical")
    return CardRecord(
        Card(
            chip=Chip(
                code,
                fields.get("profile") or profile or _needed(fields, "profile"),
                b64url_decode(public) if public else None,
                _hex(historical) if historical else None,
            ),
            number=CardNumber(_needed(fields, "card_number").upper()),
            holder=Holder(IdNumber(_needed(fields, "id_number").upper()), _needed(fields, "name")),
            issued_on=issued_on,
            expires_on=_date(_needed(fields, "expires_on")),
        ),
        _status(fields.get("status", "1")),
        _sequence(fields["sequence"]) if "sequence" in fields else None,
        _time(fields["occurred_at"]) if "occurred_at" in fields else datetime.combine(issued_on, time(), CHINA),
    )


def change_of(fields: Mapping[str, str], source: str) -> CardEvent:
    """Raises `InvalidInput`: `row_field_missing`, `bad_row_field`, `unknown_card_change`, and those of its subject.

    A row without an event id is known by what it says: the same row again is the same event.
    """
    subject = _subject(fields, "")
    change = _CHANGE_OF.get(_needed(fields, "change"))
    if change is None:
        raise InvalidInput("unknown_card_change", "a change that is not known here")
    sequence = _sequence(_needed(fields, "sequence"))
    occurred_at = _time(_needed(fields, "occurred_at"))
    successor = _subject(fields, "new_") if change is CardChange.REPLACE else None
    given = fields.get("event_id") or "\n".join((fields.get("identification_code", ""), *map(str, _identity(fields))))
    event_id = hashlib.sha256(f"{source}\n{given}".encode()).hexdigest()[:32]
    return CardEvent(event_id, subject, change, sequence, occurred_at, successor)


def _identity(fields: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(fields.get(name, "") for name in ("region", "card_number", "change", "sequence", "occurred_at"))


def _subject(fields: Mapping[str, str], prefix: str) -> Subject:
    code = fields.get(f"{prefix}identification_code")
    if code:
        return Subject(code=IdentificationCode(code.upper()))
    number = CardNumber(_needed(fields, f"{prefix}card_number").upper())
    return Subject(number=number, stated_region=_needed(fields, "region"))


def _needed(fields: Mapping[str, str], name: str) -> str:
    value = fields.get(name)
    if not value:
        raise InvalidInput("row_field_missing", f"{name}: empty, or no such column")
    return value


def _status(text: str) -> CardStatus:
    status = _STATUS_OF.get(text.lstrip("0") or "0")
    if status is None:
        raise InvalidInput("bad_row_field", "status: none of code table AAZ502")
    return status


def _sequence(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise InvalidInput("bad_row_field", "sequence: not a whole number from 1")
    return int(text)


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise InvalidInput("bad_row_field", "atr_historical: not hexadecimal") from None


@lru_cache(maxsize=4096)
def _date(text: str) -> date:
    """`2024-01-02`, `20240102` or `2024/01/02`."""
    plain = text.replace("/", "-")
    try:
        if len(text) in (8, 10) and text.isascii():
            return date.fromisoformat(plain)
    except ValueError:
        pass
    raise InvalidInput("bad_row_field", "a date looks like 2024-01-02 or 20240102") from None


def _time(text: str) -> datetime:
    """RFC 3339, or without a zone China's time: `2026-01-31 12:00:00`, `20260131120000`."""
    try:
        if len(text) == 14 and text.isascii() and text.isdigit():
            moment = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=CHINA)
        else:
            moment = datetime.fromisoformat(text.replace("/", "-"))
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=CHINA)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput("bad_row_field", "a time looks like 2026-01-31T12:00:00+08:00") from None
