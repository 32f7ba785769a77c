"""A relying service as it was registered: who it is, and the most that it may ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final
from unicodedata import category

from ecard_card.card import ChipAssurance
from ecard_card.errors import EcardError, InvalidInput, RuleViolation
from ecard_card.region import is_region
from ecard_issuer.login.registration import LoginRegistration, registration_from_json
from ecard_issuer.relying.catalogue import BUSINESS_TYPES, catalogue
from ecard_issuer.relying.claims import Claim
from ecard_verifier.callers import CALLER_NAME
from ecard_verifier.verdict import rfc3339

SERVICE_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,62}[a-z0-9]")
MAX_STANDING: Final = 800
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class Period(StrEnum):
    """How often a qualification for benefits is confirmed, by China's calendar."""

    YEAR = "year"
    HALF_YEAR = "half_year"
    QUARTER = "quarter"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class RelyingService:
    """Valid once it exists; raises `InvalidInput` `bad_relying_service` with the member's name.

    `region` covers the cards it may ask about. `lines` are those of the catalogue that it serves, `claims` all that it
    may ever be told, `proof` the least proof of the chip, `level` the least issue level of the e-card, `pin` whether
    the holder gives the card's PIN each time. `standing_days`: how long after a check it may still ask for the bank
    account of that person. `period`: how often it confirms a qualification. `login`: how people log in to its site, if
    they do.
    """

    service_id: str
    name_zh: str
    name_en: str
    owner: str
    region: str
    lines: tuple[int, ...]
    claims: tuple[Claim, ...]
    proof: ChipAssurance
    level: int
    business_types: tuple[str, ...]
    pin: bool
    starts_at: datetime
    ends_at: datetime | None = None
    standing_days: int = 0
    period: Period = Period.YEAR
    login: LoginRegistration | None = None

    def __post_init__(self) -> None:
        _require(SERVICE_ID.fullmatch(self.service_id), "service_id")
        _require(all(_is_name(name) for name in (self.name_zh, self.name_en)), "names")
        _require(CALLER_NAME.fullmatch(self.owner), "owner")
        _require(is_region(self.region), "region")
        _require(0 < len(self.lines) <= 64 and len(set(self.lines)) == len(self.lines), "lines")
        for line in self.lines:
            catalogue().of_line(line)
        _require(len(set(self.claims)) == len(self.claims), "claims")
        _require(self.level in (1, 2), "level")
        types = self.business_types
        _require(types and len(set(types)) == len(types) and set(types) <= BUSINESS_TYPES.keys(), "business_types")
        _require(self.starts_at.tzinfo is not None, "starts_at")
        ends = self.ends_at
        _require(ends is None or (ends.tzinfo is not None and ends > self.starts_at), "ends_at")
        _require(0 <= self.standing_days <= MAX_STANDING, "standing_days")

    def at(self, now: datetime) -> EcardError | None:
        """Why it may not ask at `now`, or None."""
        if now < self.starts_at:
            return RuleViolation("relying_service_not_yet", "this service has not begun")
        if self.ends_at is not None and now >= self.ends_at:
            return RuleViolation("relying_service_ended", "this service has ended")
        return None

    def to_json(self) -> dict[str, object]:
        """The document as stored, shown to approvers and answered."""
        return {
            "service_id": self.service_id,
            "names": {"zh": self.name_zh, "en": self.name_en},
            "owner": self.owner,
            "region": self.region,
            "lines": list(self.lines),
            "claims": [claim.value for claim in self.claims],
            "proof": self.proof.label,
            "level": self.level,
            "business_types": list(self.business_types),
            "pin": self.pin,
            "starts_at": rfc3339(self.starts_at.astimezone(UTC)),
            "ends_at": None if self.ends_at is None else rfc3339(self.ends_at.astimezone(UTC)),
            "standing_days": self.standing_days,
            "period": self.period.value,
            "login": None if self.login is None else self.login.to_json(),
        }


def service_from_json(document: Mapping[str, Any]) -> RelyingService:
    """The inverse of `to_json`; a document from before there were logins has none. Raises `InvalidInput`
    `bad_relying_service`, `bad_login_registration`."""
    document = {"login": None, **document}
    expected = {item.name for item in fields(RelyingService)} - {"name_zh", "name_en"} | {"names"}
    if document.keys() != expected:
        raise InvalidInput("bad_relying_service", "members are missing or unknown")
    try:
        return RelyingService(
            service_id=document["service_id"],
            name_zh=document["names"]["zh"],
            name_en=document["names"]["en"],
            owner=document["owner"],
            region=document["region"],
            lines=tuple(document["lines"]),
            claims=tuple(Claim(claim) for claim in document["claims"]),
            proof=ChipAssurance.from_label(document["proof"]),
            level=document["level"],
            business_types=tuple(document["business_types"]),
            pin=document["pin"],
            starts_at=datetime.fromisoformat(document["starts_at"]),
            ends_at=None if document["ends_at"] is None else datetime.fromisoformat(document["ends_at"]),
            standing_days=document["standing_days"],
            period=Period(document["period"]),
            login=None if document["login"] is None else registration_from_json(document["login"]),
        )
    except (KeyError, TypeError, ValueError):
        raise InvalidInput("bad_relying_service", "a member of another form") from None


def _is_name(name: str) -> bool:
    return 1 <= len(name) <= 100 and name.strip() == name and not any(category(char) in _UNSEEN for char in name)


def _require(holds: object, member: str) -> None:
    if not holds:
        raise InvalidInput("bad_relying_service", f"{member} is out of its bounds")
