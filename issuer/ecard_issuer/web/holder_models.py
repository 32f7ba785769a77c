"""What the routes of PINs, e-card passwords, levels, family and a holder's cards take and give."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field, StrictStr

from ecard_card.acting import IN_PERSON, Acting, Ground
from ecard_card.card import IdentificationCode, IdNumber
from ecard_card.errors import InvalidInput
from ecard_issuer.family.family import Consent
from ecard_issuer.family.link import LinkEnd, Proof, Relation, Side
from ecard_issuer.levels.business import BusinessType
from ecard_issuer.levels.opening import Closing
from ecard_issuer.people import References
from ecard_issuer.pins.secret import Secret, SecretAct
from ecard_issuer.web.models import Body, EventId, Reference

Digits = Annotated[StrictStr, Field(min_length=1, max_length=16, description="Six digits, as typed; never in a URL.")]
Number = Annotated[
    StrictStr,
    Field(
        min_length=18,
        max_length=18,
        description="ID number (社会保障号码).",
        examples=["000000199001050714"],
    ),
]
Document = Annotated[
    StrictStr,
    Field(
        min_length=18,
        max_length=18,
        description="The number on the holder's identity document, as the clerk has read it there.",
    ),
]
ConsentText = Annotated[
    StrictStr, Field(pattern="^[A-Za-z0-9._:-]{1,64}$", description="Names the text that was agreed to.")
]


class Unsaid(Body):
    """A body of which `repr` shows nothing: what people typed stands in it."""

    def __repr_args__(self) -> Iterable[tuple[str | None, object]]:
        return ()


class ActingBody(Body):
    """Who acts; without it the holder."""

    ground: Ground
    mandate_id: StrictStr | None = Field(None, max_length=64, pattern="^[A-Za-z0-9._:-]{1,64}$")

    def to_acting(self) -> Acting:
        """Raises `InvalidInput` `bad_acting`."""
        return Acting(self.ground, self.mandate_id)


class _ForHolder(Unsaid):
    acting: ActingBody | None = None

    @property
    def who(self) -> Acting:
        """Raises `InvalidInput` `bad_acting`."""
        return IN_PERSON if self.acting is None else self.acting.to_acting()


class CardChoice(Unsaid):
    """Which card: by its reference, or by the identification code that a reader finds on the chip."""

    card_ref: Reference | None = None
    identification_code: StrictStr | None = Field(None, max_length=32)

    def ref(self, references: References) -> str:
        """Raises `InvalidInput` `bad_search`, `bad_identification_code`."""
        match (self.card_ref, self.identification_code):
            case (str(card_ref), None):
                return card_ref
            case (None, str(code)):
                return references.card(IdentificationCode(code))
        raise InvalidInput("bad_search", "give exactly one of card_ref and identification_code")


class VerifyPin(CardChoice):
    """A PIN typed for some business."""

    pin: Digits
    business_type: BusinessType = Field(description="01 query, 02 payment, 03 other, 04 medical care elsewhere.")


class ChangePin(CardChoice, _ForHolder):
    """The old PIN and the new one."""

    old_pin: Digits
    new_pin: Digits
    ecard_password: Digits | None = Field(
        None, description="Where the holder typed it too: the PIN must differ from it. Compared with nothing else."
    )
    event_id: EventId | None = None


class ResetPin(CardChoice, _ForHolder):
    """A forgotten PIN, at a desk."""

    document_number: Document
    new_pin: Digits | None = Field(None, description="Typed by the holder there; without it the initial PIN is back.")
    event_id: EventId | None = None


class UnlockPin(CardChoice, _ForHolder):
    """A locked PIN, at a desk."""

    document_number: Document
    event_id: EventId | None = None


class Nothing(Body):
    """No members."""


class PinAnswer(BaseModel):
    """What may be said of a PIN."""

    card_ref: str
    initial: bool = Field(description="Nobody has chosen one yet.")
    may_query: bool
    may_transact: bool = Field(description="False for the initial PIN and for a locked one.")
    locked: bool
    tries_left: int
    unlocks_left: int = Field(description="In this card's life; then it has to be replaced.")
    changed_at: datetime | None


class ActAnswer(BaseModel):
    """What was done to a PIN or password; the same for a repetition."""

    act: SecretAct
    event_id: str
    at: datetime


class ElsewhereAnswer(BaseModel):
    """Where this business is done."""

    code: str
    go_to: Literal["partner_bank"]
    text: dict[str, str] = Field(description="For the person, in `en` and `zh`.")


class _EcardBody(Unsaid):
    ecard_id: Reference


class ShowEcard(_EcardBody):
    """Which e-card."""


class VerifyPassword(_EcardBody):
    """An e-card password typed, for a payment."""

    password: Digits


class SetPassword(_EcardBody, _ForHolder):
    """The first e-card password."""

    password: Digits
    card_pin: Digits | None = Field(None, description="Where the holder typed it too: the password must differ.")
    event_id: EventId | None = None


class ChangePassword(_EcardBody, _ForHolder):
    """The old password and the new one."""

    old_password: Digits
    new_password: Digits
    card_pin: Digits | None = Field(None, description="Where the holder typed it too: the password must differ.")
    event_id: EventId | None = None


class ResetPassword(_EcardBody, _ForHolder):
    """A forgotten or locked password: after a clerk has seen the document, or the channel has checked the face."""

    document_number: Document
    new_password: Digits
    event_id: EventId | None = None


class PasswordAnswer(BaseModel):
    """What may be said of an e-card password."""

    ecard_id: str
    is_set: bool
    locked: bool
    tries_left: int
    changed_at: datetime | None


class OpenLevel(_EcardBody, _ForHolder):
    """Payment and settlement, with a consent of its own."""

    password: Digits = Field(description="The e-card password, which each payment will ask for.")
    consent: ConsentText


class CloseLevel(_EcardBody, _ForHolder):
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


class EndLink(_ForHolder):
    """Who ends it: either side."""

    id_number: Number


class Shown(Unsaid):
    """That the e-card is being shown."""

    viewer: Number
    showing_id: EventId


class LinkAnswer(BaseModel):
    """A link as one side sees it."""

    link_id: str
    side: Side
    relation: Relation
    other: str = Field(description="The other person, by a reference that is the asking caller's own.")
    ecard_id: str
    proof: Proof
    started_at: datetime
    ends_at: datetime | None
    over: LinkEnd | None = Field(description="Why it holds no longer.")


class LinksAnswer(BaseModel):
    """All links of a person."""

    links: list[LinkAnswer]


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
