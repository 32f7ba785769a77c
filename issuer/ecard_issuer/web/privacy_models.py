"""What the routes about people's data take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StrictStr

from ecard_card.acting import IN_PERSON, Acting
from ecard_card.card import IdNumber
from ecard_issuer.privacy.values import MAX_PROOF, ErasureGround
from ecard_issuer.web.acting_models import ActingBody
from ecard_issuer.web.models import Body

Id = Annotated[
    StrictStr, Field(pattern="^[A-Za-z0-9._:-]{1,64}$", description="Makes a repetition harmless: choose it once.")
]
IdNumberText = Annotated[
    StrictStr,
    Field(min_length=18, max_length=18, repr=False, description="ID number (社会保障号码), 18 characters."),
]


class ExportBody(Body):
    """Whose data, and who asks for it."""

    export_id: Id
    id_number: IdNumberText
    acting: ActingBody | None = Field(None, description="Default: the person, in person.")

    def to_acting(self) -> Acting:
        """Raises `InvalidInput` `bad_acting`."""
        return IN_PERSON if self.acting is None else self.acting.to_acting()

    def to_id_number(self) -> IdNumber:
        """Raises `InvalidInput` `bad_id_number`."""
        return IdNumber(self.id_number)


class Title(BaseModel):
    """In both languages."""

    en: str
    zh: str


class Section(BaseModel):
    """What one part of the register keeps about the person."""

    section: str
    title: Title
    records: list[dict[str, Any]] = Field(description="Personal data, opened.")


class ExportAnswer(BaseModel):
    """Everything that is kept about a person: personal data, for that person only."""

    format: Literal["ecard-subject-data/1"]
    made_at: datetime
    sections: list[Section]


class ErasureBody(Body):
    """Whom to erase, and why."""

    erasure_id: Id
    id_number: IdNumberText
    ground: Literal["request", "death", "emigration", "mistake", "order"]
    proof: StrictStr = Field(
        min_length=1,
        max_length=MAX_PROOF,
        description="Where the paper is: a file's number. Nothing about the person.",
        examples=["file 2026-0417"],
    )

    def to_id_number(self) -> IdNumber:
        """Raises `InvalidInput` `bad_id_number`."""
        return IdNumber(self.id_number)

    def to_ground(self) -> ErasureGround:
        """The ground as the register has it."""
        return ErasureGround(self.ground)


class ErasureAnswer(BaseModel):
    """An erasure as recorded; `applied` is false for a repetition. Nothing says who it was."""

    erasure_id: str
    applied: bool
    ground: ErasureGround
    proof: str
    asked_by: str
    erased_at: datetime
    scrubbed: bool = Field(
        description="False: the database may keep what it deleted for a while; `ecard privacy scrub` looks after that."
    )
