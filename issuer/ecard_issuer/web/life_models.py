"""What the routes of a card's life take and give, as OpenAPI shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictBool, StrictStr

from ecard_card.acting import IN_PERSON, Channel, Ground
from ecard_card.card import Holder, IdNumber
from ecard_issuer.life.office import channel_of
from ecard_issuer.life.values import Asked, CancellationCause, LossKind, ReplacementReason
from ecard_issuer.life.who import Who
from ecard_issuer.web.acting_models import ActingBody
from ecard_issuer.web.models import Body, HolderBody, Reference, RequestId
from ecard_verifier.callers import Caller

Region = Annotated[StrictStr, Field(pattern="^[0-9]{6}$", description="Which of the holder's cards, by its region.")]
EcardId = Annotated[StrictStr, Field(pattern="^[0-9a-f]{1,64}$", description="The e-card that the card carries.")]


class ByBody(Body):
    """By which way a wish came, and on which ground."""

    channel: Channel | None = Field(
        None, description="By which way the holder asks. Desks, hotlines and operators have a usual one."
    )
    acting: ActingBody | None = Field(None, description="Left out: the holder acts.")

    def asked(self, caller: Caller, request_id: str = "") -> Asked:
        """Raises `InvalidInput` `bad_acting`, `channel_needed`; `NotAllowed` `channel_not_yours`."""
        acting = self.acting.to_acting() if self.acting is not None else IN_PERSON
        return Asked(request_id, caller, channel_of(caller, self.channel), acting)


class CaseBody(ByBody):
    """Which card: exactly one of `card_ref`, `ecard_id` and `holder`."""

    request_id: RequestId
    card_ref: Reference | None = None
    ecard_id: EcardId | None = None
    holder: HolderBody | None = Field(None, description="The person; with several cards say the `region` too.")
    region: Region | None = None

    def who(self) -> Who:
        """Raises `InvalidInput` `bad_search`, `bad_id_number`, `bad_name`."""
        holder = None
        if self.holder is not None:
            holder = Holder(IdNumber(self.holder.id_number), self.holder.name)
        return Who(self.card_ref, self.ecard_id, holder, self.region)


class LossBody(CaseBody):
    """A loss, temporary (ends by itself where the region says so) or formal."""

    kind: LossKind = LossKind.TEMPORARY


class ReleaseBody(CaseBody):
    """A card that was found."""


class ReplacementOrder(CaseBody):
    """A new card for an old one."""

    reason: ReplacementReason
    new_name: StrictStr | None = Field(None, max_length=100, repr=False, description="With `changed_data`.")
    new_id_number: StrictStr | None = Field(None, max_length=18, repr=False, description="With `changed_data`.")


class ReplacementMadeBody(Body):
    """The card that was made."""

    card_ref: Reference = Field(description="The new card's `card_ref`, registered before.")


class CollectedBody(ByBody):
    """The new card is in the hand of whoever may collect it."""

    enrolment_id: Reference | None = Field(None, description="A proven enrolment of the new card's chip.")


class WithdrawnBody(ByBody):
    """No new card is wanted any more."""


class CancellationBody(CaseBody):
    """The end of a card."""

    cause: CancellationCause
    proof: StrictStr = Field(
        "", max_length=200, repr=False, description="The document that was seen, by its number. Kept sealed."
    )


class HolderLockBody(CaseBody):
    """The holder shuts their e-card, or opens it again."""

    locked: StrictBool


class UseConsentBody(CaseBody):
    """The holder permits the e-card's use in the card's present status, or takes that back."""

    given: StrictBool


class Remains(BaseModel):
    """Something that this did not do."""

    code: str
    text: str = Field(description="In the language asked for.")


class Touched(BaseModel):
    """The four objects that people take for one."""

    card: bool
    ecard: bool
    bank_account: Literal[False]
    phone: Literal[False]


class CaseStep(BaseModel):
    """A state that the case came into."""

    state: str
    at: str


class CaseAnswer(BaseModel):
    """What was asked, what it did, and what is left to do."""

    case_id: str
    kind: Literal["loss", "release", "replacement", "cancellation", "holder_lock", "consent"]
    state: Literal["done", "open", "ended", "ordered", "made", "ready", "collected", "withdrawn"]
    why: str = Field(description="The kind of loss, the reason of the replacement, the cause of the cancellation.")
    applied: bool = Field(description="False: all was so already.")
    card_ref: str
    new_card_ref: str | None
    also: list[str] = Field(description="Further cards that were cancelled with this one.")
    left: list[str] = Field(description="After a cancellation: the person's cards that are not cancelled.")
    region: str
    status: int = Field(description="Of the card (AAZ502); of the new one, once it is collected.")
    ecard_status: Literal["valid", "invalid", "suspended"]
    channel: Channel
    ground: Ground
    opened_at: datetime
    changed_at: datetime
    ends_at: datetime | None = Field(description="When a temporary loss ends by itself.")
    ends_by: Literal["release", "escalate", "cancel"] | None
    touched: Touched
    remains: list[Remains]
    steps: list[CaseStep]
