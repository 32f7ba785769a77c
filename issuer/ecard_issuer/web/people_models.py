"""Parts of bodies about people: a person with their document, who acts, files."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictStr

from ecard_card.card import Holder, IdNumber
from ecard_card.errors import InvalidInput
from ecard_card.identity_document import DocumentKind, IdentityDocument, as_typed, number_of
from ecard_card.life import LifeStatus
from ecard_card.person_name import as_written
from ecard_issuer.documents import MAX_COPY
from ecard_issuer.web.models import Body

Region = Annotated[StrictStr, Field(pattern="^[0-9]{6}$", description="Six digits (GB/T 2260).", examples=["000000"])]
Note = Annotated[StrictStr, Field(max_length=500, repr=False, description="For the person; sealed at rest.")]
Number = Annotated[StrictStr, Field(min_length=1, max_length=40)]
#: Base64 of the largest copy.
Content = Annotated[
    StrictStr, Field(min_length=4, max_length=(MAX_COPY + 2) // 3 * 4, repr=False, description="Base64 (RFC 4648).")
]


class DocumentBody(Body):
    """An identity document."""

    kind: DocumentKind = Field(description="National document type, 01 to 08.", examples=["01"])
    number: Number = Field(repr=False, description="As printed; case, width and spaces do not matter.")
    country: StrictStr | None = Field(
        None, pattern="^[A-Z]{3}$", repr=False, description="Of a passport, ISO 3166-1 in three letters."
    )

    def to_document(self) -> IdentityDocument:
        """Raises the `InvalidInput` of `IdentityDocument`."""
        return IdentityDocument(self.kind, as_typed(self.number), self.country)


class PersonBody(Body):
    """A person as their document shows them."""

    document: DocumentBody
    name: StrictStr = Field(min_length=1, max_length=200, repr=False, description="As on the document.")
    id_number: Number | None = Field(
        None, repr=False, description="Where the document does not show it (types 02 and 03)."
    )
    born: date | None = Field(None, repr=False, description="Where the number does not tell it (passports).")

    def number(self) -> IdNumber | None:
        return None if self.id_number is None else IdNumber(as_typed(self.id_number))

    def to_holder(self) -> Holder:
        """Raises the `InvalidInput` of whichever part is wrong."""
        return Holder(number_of(self.document.to_document(), self.number()), as_written(self.name), self.born)


class FileBody(Body):
    """A file."""

    media_type: Literal["image/jpeg", "image/png", "application/pdf"]
    content: Content

    def to_bytes(self) -> bytes:
        """Raises `InvalidInput` `document_type_refused`."""
        try:
            return b64decode(self.content, validate=True)
        except (Base64Error, ValueError):
            raise InvalidInput("document_type_refused", "the content is not Base64") from None


class FindPersonBody(Body):
    """Whose records are looked for."""

    id_number: Number = Field(repr=False)

    def number(self) -> IdNumber:
        """Raises `InvalidInput` `bad_id_number`."""
        return IdNumber(as_typed(self.id_number))


class LifeBody(FindPersonBody):
    """What is known of a person's life."""

    life: LifeStatus = Field(examples=["dead"])
    since: date = Field(description="A day in China, not to come.", repr=False)


class LifeAnswer(BaseModel):
    """As recorded."""

    life: LifeStatus
    since: date
    applied: bool = Field(description="False where something recorded later stands.")
