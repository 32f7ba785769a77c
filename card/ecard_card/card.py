"""Card, chip, holder and binding: frozen and valid by construction.

Sources: card identification code AAZ501 (32 hex digits), card number AAZ500 with its check character,
citizen ID number GB 11643; permanent residence ID number of 2023 (18 digits, begins with 9, the same check).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum, StrEnum
from unicodedata import category

from ecard_card.errors import InvalidInput

_IDENTIFICATION_CODE = re.compile(r"[0-9]{6}D156000005[0-9A-F]{16}")
_CARD_NUMBER = re.compile(r"[0-9A-Z]{9}")
_CARD_NUMBER_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_ID_NUMBER = re.compile(r"[0-9]{17}[0-9X]")
_FOREIGN_NUMBER = re.compile(r"[A-Z]{3}[0-9](?=[0-9A-Z]*[1-9A-Z])[0-9A-Z]{14}")
_ID_NUMBER_WEIGHTS = tuple(2 ** (17 - i) % 11 for i in range(17))


class ChipAssurance(IntEnum):
    """How the chip was proven, weakest first. Derived from evidence only; rises only by a new enrolment."""

    DECLARED = 0  # typed, chip not read
    READ = 1  # identifiers read: a copy would pass
    CHALLENGE = 2  # the chip answered fresh randoms under its card key; judged by the key holder
    SIGNATURE = 3  # an on-chip private key signed a fresh challenge; anyone can check again

    @property
    def label(self) -> str:
        """The name used in claims and JSON, e.g. `challenge`."""
        return self.name.lower()

    @classmethod
    def from_label(cls, label: str) -> ChipAssurance:
        """Inverse of `label`; raises `InvalidInput` `unknown_chip_assurance`."""
        level = _ASSURANCE_BY_LABEL.get(label)
        if level is None:
            raise InvalidInput("unknown_chip_assurance", "not one of declared, read, challenge, signature")
        return level


_ASSURANCE_BY_LABEL = {level.label: level for level in ChipAssurance}


class HolderProof(IntEnum):
    """How the one who got the credential was proven to be the card's holder."""

    CHIP = 1  # had the physical card: its chip was there
    PIN = 2  # knew the card's social-security PIN
    IDENTITY = 3  # a registered identity-proofing service said so

    @property
    def label(self) -> str:
        """The name used in claims and JSON, e.g. `chip`."""
        return self.name.lower()

    @classmethod
    def from_label(cls, label: str) -> HolderProof:
        """Inverse of `label`; raises `InvalidInput` `unknown_holder_proof`."""
        proof = _HOLDER_PROOF_BY_LABEL.get(label)
        if proof is None:
            raise InvalidInput("unknown_holder_proof", "not one of chip, pin, identity")
        return proof


_HOLDER_PROOF_BY_LABEL = {proof.label: proof for proof in HolderProof}


@dataclass(frozen=True, slots=True)
class IdentificationCode:
    """卡的识别码 (AAZ501): region, national RID part, two opaque parts. An identifier, not a secret, not a proof."""

    text: str = field(repr=False)

    def __post_init__(self) -> None:
        if not _IDENTIFICATION_CODE.fullmatch(self.text):
            raise InvalidInput("bad_identification_code", "want 6 digits, D156000005 and 16 upper-case hex digits")

    @property
    def region(self) -> str:
        """发卡地区行政区划代码 (AAB301), six digits of GB/T 2260."""
        return self.text[:6]


def card_number_check(body: str) -> str:
    """The check character of an eight-character card number body (0-9, A-Z)."""
    total = sum(int(char, 36) * weight for char, weight in zip(body, _CARD_NUMBER_WEIGHTS, strict=True))
    rest = 11 - total % 11
    return "X" if rest == 10 else "0" if rest == 11 else str(rest)


@dataclass(frozen=True, slots=True)
class CardNumber:
    """卡号 (AAZ500): eight body characters and one check character.

    A wrong check character is a warning and not an error: real personalisation programs only warn.
    """

    text: str = field(repr=False)

    def __post_init__(self) -> None:
        if not _CARD_NUMBER.fullmatch(self.text):
            raise InvalidInput("bad_card_number", "want nine characters of 0-9 and A-Z")

    @property
    def check_holds(self) -> bool:
        return card_number_check(self.text[:8]) == self.text[8]


def id_number_check(body: str) -> str:
    """The check character of a 17-digit citizen ID number body (GB 11643, ISO 7064 MOD 11-2)."""
    total = sum(int(char) * weight for char, weight in zip(body, _ID_NUMBER_WEIGHTS, strict=True))
    return "10X98765432"[total % 11]


