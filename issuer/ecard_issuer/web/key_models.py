"""What the routes about keys take and give, as OpenAPI shows it. Bodies are strict: unknown members are refused."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictBool, StrictInt

from ecard_issuer.web.models import Body

Purpose = Literal["credential", "status", "event", "statement"]
DryRun = Annotated[StrictBool, Field(description="Change nothing, and say what would break and for whom.")]


class KeyBody(Body):
    """What the new key will sign."""

    purpose: Purpose = Field(description="E-cards, status lists, the live feed, or what is stated to a named party.")
    dry_run: DryRun = False


class RetireBody(Body):
    """Whether it is meant."""

    dry_run: DryRun = False


class PromoteBody(RetireBody):
    """Whether to wait for the lead."""

    despite_lead: Annotated[
        StrictBool,
        Field(description="Promote although verifiers may not know the key yet; whoever approves sees it."),
    ] = False


class CompromiseBody(RetireBody):
    """From when on the key's signatures are worth nothing."""

    cut_off: datetime | None = Field(
        description="RFC 3339 with its zone: what it signed later is refused. `null`: everything is. A thief writes"
        " dates too, so a cut-off is safe only for what other records prove to be older.",
        examples=["2026-01-31T12:00:00Z"],
    )


class ScheduleBody(RetireBody):
    """How often the keys of a purpose rotate."""

    every_seconds: StrictInt = Field(ge=1, le=3650 * 86400, description="From one promotion to the next.")


class KeyAnswer(BaseModel):
    """A signing key as the world may know it."""

    kid: str = Field(description="Eight hex digits.")
    purpose: str
    state: Literal["generated", "next", "active", "verify-only", "retired", "compromised", "destroyed"]
    algorithm: str
    home: str = Field(description="Where its private half lives.")
    created_at: datetime
    published_at: datetime | None = Field(description="Of the first trust list that named it.")
    not_before: datetime
    retired_from: datetime | None = Field(description="Since when it does not sign.")
    retired_at: datetime | None
    compromised_at: datetime | None
    compromised_from: datetime | None = Field(description="The cut-off; without one, all that it signed is refused.")
    next_change_from: datetime | None = Field(
        description="When it may be promoted, retired or destroyed, whichever comes next in its life."
    )
    live_credentials: int = Field(description="Unexpired credentials that name it.")
    last_expiry: datetime | None = Field(description="When the last of them ends.")
    jwk: dict[str, str]


class AdviceAnswer(BaseModel):
    """Something to do, or to know."""

    kind: Literal["due", "late", "unsafe"]
    code: str = Field(description="Stable.")
    purpose: str | None
    kid: str | None
    since: datetime | None = Field(description="When it became so.")
    until: datetime | None = Field(description="Before when it should be done.")
    text: str = Field(description="For a person, in the language that the request prefers.")


class ScheduleAnswer(BaseModel):
    """A schedule of rotation."""

    purpose: str
    every_seconds: int
    set_by: str
    set_at: datetime


class KeysAnswer(BaseModel):
    """Every key, oldest first, and what is due, late or unsafe, most pressing first."""

    keys: list[KeyAnswer]
    advice: list[AdviceAnswer]
    schedules: list[ScheduleAnswer]


class ConsequencesAnswer(BaseModel):
    """What a change would bring. Nothing was changed."""

    dry_run: Literal[True]
    action: str
    subject: str
    purpose: str
    possible: bool
    refused: str | None = Field(description="The code of the rule that forbids it now.")
    possible_from: datetime | None
    live_credentials: int
    open_issuances: int
    last_expiry: datetime | None
    stale_after_seconds: int = Field(
        description="Verifiers whose trust list is older than this may still act on what was before."
    )
    everywhere_at: datetime | None = Field(description="When the last verifier must have heard of it.")
    successor: str | None = Field(description="The waiting key that would sign.")
    stops_signing: bool = Field(description="Nothing would be signed for this purpose afterwards.")
    ceremony: bool = Field(description="The roots are offline: verifiers hear of it only after a ceremony.")
    reissue: int = Field(description="Credentials that would have to be issued again.")
    approvals: int = Field(description="How many other people must agree.")
    text: list[str] = Field(description="For a person, in the language that the request prefers.")
