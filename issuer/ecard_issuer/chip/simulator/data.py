"""What is printed into a simulated card, and its records byte for byte. The defaults are synthetic."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from ecard_card.card import card_number_check, id_number_check
from ecard_card.errors import InvalidInput

SYNTHETIC_REGION = "000000"
_RID = "D156000005"


@dataclass(frozen=True, slots=True)
class ChipData:
    """Holder and card data of one chip; an empty `card_number` is that of a blank before personalisation."""

    identification_code: str = field(default=SYNTHETIC_REGION + _RID + "00000001" + "00000000", repr=False)
    card_class: str = "1"
    initialising_body: bytes = bytes(12)
    issued_on: date = date(2024, 1, 2)
    expires_on: date = date(2034, 1, 2)
    card_number: str = field(default="TEST00018", repr=False)
    id_number: str = field(default="000000199001010018", repr=False)
    name: str = field(default="测试甲", repr=False)
    sex: str = "1"
    ethnic_group: str = "01"
    birthplace: str = "000000"
    birth_date: date = date(1990, 1, 1)
    name_padding: int = 0x00

    @property
    def region(self) -> str:
        return self.identification_code[:6]


def synthetic(serial: int) -> ChipData:
    """Distinct data that cannot be mistaken for an issued card: region 000000, `serial` 0 to 9999."""
    body = f"TEST{serial:04d}"
    born = date(1990, 1, 1 + serial // 1000)
    person = f"000000{born:%Y%m%d}{serial % 1000:03d}"
    return ChipData(
        identification_code=f"{SYNTHETIC_REGION}{_RID}{serial:08X}{0:08X}",
        card_number=body + card_number_check(body),
        id_number=person + id_number_check(person),
        name=f"测试{serial:04d}",
        sex="1" if serial % 2 else "2",
        birth_date=born,
    )


def historical_bytes(data: ChipData) -> bytes:
    """T1-TD: 00 `TEST` 86 00, then T8-T9 the region's first four digits, TA-TD the third part of the code."""
    return b"\0TEST\x86\0" + bytes.fromhex(data.region[:4]) + bytes.fromhex(data.identification_code[16:24])


def contact_atr(historical: bytes) -> bytes:
    """3B 6D 00 00 and 13 historical bytes: T=0, no check byte."""
    return b"\x3b\x6d\x00\x00" + historical


def contactless_atr(historical: bytes) -> bytes:
    """The ATR that PC/SC constructs for a contactless card: 3B 8n 80 01, historical bytes, check byte."""
    body = bytes([0x80 | len(historical), 0x80, 0x01]) + historical
    check = 0
    for byte in body:
        check ^= byte
    return b"\x3b" + body + bytes([check])


def _record(tag: int, value: bytes) -> bytes:
    return bytes([tag, len(value)]) + value


def _text(text: str, size: int) -> bytes:
    raw = text.encode("ascii")
    if len(raw) > size:
        raise InvalidInput("bad_chip_data", f"more than {size} bytes for a field of the chip")
    return raw.ljust(size, b"\0")


def _digits(text: str) -> bytes:
    """`cn`: packed BCD, left aligned, padded right with nibble F."""
    return bytes.fromhex(text + "F" * (len(text) % 2))


def _day(day: date) -> bytes:
    return bytes.fromhex(f"{day:%Y%m%d}")


def issuer_records(data: ChipData, version: str) -> list[bytes]:
    """EF05 发卡机构数据: tags 01 to 07, which are also the record numbers."""
    return [
        _record(0x01, bytes.fromhex(data.identification_code)),
        _record(0x02, _text(data.card_class, 1)),
        _record(0x03, _text(version, 4)),
        _record(0x04, data.initialising_body),
        _record(0x05, _day(data.issued_on)),
        _record(0x06, _day(data.expires_on)),
        _record(0x07, _text(data.card_number, 9)),
    ]


def holder_records(data: ChipData, *, name_extension: bool) -> list[bytes]:
    """EF06 持卡人基本信息: 08, 09, 4E (where the version has it), 0A to 0D.

    The name is cut into 30 and 20 bytes wherever that falls, also inside a character.
    """
    name = data.name.encode("gb18030")
    if len(name) > (50 if name_extension else 30):
        raise InvalidInput("bad_chip_data", "the name is longer than the card's records")
    padding = bytes([data.name_padding])
    extension = [_record(0x4E, name[30:].ljust(20, padding))] if name_extension else []
    return [
        _record(0x08, _text(data.id_number, 18)),
        _record(0x09, name[:30].ljust(30, padding)),
        *extension,
        _record(0x0A, _text(data.sex, 1)),
        _record(0x0B, _digits(data.ethnic_group)),
        _record(0x0C, _digits(data.birthplace)),
        _record(0x0D, _day(data.birth_date)),
    ]
