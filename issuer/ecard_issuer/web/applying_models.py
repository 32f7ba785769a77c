"""What the routes of applications and of agencies' batches take and give."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field, StrictBool, StrictInt, StrictStr

from ecard_card import jose
from ecard_card.acting import IN_PERSON, Channel, Ground
from ecard_card.card import Card, CardNumber, Chip, Holder, IdentificationCode
from ecard_issuer.applying.batches import MAX_ROW, MOST_ROWS, AgencyRow
from ecard_issuer.applying.values import (
    ApplicationKind,
    ApplicationSource,
    ApplicationState,
    DocumentCopy,
    Entitlement,
    NewApplication,
    RefusalReason,
    Residency,
)
from ecard_issuer.web.acting_models import ActingBody
from ecard_issuer.web.mandates_models import ProofBody
from ecard_issuer.web.models import Body, Reference, RequestId
from ecard_issuer.web.people_models import FileBody, Note, PersonBody, Region

_PHONE = r"^(\+?[0-9][0-9 -]{4,19})?$"


class EligibleBody(Body):
    """A person who asks for a card, and on what their right rests."""

    person: PersonBody
    region: Region
    residency: Residency = Field(description="`registered` in the province, or `entitled` by law.")
    entitlement: Entitlement | None = Field(None, description="What entitles whoever is not registered here.")
    household_register: StrictBool = Field(False, description="Shown by a minor in the place of an identity card.")
    phone: StrictStr = Field("", max_length=20, pattern=_PHONE, repr=False)

    def wish(self, **more: Any) -> NewApplication:
        """The application, with what only its route knows. Raises the `InvalidInput` of whichever part is wrong."""
        return NewApplication(
            document=self.person.document.to_document(),
            name=self.person.name,
            region=self.region,
            residency=self.residency,
            id_number=self.person.number(),
            born=self.person.born,
            entitlement=self.entitlement,
            household_register=self.household_register,
            phone=self.phone,
            **more,
        )


class NewApplicationBody(EligibleBody):
    """An application for a card."""

    request_id: RequestId
    channel: Channel
    kind: ApplicationKind = Field(ApplicationKind.NEW, description="National application type.")
    acting: ActingBody = Field(default_factory=ActingBody)  # type: ignore[arg-type]
    original_seen: StrictBool = Field(False, description="A clerk held the original document.")
    replaces: Reference | None = Field(None, description="The card that a replacement replaces.")

    def to_application(self) -> NewApplication:
        """Raises the `InvalidInput` of whichever part is wrong."""
        return self.wish(
            channel=self.channel,
            kind=self.kind,
            acting=self.acting.to_acting(),
            original_seen=self.original_seen,
            replaces=self.replaces,
        )


class CopyBody(FileBody):
    """A file of an application."""

    kind: DocumentCopy


class CopyKindBody(Body):
    """Which file."""

    kind: DocumentCopy


class FileAnswer(BaseModel):
    """A file: personal data."""

    kind: DocumentCopy
    media_type: str
    content: str = Field(description="Base64.")


class StepBody(Body):
    """A step without more to say."""


class ActingStepBody(Body):
    """A step, and who acts now where that is not who applied."""

    acting: ActingBody | None = None


class RefuseBody(Body):
    """Why an application is refused."""

    reason: RefusalReason = Field(description="Each has a text in both languages.")
    note: Note = ""


class WithdrawBody(Body):
    """Why it is taken back, if somebody says so."""

    note: Note = ""


class ReadyBody(Body):
    """Where the card waits."""

    outlet: StrictStr = Field(pattern="^[A-Za-z0-9._:-]{1,64}$", description="The service point's id.")


class MadeBody(Body):
    """The card that was made, as its maker reports it."""

    identification_code: StrictStr = Field(min_length=32, max_length=32, repr=False)
    card_number: StrictStr = Field(min_length=9, max_length=9, repr=False)
    profile: StrictStr = Field(pattern="^[a-z0-9:._-]{1,64}$", description="The chip profile.")
    issued_on: date
    expires_on: date
    chip_public_key: StrictStr | None = Field(None, max_length=2048, description="DER, base64url.")
    atr_historical: StrictStr | None = Field(None, pattern="^[0-9A-Fa-f]{26}$")

    def to_card(self, holder: Holder) -> Card:
        """The card of `holder`. Raises the `InvalidInput` of whichever part is not one."""
        public_key = None if self.chip_public_key is None else jose.b64url_decode(self.chip_public_key)
        historical = None if self.atr_historical is None else bytes.fromhex(self.atr_historical)
        return Card(
            chip=Chip(IdentificationCode(self.identification_code), self.profile, public_key, historical),
            number=CardNumber(self.card_number),
            holder=holder,
            issued_on=self.issued_on,
            expires_on=self.expires_on,
        )


class NationalAnswer(BaseModel):
    """The state in the national tables."""

    status: str
    audit: str
    production: str


class ActingAnswer(BaseModel):
    """Who acts."""

    ground: Ground
    mandate_id: str | None


class RefusalAnswer(BaseModel):
    """Why it was refused."""

    code: str
    en: str
    zh: str


class ApplicationAnswer(BaseModel):
    """An application without anything about the person."""

    application_id: str
    region: str
    kind: ApplicationKind
    source: ApplicationSource
    channel: Channel
    state: ApplicationState
    national: NationalAnswer
    acting: ActingAnswer
    submitted_at: datetime
    updated_at: datetime
    replaces: str | None
    card_ref: str | None = Field(description="The card that was made.")
    outlet: str | None = Field(description="Where it waits.")
    refusal: RefusalAnswer | None


class WorkAnswer(BaseModel):
    """A page of the work list."""

    applications: list[ApplicationAnswer]
    next: str | None = Field(description="`after` of the next page; null on the last one.")


class ApplicationsAnswer(BaseModel):
    """A person's applications, oldest first."""

    applications: list[ApplicationAnswer]


