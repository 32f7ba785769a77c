"""What the routes of the counter's page and of the systems behind it take and give, as OpenAPI shows it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictStr

from ecard_verifier.counters.model import ShiftRow, Standing
from ecard_verifier.counters.record import Record
from ecard_verifier.counters.uploads import MOST_ITEMS, Uploaded
from ecard_verifier.purposes.purposes import Purpose
from ecard_verifier.verdict import rfc3339
from ecard_verifier.web.models import Assurance, Shown

Outcome4 = Literal["valid", "check", "invalid", "undecided"]
WayIn = Literal["camera", "scanner", "typed", "picture"]
ScanId = Annotated[
    StrictStr,
    Field(
        pattern="^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        description="A random UUID made by the page. The same again within 15 minutes gives the same answer.",
    ),
]
PurposeName = Annotated[StrictStr, Field(max_length=32, description="One of the counter's purposes.")]
#: Seconds that a result stays on the screen where nobody holds it.
SHOW_SECONDS = 15


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class CounterAdmissionBody(_Body):
    """The code that a manager made for this counter."""

    admission_code: StrictStr = Field(description="Eight characters, good once for ten minutes.", max_length=64)


class CounterStaffBody(_Body):
    """Who takes over the counter."""

    alias: Shown = Field(max_length=80)
    pin: StrictStr = Field(max_length=16)


class CounterScanBody(_Body):
    """What was scanned, typed or read from a picture."""

    scan_id: ScanId
    code: StrictStr = Field(description="The whole text. Any text gets a verdict.", max_length=65536)
    purpose: PurposeName
    way: WayIn
    challenge_id: StrictStr | None = Field(None, max_length=64, description="The challenge that the counter showed.")


class CounterChallengeBody(_Body):
    """For what the counter asks."""

    purpose: PurposeName


class CounterChallenge(BaseModel):
    """What the counter shows before the holder's code is scanned."""

    challenge_id: str = Field(description="Send it with the scan of the answer.")
    text: str = Field(description="`ECQ:…`, for a QR code.")
    expires_at: datetime


class CounterUploadItem(_Body):
    """One scan that the page judged without a network."""

    scan_id: ScanId
    code: StrictStr = Field(max_length=4096)
    purpose: PurposeName
    way: WayIn
    outcome: Outcome4
    reason: StrictStr = Field(pattern="^[a-z0-9_]{2,60}$")
    scanned_at: AwareDatetime
    status_as_of: AwareDatetime | None = None


class CounterUploadsBody(_Body):
    """At most 100 at a time."""

    items: list[CounterUploadItem] = Field(min_length=1, max_length=MOST_ITEMS)


class CounterGroupName(BaseModel):
    """The group that the counter belongs to."""

    group_id: str
    name: str
    level: Literal["basic", "designated", "authority"]


class CounterBranchName(BaseModel):
    """The branch that the counter belongs to."""

    branch_id: str
    name: str


class CounterName(BaseModel):
    """The counter. `audience` is what it is called in codes made for it."""

    counter_id: str
    name: str
    audience: str


class CounterStaffName(BaseModel):
    """Who is at the counter."""

    alias: str


class CounterPurpose(BaseModel):
    """A purpose that this counter may be used for."""

    purpose: str
    names: dict[str, str] = Field(description="In `zh` and `en`.")
    business_type: str = Field(description="Of the national table: 01, 02, 03 or 04.")
    challenge: bool = Field(description="The counter shows a code of its own first.")
    live: bool = Field(description="Without a network the outcome is at most `check`.")
    compare_name: bool = Field(description="The clerk compares the name.")
    minimum_assurance: Assurance


class CounterState(BaseModel):
    """Where this page is, who is there, and how fresh what we know is."""

    group: CounterGroupName
    branch: CounterBranchName
    counter: CounterName
    staff: CounterStaffName | None
    staff_needed: bool
    purposes: list[CounterPurpose]
    online: bool = Field(description="True: this answer came over the network.")
    now: datetime = Field(description="By the clock of this service.")
    status_as_of: datetime | None
    trust_as_of: datetime | None = Field(description="When the trust list was made.")
    trust_expires_at: datetime | None
    show_seconds: int
    session_expires_at: datetime
    return_origins: list[str] = Field(description="Pages of systems that may be told a `verification_id`.")


class CounterFirstSeen(BaseModel):
    """When a code was accepted first, and whether it was at this counter."""

    at: datetime
    here: bool


class CounterResult(BaseModel):
    """What the page shows. A system fetches it by `verification_id`, and never trusts the page."""

    verification_id: str
    scan_id: str
    reference: str = Field(description="What the shift list calls it.")
    recorded_at: datetime
    purpose: str
    outcome: Outcome4
    reason: str
    shown: dict[str, str] = Field(description="What this purpose and merchant may see, masked; empty unless accepted.")
    shown_missing: str | None = Field(description="The code of why nothing can be shown.")
    status_as_of: datetime | None
    chip_assurance: Assurance | None
    holder_proof: Literal["chip", "pin", "identity"] | None
    test_card: bool
    first_seen: CounterFirstSeen | None


