"""What the routes of mandates take and give."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field, StrictStr

from ecard_card.acting import Act, Ground
from ecard_issuer.mandates.values import MAX_EVIDENCE, AgentRelation, Form, MandateCause, NewMandate, Proof
from ecard_issuer.web.models import Body, RequestId
from ecard_issuer.web.people_models import PersonBody, Region


class ProofBody(Body):
    """What shows that somebody wished it."""

    form: Form
    reference: StrictStr = Field(
        min_length=1, max_length=MAX_EVIDENCE, repr=False, description="The paper or record; sealed at rest."
    )
    given_at: AwareDatetime = Field(description="RFC 3339 with its zone.")
    given_by: Literal["holder", "guardian"] = Field("holder", description="For a minor: their guardian.")

    def to_proof(self) -> Proof:
        return Proof(self.form, self.reference, self.given_at.astimezone(UTC), self.given_by)


class NewMandateBody(Body):
    """A mandate, with both people."""

    request_id: RequestId
    region: Region
    holder: PersonBody = Field(description="For whom.")
    agent: PersonBody = Field(description="Who acts.")
    ground: Literal[Ground.GUARDIAN, Ground.MANDATE]
    cause: MandateCause = Field(description="`minor` and `incapable` are a guardian's.")
    relation: AgentRelation
    acts: list[Act] = Field(min_length=1, max_length=len(Act), description="An agent never `activate_bank_account`.")
    starts_at: AwareDatetime
    ends_at: AwareDatetime | None = Field(
        None, description="Needed for a written mandate. A minor's ends with the sixteenth birthday by itself."
    )
    proof: ProofBody

    def to_mandate(self) -> NewMandate:
        """Raises the `InvalidInput` of whichever part is wrong."""
        return NewMandate(
            holder=self.holder.to_holder(),
            agent=self.agent.to_holder(),
            ground=self.ground,
            cause=self.cause,
            relation=self.relation,
            acts=frozenset(self.acts),
            starts_at=self.starts_at.astimezone(UTC),
            ends_at=None if self.ends_at is None else self.ends_at.astimezone(UTC),
            proof=self.proof.to_proof(),
            region=self.region,
        )


class MandateAnswer(BaseModel):
    """A mandate without anything that names a person."""

    mandate_id: str
    state: Literal["waiting", "live", "ended", "revoked"]
    holder_ref: str
    agent_ref: str | None = Field(description="The agent, if they are a person.")
    agency: str | None = Field(description="The agency, if it is one.")
    ground: Ground
    cause: MandateCause
    relation: AgentRelation
    acts: list[Act]
    starts_at: datetime
    ends_at: datetime | None = Field(description="Not by itself where it is null.")
    checked_by: str
    created_at: datetime
    revoked_at: datetime | None
    revoked_by: str | None


class PersonAnswer(BaseModel):
    """A person."""

    id_number: str
    name: str


class DocumentMark(BaseModel):
    """That a document is there."""

    media_type: str
    size: int


class ProofAnswer(BaseModel):
    """What shows it."""

    form: Form
    reference: str
    given_at: datetime
    given_by: str


class OpenedMandateAnswer(BaseModel):
    """A mandate with both people and its proof."""

    mandate: MandateAnswer
    holder: PersonAnswer
    agent: PersonAnswer | None
    proof: ProofAnswer
    document: DocumentMark | None


class MandatesAnswer(BaseModel):
    """Those that the person gave, then those that they were given."""

    mandates: list[MandateAnswer]
