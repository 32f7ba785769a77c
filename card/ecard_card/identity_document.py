"""Identity documents by the national document types 01 to 08, and the social security number that follows from each.

What is sourced and what is a judgement stands in decision 0029.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ecard_card.card import IdNumber, NumberKind
from ecard_card.errors import InvalidInput

_WIDTHS: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: " "}
_COUNTRY: Final = re.compile(r"[A-Z]{3}")
_OLD_RESIDENT: Final = re.compile(r"[A-Z]{3}[0-9]{12}")
_PASSPORT: Final = re.compile(r"(?=.*[1-9A-Z])[A-Z0-9]{5,14}")
_CERTIFICATE: Final = re.compile(r"[0-9A-Z\u4e00-\u9fff-]{4,24}")  # e.g. 军字第1234567号
_PASS: Final = {
    "04": re.compile(r"H[0-9]{8}([0-9]{2})?"),  # 港澳居民来往内地通行证; two more digits told its renewals
    "05": re.compile(r"M[0-9]{8}([0-9]{2})?"),
    "06": re.compile(r"[0-9]{8}"),  # 台湾居民来往大陆通行证
}
_REGION_OF: Final = {"04": "HKG", "05": "MAC", "06": "TWN"}


class DocumentKind(StrEnum):
    """The national document type."""

    IDENTITY_CARD = "01"  # 居民身份证, or the household register (户口簿)
    OFFICER = "02"  # 军官证
    ARMED_POLICE = "03"  # 武警警官证
    HONG_KONG = "04"  # residence permit, or the pass of a Hong Kong resident
    MACAO = "05"
    TAIWAN = "06"
    FOREIGN_RESIDENT = "07"  # 外国人永久居留证
    PASSPORT = "08"


#: Which kind of number stands on a document, where it is an 18-digit one.
_NUMBERED: Final = {
    DocumentKind.IDENTITY_CARD: NumberKind.CITIZEN,
    DocumentKind.HONG_KONG: NumberKind.HONG_KONG,
    DocumentKind.MACAO: NumberKind.MACAO,
    DocumentKind.TAIWAN: NumberKind.TAIWAN,
    DocumentKind.FOREIGN_RESIDENT: NumberKind.FOREIGN_RESIDENT,
}


def as_typed(number: str) -> str:
    """A document's number as people type it, in its one form: upper case, half width, without spaces."""
    return number.translate(_WIDTHS).replace(" ", "").upper()


@dataclass(frozen=True, slots=True)
class IdentityDocument:
    """A valid document. `country` (ISO 3166-1, three letters) is for passports.

    Raises `InvalidInput` `bad_document_number` (`bad_id_number` where an 18-digit number has a wrong check character
    or birth date), `bad_country`.
    """

    kind: DocumentKind
    number: str = field(repr=False)
    country: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        passport = self.kind is DocumentKind.PASSPORT
        if passport is (self.country is None) or not _COUNTRY.fullmatch(self.country or "AAA"):
            raise InvalidInput("bad_country", "a passport has a country of three letters, and nothing else has one")
        if not self._well_formed():
            raise InvalidInput("bad_document_number", "not the number of such a document")

    def _well_formed(self) -> bool:
        if self._has_own_number():
            return IdNumber(self.number).kind is _NUMBERED[self.kind]
        match self.kind:
            case DocumentKind.OFFICER | DocumentKind.ARMED_POLICE:
                return _CERTIFICATE.fullmatch(self.number) is not None
            case DocumentKind.HONG_KONG | DocumentKind.MACAO | DocumentKind.TAIWAN:
                return _PASS[self.kind].fullmatch(self.number) is not None
            case DocumentKind.FOREIGN_RESIDENT:
                return _OLD_RESIDENT.fullmatch(self.number) is not None
            case DocumentKind.PASSPORT:
                return _PASSPORT.fullmatch(self.number) is not None
        return False

    def _has_own_number(self) -> bool:
        return self.kind is DocumentKind.IDENTITY_CARD or (self.kind in _NUMBERED and len(self.number) == 18)

    @property
    def id_number(self) -> IdNumber | None:
        """The social security number that follows from the document; None for officers and armed police, whose
        certificate does not have it."""
        if self._has_own_number():
            return IdNumber(self.number)
        match self.kind:
            case DocumentKind.OFFICER | DocumentKind.ARMED_POLICE:
                return None
            case DocumentKind.FOREIGN_RESIDENT:
                return _made(self.number[:3], self.number[3:])
            case DocumentKind.PASSPORT:
                return _made(self.country or "", self.number)
        return _made(_REGION_OF[self.kind], self.number[:9])


def number_of(document: IdentityDocument, given: IdNumber | None) -> IdNumber:
    """The person's number: as the document says, else as given.

    Raises `InvalidInput` `id_number_needed`, `id_number_differs`.
    """
    own = document.id_number
    # The reserved digit tells apart two people whose documents give one number; it is not on the document.
    if own is not None and given is not None and _without_reserve(own) != _without_reserve(given):
        raise InvalidInput("id_number_differs", "the document gives another number")
    number = given or own
    if number is None:
        raise InvalidInput("id_number_needed", "this document does not show the person's number")
    if own is None and number.kind is not NumberKind.CITIZEN:
        raise InvalidInput("id_number_differs", "whoever has this document has a citizen's number")
    return number


def _made(code: str, number: str) -> IdNumber:
    return IdNumber(f"{code}0{number.rjust(14, '0')}")


def _without_reserve(number: IdNumber) -> str:
    return number.text[:3] + number.text[4:] if number.kind is NumberKind.FOREIGN else number.text