class NumberKind(StrEnum):
    """Whose number it is, told by its form."""

    CITIZEN = "citizen"  # 公民身份号码
    HONG_KONG = "hong_kong"  # 810000: residence permit of a Hong Kong resident (港澳台居民居住证)
    MACAO = "macao"  # 820000
    TAIWAN = "taiwan"  # 830000
    FOREIGN_RESIDENT = "foreign_resident"  # begins with 9: 外国人永久居留身份证 of 2023 and later
    FOREIGN = "foreign"  # made from a country code and the number of a travel document


_PERMITS = {"810000": NumberKind.HONG_KONG, "820000": NumberKind.MACAO, "830000": NumberKind.TAIWAN}


@dataclass(frozen=True, slots=True)
class IdNumber:
    """社会保障号码 in 18 characters: 17 digits and the check character of GB 11643 over a birth date (citizens,
    residence permits, foreign permanent residents), or three letters, one digit and 14 digits and letters made from a
    travel document (decision 0029). Raises `InvalidInput` `bad_id_number`.

    The region in a number is not looked up: numbers keep codes that were abolished long ago.
    """

    text: str = field(repr=False)

    def __post_init__(self) -> None:
        if _FOREIGN_NUMBER.fullmatch(self.text):
            return
        if not _ID_NUMBER.fullmatch(self.text) or id_number_check(self.text[:17]) != self.text[17]:
            raise InvalidInput("bad_id_number", "want 17 digits and a matching check character")
        try:
            date(int(self.text[6:10]), int(self.text[10:12]), int(self.text[12:14]))
        except ValueError:
            raise InvalidInput("bad_id_number", "the digits of the birth date are no date") from None

    @property
    def kind(self) -> NumberKind:
        if self.text[0].isalpha():
            return NumberKind.FOREIGN
        if self.text[0] == "9":
            return NumberKind.FOREIGN_RESIDENT
        return _PERMITS.get(self.text[:6], NumberKind.CITIZEN)

    @property
    def birth_date(self) -> date | None:
        """None where the number does not tell: a number made from a travel document."""
        if self.text[0].isalpha():
            return None
        return date(int(self.text[6:10]), int(self.text[10:12]), int(self.text[12:14]))


@dataclass(frozen=True, slots=True)
class Holder:
    """The person a card was issued to. `repr` shows nothing of them.

    `born` is given only where the number does not tell it. Raises `InvalidInput` `bad_name`, `birth_date_differs`.
    """

    id_number: IdNumber = field(repr=False)
    name: str = field(repr=False)
    born: date | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        # Private-use characters stay: rare characters of names are still issued there. What is refused cannot be
        # seen, or turns around what is: controls, halves of surrogate pairs, direction marks, line separators.
        if not 1 <= len(self.name) <= 100 or any(category(char) in _UNSEEN for char in self.name):
            raise InvalidInput("bad_name", "want 1 to 100 visible characters")
        if self.born is not None and self.id_number.birth_date not in (None, self.born):
            raise InvalidInput("birth_date_differs", "the number says another birth date")

    @property
    def birth_date(self) -> date | None:
        """From the number, else as given; None where neither tells it."""
        return self.id_number.birth_date or self.born


@dataclass(frozen=True, slots=True)
class Chip:
    """What a chip has for life.

    `public_key` is the DER SubjectPublicKeyInfo of an on-chip key; `atr_historical` the 13 historical bytes of its
    answer to reset (卡复位信息, AAZ507), which hold the serial that a shared card key is made from. Either, known
    from the card's making, tells a genuine chip from another genuine chip with copied files.
    """

    identification_code: IdentificationCode
    profile: str
    public_key: bytes | None = field(default=None, repr=False)
    atr_historical: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.atr_historical is not None and len(self.atr_historical) != 13:
            raise InvalidInput("bad_atr_historical", "want the 13 historical bytes of the answer to reset")


@dataclass(frozen=True, slots=True)
class Card:
    """A physical card as the card register knows it."""

    chip: Chip
    number: CardNumber
    holder: Holder
    issued_on: date
    expires_on: date

    def __post_init__(self) -> None:
        if self.expires_on <= self.issued_on:
            raise InvalidInput("bad_card_validity", "a card expires after it was issued")


@dataclass(frozen=True, slots=True)
class Binding:
    """One chip and one e-card: at most one live binding each way, kept by the register's keys."""

    card_ref: str
    ecard_id: str
    assurance: ChipAssurance
