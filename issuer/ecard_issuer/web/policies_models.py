"""What the routes about policies take and give."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field, StrictBool, StrictStr

from ecard_card.region_policy import MAX_DOCUMENT
from ecard_issuer.web.models import Body


class Texts(BaseModel):
    """In both languages."""

    en: str
    zh: str


class Setting(BaseModel):
    """One setting of a policy."""

    name: str = Field(description="As the document writes it.", examples=["loss.temporary_days"])
    value: str = Field(description="As the document writes it.", examples=["15"])
    text: Texts


class PolicyAnswer(BaseModel):
    """The policy that holds in a region."""

    region: str
    set_for: str = Field(description="The region it was set for: this one, or one above it; 000000 where none was set.")
    effective_from: datetime | None = Field(description="Null where nobody has set one: the strict reading holds.")
    digest: str | None = Field(description="Hex SHA-256 of the document.")
    settings: list[Setting]


class PolicyRecord(BaseModel):
    """One policy as it was set."""

    number: int = Field(description="Counts all policies of this issuer, in the order in which they were set.")
    region: str
    effective_from: datetime
    digest: str
    set_by: str
    set_at: datetime
    document: str = Field(description="TOML, as given.")


class PolicyHistory(BaseModel):
    """Every policy ever set for exactly this region, in the order in which they were set."""

    policies: list[PolicyRecord]


class PolicyBody(Body):
    """A policy and the moment from which it is to hold."""

    document: StrictStr = Field(min_length=1, max_length=MAX_DOCUMENT, description="TOML; see the policies page.")
    effective_from: datetime = Field(
        description="RFC 3339 with its zone, in whole seconds, at least a minute ahead.",
        examples=["2027-01-01T00:00:00+08:00"],
    )
    dry_run: StrictBool = Field(False, description="Only say what would change.")


class DifferenceAnswer(BaseModel):
    """A setting that would change."""

    name: str
    before: str
    after: str


class PreviewAnswer(BaseModel):
    """What a policy would change. Nothing was done."""

    region: str
    effective_from: datetime
    digest: str
    differences: list[DifferenceAnswer]
    cards: int = Field(description="Cards that would be under it.")
    cards_changed: int = Field(description="Cards of which the e-card would have another status at once.")
    words: dict[str, list[str]] = Field(description="The same for a person, by language.")
