"""What is remembered of a verification for minutes, sealed under its own id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ecard_verifier.counters.model import Source
from ecard_verifier.counters.secret import digest, seal, unseal
from ecard_verifier.verdict import Outcome


@dataclass(frozen=True, slots=True)
class Sighted:
    """What the page and the system may see of the holder; `missing` is the code of why there is nothing."""

    page: Mapping[str, str] = field(repr=False)
    system: Mapping[str, str] = field(repr=False)
    missing: str | None


@dataclass(frozen=True, slots=True)
class Record:
    """A verification as recorded. `showing` names what was shown, whichever verification asks for it."""

    verification_id: str = field(repr=False)
    scan_id: str
    group_id: str
    counter_id: str | None
    recorded_at: datetime
    purpose: str
    business_type: str
    way: str
    source: Source
    outcome: Outcome
    reason: str
    sighted: Sighted
    status_as_of: datetime | None
    chip_assurance: str | None
    holder_proof: str | None
    test_card: bool
    issuer: str | None
    first_seen_at: datetime | None
    first_seen_here: bool
    showing: str | None
    staff: str

    @property
    def reference(self) -> str:
        """What the shift list calls it: of no use for fetching it."""
        return digest("reference-of", self.verification_id)[:12].upper()


def result_digest(verification_id: str) -> str:
    """Under which it is stored."""
    return digest("result", verification_id)


def sealed_result(record: Record) -> bytes:
    """For storage."""
    content: dict[str, object] = {
        "scan_id": record.scan_id,
        "group_id": record.group_id,
        "counter_id": record.counter_id,
        "recorded_at": record.recorded_at.isoformat(),
        "purpose": record.purpose,
        "business_type": record.business_type,
        "way": record.way,
        "source": record.source.value,
        "outcome": record.outcome.value,
        "reason": record.reason,
        "page": dict(record.sighted.page),
        "system": dict(record.sighted.system),
        "missing": record.sighted.missing,
        "status_as_of": _text(record.status_as_of),
        "chip_assurance": record.chip_assurance,
        "holder_proof": record.holder_proof,
        "test_card": record.test_card,
        "issuer": record.issuer,
        "first_seen_at": _text(record.first_seen_at),
        "first_seen_here": record.first_seen_here,
        "showing": record.showing,
        "staff": record.staff,
    }
    return seal(record.verification_id, "result", content)


def unsealed_result(verification_id: str, sealed: bytes) -> Record:
    """Inverse of `sealed_result`. Raises `Unavailable` `counters_damaged`."""
    content: dict[str, Any] = unseal(verification_id, "result", sealed)
    content["sighted"] = Sighted(content.pop("page"), content.pop("system"), content.pop("missing"))
    for name in ("recorded_at", "status_as_of", "first_seen_at"):
        content[name] = None if content[name] is None else datetime.fromisoformat(content[name])
    content["source"], content["outcome"] = Source(content["source"]), Outcome(content["outcome"])
    return Record(verification_id=verification_id, **content)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
