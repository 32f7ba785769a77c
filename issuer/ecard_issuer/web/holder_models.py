"""What the routes of levels, family and a holder's cards take and give."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field, StrictStr

from ecard_card.acting import IN_PERSON
from ecard_card.card import IdNumber
from ecard_issuer.family.family import Consent
from ecard_issuer.family.link import FamilyEnd, Proof, Relation, Side
from ecard_issuer.levels.business import BusinessType
from ecard_issuer.levels.opening import Closing
from ecard_issuer.pins.secret import Secret
from ecard_issuer.web.acting_models import ActingBody
from ecard_issuer.web.models import EventId, Reference
from ecard_issuer.web.secret_models import Digits, Document, EcardBody, ForHolder, Unsaid

Number = Annotated[
    StrictStr,
    Field(
        min_length=18,
        max_length=18,
        description="ID number (社会保障号码).",
        examples=["000000199001050714"],
    ),
]
ConsentText = Annotated[
    StrictStr, Field(pattern="^[A-Za-z0-9._:-]{1,64}$", description="Names the text that was agreed to.")
]


class OpenLevel(EcardBody, ForHolder):
    """Payment and settlement, with a consent of its own."""

    password: Digits = Field(description="The e-card password, which each payment will ask for.")
    consent: ConsentText


class CloseLevel(EcardBody, ForHolder):
    """Payment and settlement are to end."""

    closing: Closing = Field(Closing.HOLDER, description="`release`: the e-card was taken out of the app (解除关联).")


class LevelAnswer(BaseModel):
    """How far an e-card is issued."""

    ecard_id: str
    level: Literal[1, 2] = Field(description="1 identity only (一级签发), 2 payment and settlement too (二级签发).")
    usable: bool = Field(description="Whether its card's status permits use now.")
    opened_at: datetime | None
    consent: str | None
    closed_at: datetime | None
    closing: Closing | None
    business_types: list[BusinessType] = Field(description="What it is good for at this level.")


class ConsentBody(Unsaid):
    """The relative's consent: by their e-card password, before a clerk, or by their guardian (`acting`)."""

    text: ConsentText
    acting: ActingBody | None = None
    ecard_password: Digits | None = Field(None, description="The relative's own.")
    document_number: Document | None = Field(None, description="The relative's; for clerks only.")
    until: AwareDatetime | None = Field(None, description="Ends the consent; without it, it is good until revoked.")

    def to_consent(self) -> Consent:
        """Raises `InvalidInput` `bad_acting`, `secret_not_six_digits`, `bad_id_number`, `bad_consent`."""
        return Consent(
            text=self.text,
            acting=IN_PERSON if self.acting is None else self.acting.to_acting(),
            password=None if self.ecard_password is None else Secret.typed(self.ecard_password),
            document=None if self.document_number is None else IdNumber(self.document_number),
            until=self.until,
        )


class AddRelative(Unsaid):
    """Who shows whose e-card."""

    viewer: Number
    relative: Number
    relation: Relation = Field(description="What the relative is to the one who shows.")
    ecard_id: Reference | None = Field(None, description="Which e-card of the relative's; default: of the newest card.")
    consent: ConsentBody


class FindFamily(Unsaid):
    """Whose links."""

    id_number: Number


class EndLink(ForHolder):
    """Who ends it: either side."""

    id_number: Number


class Shown(Unsaid):
    """That the e-card is being shown."""

    viewer: Number
    showing_id: EventId


class FamilyLinkAnswer(BaseModel):
    """A link as one side sees it."""

    link_id: str
    side: Side
    relation: Relation
    other: str = Field(description="The other person, by a reference that is the asking caller's own.")
    ecard_id: str
    proof: Proof
    started_at: datetime
    ends_at: datetime | None
    over: FamilyEnd | None = Field(description="Why it holds no longer.")


class FamilyLinksAnswer(BaseModel):
    """All links of a person."""

    links: list[FamilyLinkAnswer]


class ShownAnswer(BaseModel):
    """Recorded for both; `recorded` is false for a repetition."""

    link_id: str
    ecard_id: str
    recorded: bool


class FindHolderCards(Unsaid):
    """Whose cards, and for which counter."""

    id_number: Number
    region: StrictStr | None = Field(None, pattern="^[0-9]{6}$", description="Of the counter (GB/T 2260).")


class HeldCardAnswer(BaseModel):
    """One card of a person."""

    card_ref: str
    region: str = Field(description="Place of issue (AAB301).")
    status: int = Field(description="Code table AAZ502.")
    ecard_status: Literal["valid", "invalid", "suspended"]
    issued_on: date
    expires_on: date


class HolderCardsAnswer(BaseModel):
    """A person's cards by region; `met` is the one that the counter would meet."""

    cards: list[HeldCardAnswer]
    met: str | None = Field(description="Its `card_ref`; null without a region, or where no card is left.")