class ChipNameAnswer(BaseModel):
    """The name as a chip's records hold it (GB18030, upper-case hex)."""

    name: str = Field(description="Tag 09, at most 30 bytes.")
    extension: str = Field(description="Tag 4E (姓名扩展), at most 20 bytes.")
    complete: bool = Field(description="False where 50 bytes do not hold the name.")
    gbk: bool = Field(description="False where a reader that knows only GBK shows something else.")


class CopyMarkAnswer(BaseModel):
    """That a file is there."""

    kind: DocumentCopy
    media_type: str
    size: int
    added_at: datetime


class StepAnswer(BaseModel):
    """A step that was taken."""

    state: ApplicationState
    taken_by: str
    taken_at: datetime
    reason: str | None
    note: str


class OpenedApplicationAnswer(BaseModel):
    """An application with its person."""

    application: ApplicationAnswer
    details: dict[str, Any] = Field(description="What was applied for: personal data.")
    name_on_chip: ChipNameAnswer
    name_differs: bool = Field(description="The register has this person under another name.")
    documents: list[CopyMarkAnswer]
    missing: list[DocumentCopy] = Field(description="What it needs before it is approved.")
    steps: list[StepAnswer]


class AgencyRowBody(EligibleBody):
    """One person of a batch."""

    row: StrictInt = Field(ge=1, le=MAX_ROW, description="The agency's own number of the row.")
    consent: ProofBody
    may_collect: StrictBool = Field(False, description="The consent covers collecting the card too.")

    def to_row(self) -> AgencyRow:
        """Raises the `InvalidInput` of whichever part is wrong."""
        wish = self.wish(channel=Channel.WEBSITE, acting=IN_PERSON)
        return AgencyRow(self.row, wish, self.consent.to_proof(), self.may_collect)


class BatchBody(Body):
    """A piece of a batch. Pieces of one batch have the same id; any of them may be sent again."""

    batch_id: RequestId
    rows: Annotated[list[AgencyRowBody], Field(min_length=1, max_length=MOST_ROWS)]


class BilingualText(BaseModel):
    """A text in both languages."""

    en: str
    zh: str


class RowOutcomeAnswer(BaseModel):
    """What became of a row."""

    row: int
    outcome: str = Field(description="`accepted`, or the code of what refused it.")
    application_id: str | None
    mandate_id: str | None = Field(description="The consent as recorded: revoke it to withdraw it.")
    text: BilingualText | None


class BatchAnswer(BaseModel):
    """The outcomes of the rows that were sent."""

    batch_id: str
    rows: list[RowOutcomeAnswer]


class BatchPageAnswer(BatchAnswer):
    """A page of a batch's outcomes, and how many rows have which."""

    counts: dict[str, int]
    next: int | None = Field(description="`after` of the next page; null on the last one.")
