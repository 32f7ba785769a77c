"""What `POST /v1/verifications` takes and gives, as OpenAPI shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr

from ecard_verifier.counters.record import Record
from ecard_verifier.service import Result
from ecard_verifier.verdict import rfc3339


def _printable(text: str) -> str:
    """A name that cannot be printed is the caller's mistake, and may not become a verdict about a card."""
    if not text.isprintable():
        raise ValueError("not printable")
    return text


Shown = Annotated[StrictStr, AfterValidator(_printable)]
Assurance = Literal["declared", "read", "challenge", "signature"]


class VerificationRequest(BaseModel):
    """What was scanned or typed, and for whom."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    code: StrictStr = Field(
        description="The whole text of the code or token. Any text gets a verdict.",
        max_length=65536,
        examples=["EC1:…"],
    )
    counter: Shown | None = Field(None, description="Where it was shown; by default the caller.", max_length=200)
    audience: Shown | None = Field(None, description="What this verifier is called in codes.", max_length=200)
    minimum_assurance: Assurance | None = Field(None, description="How well the chip must have been proven.")
    challenge: StrictStr | None = Field(
        None,
        max_length=1024,
        description="The challenge that was shown (`ECQ:…`): only a code that answers it will do.",
    )
    purpose: StrictStr | None = Field(
        None,
        max_length=32,
        description="What it is shown for, by a system of a group of merchants: then `facts` has what that permits.",
    )


class CheckStep(BaseModel):
    """One numbered step of the check; `ok` is null where it was not reached."""

    number: int
    name: str
    ok: bool | None
    detail: str = Field(description="For a developer; may be empty.")


class Seen(BaseModel):
    """When and where a code was accepted first."""

    at: datetime
    where: str


class Verification(BaseModel):
    """A verdict. Never `valid` where something could not be known."""

    verification_id: str = Field(description="Names this verdict.")
    recorded_at: datetime
    outcome: Literal["valid", "check", "invalid", "undecided"]
    reason: str = Field(description="A stable code, `ok` when valid.")
    checks: list[CheckStep]
    status_as_of: datetime | None = Field(description="The time as of which the card's status is known.")
    chip_assurance: Assurance | None
    holder_proof: Literal["chip", "pin", "identity"] | None = Field(
        description="How the one who got the credential was proven to be the holder; null if nobody wrote it down."
    )
    test_card: bool = Field(description="Nothing about this card is real.")
    issuer: str | None
    claims: dict[str, object] = Field(description="What the holder disclosed; empty unless valid or check.")
    first_seen: Seen | None = Field(description="Set when the reason is `replayed` or `shown_again`.")
    purpose: str | None = Field(None, description="As asked for.")
    facts: dict[str, str] = Field(
        default_factory=dict, description="With a purpose: what it permits this group to see; then `claims` is empty."
    )
    facts_missing: str | None = Field(None, description="The code of why there are no facts.")


class Ready(BaseModel):
    """Whether verdicts can be given now, and what is missing if not."""

    ready: bool
    trust: bool = Field(description="A trust list is at hand and has not expired.")
    statuses: bool = Field(description="Statuses are known and recent, of every issuer that is followed.")
    trust_error: str | None = Field(
        default=None, description="Why the last attempt to renew the trust list failed: a code."
    )
    trust_age: int | None = Field(default=None, description="Seconds since a host last confirmed the trust list.")
    status_age: int | None = Field(
        default=None, description="Seconds since the time as of which the statuses of every issuer are known."
    )
    snapshot_error: str | None = Field(
        default=None,
        description="Why a mirror without a past folds every event although its issuer has a snapshot: a code.",
    )
    bundle_error: str | None = Field(
        default=None, description="Why the bundle now in its file is not the one in use: a code."
    )


class Live(BaseModel):
    """The process answers."""

    live: Literal[True] = True


def members(result: Result, record: Record | None = None) -> dict[str, object]:
    """The members of a `Verification`. `record` is what became of it where a purpose was named."""
    seen = result.first_seen
    answer: dict[str, object] = {
        "verification_id": result.verification_id,
        "recorded_at": rfc3339(result.recorded_at),
        **result.verdict.to_json(),
        "first_seen": {"at": rfc3339(seen.at), "where": seen.where} if seen else None,
        "purpose": None,
        "facts": {},
        "facts_missing": None,
    }
    if record is not None:
        answer |= {
            "outcome": record.outcome.value,
            "reason": record.reason,
            "claims": {},
            "purpose": record.purpose,
            "facts": dict(record.sighted.system),
            "facts_missing": record.sighted.missing,
        }
    return answer
