"""What the routes of PINs and e-card passwords take and give, and what holders' other bodies are made of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictStr

from ecard_card.acting import IN_PERSON, Acting
from ecard_card.card import IdentificationCode
from ecard_card.errors import InvalidInput
from ecard_issuer.levels.business import BusinessType
from ecard_issuer.people import References
from ecard_issuer.pins.secret import SecretAct
from ecard_issuer.web.acting_models import ActingBody
from ecard_issuer.web.models import Body, EventId, Reference

Digits = Annotated[StrictStr, Field(min_length=1, max_length=16, description="Six digits, as typed; never in a URL.")]
Document = Annotated[
    StrictStr,
    Field(
        min_length=18,
        max_length=18,
        description="The number on the holder's identity document, as the clerk has read it there.",
    ),
]


class Unsaid(Body):
    """A body of which `repr` shows nothing: what people typed stands in it."""

    def __repr_args__(self) -> Iterable[tuple[str | None, object]]:
        return ()


class ForHolder(Unsaid):
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


class ChangePin(CardChoice, ForHolder):
    """The old PIN and the new one."""

    old_pin: Digits
    new_pin: Digits
    ecard_password: Digits | None = Field(
        None, description="Where the holder typed it too: the PIN must differ from it. Compared with nothing else."
    )
    event_id: EventId | None = None


class ResetPin(CardChoice, ForHolder):
    """A forgotten PIN, at a desk."""

    document_number: Document
    new_pin: Digits | None = Field(None, description="Typed by the holder there; without it the initial PIN is back.")
    event_id: EventId | None = None


class UnlockPin(CardChoice, ForHolder):
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


class EcardBody(Unsaid):
    ecard_id: Reference


class ShowEcard(EcardBody):
    """Which e-card."""


class VerifyPassword(EcardBody):
    """An e-card password typed, for a payment."""

    password: Digits


class SetPassword(EcardBody, ForHolder):
    """The first e-card password."""

    password: Digits
    card_pin: Digits | None = Field(None, description="Where the holder typed it too: the password must differ.")
    event_id: EventId | None = None


class ChangePassword(EcardBody, ForHolder):
    """The old password and the new one."""

    old_password: Digits
    new_password: Digits
    card_pin: Digits | None = Field(None, description="Where the holder typed it too: the password must differ.")
    event_id: EventId | None = None


class ResetPassword(EcardBody, ForHolder):
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