class CounterUploaded(BaseModel):
    """What is said of one upload now."""

    scan_id: str
    verification_id: str
    outcome_now: Outcome4
    reason_now: str
    alarm: bool = Field(description="The page had accepted it, and it is refused now.")


class CounterUploadsAnswer(BaseModel):
    """In the order of the items."""

    items: list[CounterUploaded]


class CounterShiftRow(BaseModel):
    """One line, with nothing about the holder."""

    reference: str
    at: datetime
    purpose: str
    business_type: str
    way: str
    source: Literal["online", "upload", "system"]
    outcome: Outcome4
    reason: str
    staff: str
    test_card: bool


class CounterShift(BaseModel):
    """The last 24 hours of this counter, newest first."""

    rows: list[CounterShiftRow]


class VerificationResult(BaseModel):
    """A verification for the systems of its group. `facts` has what purpose and level permit."""

    verification_id: str
    recorded_at: datetime
    expires_at: datetime = Field(description="Until then it can be fetched and used.")
    counter_id: str | None
    staff: str
    purpose: str
    business_type: str
    outcome: Outcome4
    reason: str
    facts: dict[str, str]
    facts_missing: str | None
    status_as_of: datetime | None
    chip_assurance: Assurance | None
    holder_proof: Literal["chip", "pin", "identity"] | None
    test_card: bool
    issuer: str | None
    first_seen: CounterFirstSeen | None


class VerificationUseBody(_Body):
    """The business case, by the system's own number."""

    reference: Shown = Field(min_length=1, max_length=128, description="Kept as a hash only.")


def state_of(
    standing: Standing,
    purposes: list[Purpose],
    now: datetime,
    status_as_of: datetime | None,
    trust: tuple[datetime, datetime] | None,
    origins: Sequence[str],
) -> CounterState:
    """`trust` has when the list was made and when it ends."""
    group, branch, counter = standing.group, standing.branch, standing.counter
    return CounterState(
        group=CounterGroupName(group_id=group.group_id, name=group.name, level=group.level.value),
        branch=CounterBranchName(branch_id=branch.branch_id, name=branch.name),
        counter=CounterName(counter_id=counter.counter_id, name=counter.name, audience=counter.audience),
        staff=CounterStaffName(alias=standing.staff.alias) if standing.staff else None,
        staff_needed=counter.staff_needed,
        purposes=[purpose_of(purpose) for purpose in purposes],
        online=True,
        now=now,
        status_as_of=status_as_of,
        trust_as_of=trust[0] if trust else None,
        trust_expires_at=trust[1] if trust else None,
        show_seconds=SHOW_SECONDS,
        session_expires_at=standing.device.until,
        return_origins=list(origins),
    )


def purpose_of(purpose: Purpose) -> CounterPurpose:
    """As the page sees it."""
    return CounterPurpose.model_validate(
        {
            "purpose": purpose.purpose,
            "names": dict(purpose.names),
            "business_type": purpose.business_type,
            "challenge": purpose.challenge,
            "live": purpose.live,
            "compare_name": purpose.compare_name,
            "minimum_assurance": purpose.minimum_assurance.label,
        }
    )


def result_json(record: Record) -> dict[str, object]:
    """The members of a `CounterResult`."""
    return {
        "verification_id": record.verification_id,
        "scan_id": record.scan_id,
        "reference": record.reference,
        "shown": dict(record.sighted.page),
        "shown_missing": record.sighted.missing,
        **_common(record),
    }


def verification_json(record: Record, expires_at: datetime) -> dict[str, object]:
    """The members of a `VerificationResult`."""
    return {
        "verification_id": record.verification_id,
        "expires_at": rfc3339(expires_at),
        "counter_id": record.counter_id,
        "staff": record.staff,
        "business_type": record.business_type,
        "facts": dict(record.sighted.system),
        "facts_missing": record.sighted.missing,
        "issuer": record.issuer,
        **_common(record),
    }


def uploaded_of(answer: Uploaded) -> CounterUploaded:
    """As the page sees it."""
    return CounterUploaded.model_validate(
        {
            "scan_id": answer.scan_id,
            "verification_id": answer.verification_id,
            "outcome_now": answer.outcome.value,
            "reason_now": answer.reason,
            "alarm": answer.alarm,
        }
    )


def shift_row_of(row: ShiftRow) -> CounterShiftRow:
    """As the page sees it."""
    return CounterShiftRow.model_validate(
        {
            "reference": row.reference,
            "at": row.at,
            "purpose": row.purpose,
            "business_type": row.business_type,
            "way": row.way,
            "source": row.source.value,
            "outcome": row.outcome,
            "reason": row.reason,
            "staff": row.staff,
            "test_card": row.test_card,
        }
    )


def _common(record: Record) -> dict[str, object]:
    seen = record.first_seen_at
    return {
        "recorded_at": rfc3339(record.recorded_at),
        "purpose": record.purpose,
        "outcome": record.outcome.value,
        "reason": record.reason,
        "status_as_of": rfc3339(record.status_as_of) if record.status_as_of else None,
        "chip_assurance": record.chip_assurance,
        "holder_proof": record.holder_proof,
        "test_card": record.test_card,
        "first_seen": {"at": rfc3339(seen), "here": record.first_seen_here} if seen else None,
    }
