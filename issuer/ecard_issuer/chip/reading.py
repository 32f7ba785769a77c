"""What was read from a chip: the bytes as they came, and what they mean.

A desk sends the bytes and never its own interpretation, so that the server that judges reads them itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from ecard_card.card import CardNumber, Holder, IdentificationCode, IdNumber
from ecard_card.errors import ChipFault, InvalidInput
from ecard_issuer.chip import tlv
from ecard_issuer.chip.atr import MAX_ATR, historical_bytes
from ecard_issuer.chip.certificate import MAX_CERTIFICATE, ChipCertificate
from ecard_issuer.chip.profiles import Profile, environment

MAX_SELECT_ANSWER = 256
_PADDING = b"\x00\x20\xff"
_ALGORITHM_PATH = (0x6F, 0xA5, 0x9F0C, 0x86)
_ALGORITHM_3DES = 0x01  # where the FCI names none


@dataclass(frozen=True, slots=True)
class Reading:
    """The readable part of one chip. Records map a tag to its value, padding included.

    `fci` and `issuer_records` (EF05) are empty for a chip without the social security environment; `holder_records`
    (EF06) is None where the chip keeps them closed; `certificate` is the DER certificate of an on-chip key, if any.
    Everything derived from it raises `ChipFault`; nothing here has been proven. `repr` shows nothing of the holder.
    """

    atr: bytes = field(repr=False)
    fci: bytes = field(default=b"", repr=False)
    issuer_records: Mapping[int, bytes] = field(default_factory=dict, repr=False)
    holder_records: Mapping[int, bytes] | None = field(default=None, repr=False)
    certificate: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for size, limit in (
            (len(self.atr), MAX_ATR),
            (len(self.fci), MAX_SELECT_ANSWER),
            (len(self.certificate or b""), MAX_CERTIFICATE),
        ):
            if size > limit:
                raise ChipFault("chip_answer_malformed", f"a part of the reading has more than {limit} bytes")
        if not self.issuer_records and self.certificate is None:
            raise ChipFault("chip_unknown", "neither issuer records nor a certificate")

    @property
    def atr_historical(self) -> bytes:
        return historical_bytes(self.atr)

    @property
    def chip_certificate(self) -> ChipCertificate | None:
        return None if self.certificate is None else ChipCertificate.parse(self.certificate)

    @property
    def identification_code(self) -> IdentificationCode:
        """From the certificate and from EF05; where a chip has both they are equal, or `chip_identity_mismatch`."""
        certificate = self.chip_certificate
        read = self._record("identification_code")
        if read is None:
            if certificate is None:
                raise ChipFault("chip_answer_malformed", "the chip has no identification code")
            return certificate.identification_code
        try:
            code = IdentificationCode(read.hex().upper())
        except InvalidInput:
            raise ChipFault("chip_answer_malformed", "the identification code has not the national form") from None
        if certificate is not None and certificate.identification_code != code:
            raise ChipFault("chip_identity_mismatch", "files and certificate name different chips")
        return code

    @property
    def version(self) -> str:
        """规范版本, e.g. `1.00`; empty where the chip has no such record."""
        return _ascii(self._record("version") or b"")

    @property
    def algorithm(self) -> int:
        """Algorithm id of the SELECT answer: 1 DES/3DES, 2 SSF33, 3 SM4; 1 where it names none."""
        value = tlv.find(self.fci, *_ALGORITHM_PATH)
        if value is None:
            return _ALGORITHM_3DES
        if len(value) != 1:
            raise ChipFault("chip_answer_malformed", "the algorithm id has one byte")
        return value[0]

    @property
    def profile(self) -> Profile:
        """The profile that fits; a chip that can sign is taken as such, whatever else it carries."""
        region = self.identification_code.region
        return environment("ssse" if self.certificate is None else "piv").match(region, self.version)

    @property
    def recipe(self) -> str | None:
        """The recipe id of its shared-key proof, or None where the profile knows none for this algorithm."""
        return self.profile.recipes.get(self.algorithm)

    @property
    def card_number(self) -> CardNumber | None:
        """卡号: the first nine characters; None for a blank or a chip without it."""
        text = _ascii((self._record("card_number") or b"").rstrip(_PADDING))
        if not text:
            return None
        try:
            return CardNumber(text[:9])
        except InvalidInput:
            raise ChipFault("chip_answer_malformed", "the card number is not nine characters of 0-9 and A-Z") from None

    @property
    def issued_on(self) -> date | None:
        return _bcd_date(self._record("issued_on"))

    @property
    def expires_on(self) -> date | None:
        return _bcd_date(self._record("expires_on"))

    @property
    def holder(self) -> Holder | None:
        """The holder as the chip has them; None where EF06 is closed or empty."""
        number = (self._record("id_number") or b"").rstrip(_PADDING)
        # Both parts before decoding: a two-byte character may straddle the border of 09 and 4E. Stripping is safe,
        # since no GB18030 character ends with a padding byte.
        name = b"".join((self._record(part) or b"").rstrip(_PADDING) for part in ("name", "name_extension"))
        if not number and not name:
            return None
        try:
            return Holder(IdNumber(_ascii(number)), name.decode("gb18030"))
        except (InvalidInput, UnicodeDecodeError):
            raise ChipFault("chip_answer_malformed", "the holder's number or name is not well-formed") from None

    def without_holder(self) -> Reading:
        """The same reading without EF06: what is stored, and all that a judgement needs."""
        return Reading(self.atr, self.fci, self.issuer_records, None, self.certificate)

    def _record(self, name: str) -> bytes | None:
        """The value of field `name`, from its own file and no other: a desk may send any tag anywhere."""
        ssse = environment("ssse")
        issuer_file, _ = ssse.files
        of_issuer = any(record.name == name for record in issuer_file.records)
        return (self.issuer_records if of_issuer else self.holder_records or {}).get(ssse.tag_of(name))


def _ascii(value: bytes) -> str:
    """Visible text alone: a terminal would obey a control character of a card."""
    text = value.rstrip(_PADDING).decode("latin-1")
    if not (text.isascii() and text.isprintable()):
        raise ChipFault("chip_answer_malformed", "a text field is not printable ASCII")
    return text


def _bcd_date(value: bytes | None) -> date | None:
    """YYYYMMDD in packed BCD; None where the record is absent or blank (all 00 or FF)."""
    if value is None or not value.strip(b"\x00") or not value.strip(b"\xff"):
        return None
    digits = value.hex()
    try:
        if len(digits) != 8 or not digits.isdecimal():
            raise ValueError
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        raise ChipFault("chip_answer_malformed", "a date is not YYYYMMDD in packed BCD") from None
