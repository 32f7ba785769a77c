"""What a check says: one of four outcomes, a reason with a stable code, and what was proven.

Failing to know is never `valid`: a reason that is not in `OUTCOMES` counts as `invalid` when the presented thing
was refused, and as `undecided` when we ourselves could not judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from ecard_card.card import ChipAssurance, HolderProof
from ecard_card.errors import EcardError, Unavailable


class Outcome(StrEnum):
    """Four, never two."""

    VALID = "valid"
    CHECK = "check"  # a person must compare something
    INVALID = "invalid"
    UNDECIDED = "undecided"  # our fault: no network, no keys, clock


#: Reasons whose outcome is not `invalid`. Every other refusal of what was presented is `invalid`.
OUTCOMES: Mapping[str, Outcome] = MappingProxyType(
    {
        "ok": Outcome.VALID,
        "status_aging": Outcome.CHECK,
        "shown_again": Outcome.CHECK,
        "name_unavailable": Outcome.CHECK,
        "offline_status": Outcome.CHECK,
        "status_unknown": Outcome.UNDECIDED,
        "status_expired": Outcome.UNDECIDED,
        "status_stale": Outcome.UNDECIDED,
        "trust_expired": Outcome.UNDECIDED,
        "trust_missing": Outcome.UNDECIDED,
        "clock_behind": Outcome.UNDECIDED,
        "clock_unsure": Outcome.UNDECIDED,
        "needs_online": Outcome.UNDECIDED,
        "mirror_behind": Outcome.UNDECIDED,
        "algorithm_unavailable": Outcome.UNDECIDED,
        "challenge_needed": Outcome.UNDECIDED,
        "upload_too_old": Outcome.UNDECIDED,
    }
)


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One numbered step: `ok` is None where the step was not reached."""

    number: int
    name: str
    ok: bool | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of `check`.

    `status_as_of` is the time as of which the card's status is known; `replay_key` names this very code, so that
    whoever keeps state can refuse it the second time; `claims` are disclosed, personal, and never logged.
    """

    outcome: Outcome
    reason: str
    checks: tuple[CheckLine, ...]
    status_as_of: datetime | None = None
    chip_assurance: ChipAssurance | None = None
    holder_proof: HolderProof | None = None
    test_card: bool = False
    issuer: str | None = None
    credential_id: bytes | None = None
    replay_key: bytes | None = None
    code_expires_at: datetime | None = None
    claims: Mapping[str, object] = field(default_factory=dict, repr=False)

    def to_json(self) -> dict[str, Any]:
        """The public form: times as RFC 3339 UTC, the assurance by its label."""
        return {
            "outcome": self.outcome.value,
            "reason": self.reason,
            "checks": [
                {"number": line.number, "name": line.name, "ok": line.ok, "detail": line.detail} for line in self.checks
            ],
            "status_as_of": rfc3339(self.status_as_of) if self.status_as_of else None,
            "chip_assurance": self.chip_assurance.label if self.chip_assurance is not None else None,
            "holder_proof": self.holder_proof.label if self.holder_proof is not None else None,
            "test_card": self.test_card,
            "issuer": self.issuer,
            "claims": dict(self.claims),
        }


def outcome_of(error: EcardError) -> Outcome:
    """The outcome that a raised error stands for."""
    fallback = Outcome.UNDECIDED if isinstance(error, Unavailable) else Outcome.INVALID
    return OUTCOMES.get(error.code, fallback)


def rfc3339(moment: datetime) -> str:
    """`moment` (aware, UTC) with milliseconds and `Z`."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
