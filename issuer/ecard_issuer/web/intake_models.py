"""What the routes of the intake take and give, as OpenAPI shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictStr

from ecard_issuer.intake.sources import MAX_KEYS, MAX_REGIONS, Source
from ecard_issuer.intake.states import Delivery
from ecard_issuer.web.models import Body

Region = Annotated[StrictStr, Field(pattern="^[0-9]{6}$")]


class SourceKey(BaseModel):
    """A public key of a source (RFC 7517). Private members are refused."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    kty: Literal["EC"]
    crv: Literal["P-256", "SM2"]
    x: Annotated[StrictStr, Field(pattern="^[A-Za-z0-9_-]{43}$")]
    y: Annotated[StrictStr, Field(pattern="^[A-Za-z0-9_-]{43}$")]
    kid: StrictStr = Field(min_length=1, max_length=256, description="As in the header of its tokens.")
    alg: Literal["ES256", "SM2"] | None = None
    use: Literal["sig"] | None = None


class SourceBody(Body):
    """A physical card system whose events are taken."""

    issuer: StrictStr = Field(max_length=512, description="`iss` of its tokens.", examples=["https://cards.example"])
    keys: list[SourceKey] = Field(min_length=1, max_length=MAX_KEYS, description="Nothing else is ever fetched.")
    regions: list[Region] = Field(
        min_length=1, max_length=MAX_REGIONS, description="Whose cards it may speak of.", examples=[["330100"]]
    )
    audience: StrictStr = Field(min_length=1, max_length=512, description="`aud` of its tokens.")
    delivery: Literal["push", "poll"] = Field("push", description="RFC 8935 or RFC 8936.")
    poll_url: StrictStr | None = Field(None, max_length=512, description="Where to ask, for delivery by poll.")
    poll_token: StrictStr | None = Field(
        None, min_length=1, max_length=4096, repr=False, description="The bearer token to ask with; never shown again."
    )

    def to_source(self, name: str) -> Source:
        """As a noun, without the token. Raises `InvalidInput` `bad_source`."""
        return Source(
            name=name,
            issuer=self.issuer,
            keys=tuple(key.model_dump(exclude_none=True) for key in self.keys),
            regions=tuple(self.regions),
            audience=self.audience,
            delivery=Delivery(self.delivery),
            poll_url=self.poll_url,
        )


class SourceAnswer(BaseModel):
    """A source as registered, without its poll token."""

    name: str
    issuer: str
    keys: list[SourceKey]
    regions: list[str]
    audience: str
    delivery: Literal["push", "poll"]
    poll_url: str | None
    has_poll_token: bool
    created_at: datetime
    created_by: str


class SourcesAnswer(BaseModel):
    """All sources that were not ended."""

    sources: list[SourceAnswer]


class DeliveryError(BaseModel):
    """Why a token was not taken (RFC 8935 §2.3), with our own code beside it."""

    err: Literal["invalid_request", "invalid_key", "invalid_issuer", "invalid_audience", "access_denied"]
    description: str
    code: str


class ExceptionAnswer(BaseModel):
    """Something that came in and that a person must see. Says nothing about a holder."""

    exception_ref: str
    source: str
    code: str
    meaning: str = Field(description="The code in words.")
    card_ref: str | None
    region: str | None
    change: str | None = Field(description="Null where the event could not be read.")
    sequence: int | None
    occurred_at: datetime | None
    first_seen: datetime
    last_seen: datetime
    count: int = Field(description="How often it came.")
    state: Literal["open", "resolved", "dismissed"]
    next_try_at: datetime | None = Field(description="When it is tried again by itself; null: never.")
    tries: int
    decided_by: str | None
    decided_at: datetime | None
    decision: str


class ExceptionsAnswer(BaseModel):
    """Open exceptions, oldest first."""

    exceptions: list[ExceptionAnswer]
    after: str | None = Field(description="Give this as `after` for those that follow; null: there are no more.")
    counts: dict[str, int] = Field(description="How many are open, by code.")


class DismissBody(Body):
    """A decision that nothing follows from an exception."""

    reason: StrictStr = Field(min_length=1, max_length=200, description="For the record. Nothing about a person.")


class GapAnswer(BaseModel):
    """Numbers of a source's sequence for a card that were never seen."""

    source: str
    card_ref: str
    first: int
    last: int
    noticed_at: datetime


class GapsAnswer(BaseModel):
    """Open gaps, by source, oldest first."""

    gaps: list[GapAnswer]


class ReconciliationAnswer(BaseModel):
    """A comparison of the register with a snapshot: sums by kind of difference."""

    report_digest: str = Field(description="SHA-256 of the report's file.")
    region: str
    compared: int
    counts: dict[str, int]
    made_at: datetime
    repaired_at: datetime | None
    repaired_by: str | None
    repairs: dict[str, int]


class ReconciliationsAnswer(BaseModel):
    """Comparisons, newest first."""

    reconciliations: list[ReconciliationAnswer]
