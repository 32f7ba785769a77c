"""The requirement table of a faithful simulator, byte for byte: each row sends commands and states the answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from ecard_issuer.chip.simulator import (
    Behaviour,
    ChipData,
    LePolicy,
    SimulatedChip,
    first_generation,
    synthetic,
    third_generation,
)
from tests.issuer.simulator.support import SELECT_SSSE, counting, powered, send

FCI_3DES = "6F1C840F7378312E73682EC9E7BBE1B1A3D5CFA5098801019F0C03860101"
FCI_SM4 = FCI_3DES[:-2] + "03"
CODE = "000000" + "D156000005" + "00000001" + "00000000"
EF05, EF06 = "00A4020002EF05", "00A4020002EF06"


@dataclass(frozen=True)
class Row:
    area: str
    requirement: str
    chip: Callable[[], SimulatedChip]
    exchanges: tuple[tuple[str, str], ...]
    selected: bool = True  # SSSE is selected before the first exchange

    def __str__(self) -> str:
        return f"{self.area}: {self.requirement}"


def _behaving(behaviour: Behaviour) -> Callable[[], SimulatedChip]:
    return lambda: first_generation(behaviour=behaviour)


def _named(name: str, version: str = "2.01", padding: int = 0) -> Callable[[], SimulatedChip]:
    return lambda: first_generation(version=version, data=ChipData(name=name, name_padding=padding))


ROWS = (
    Row("profiles", "1.00: version and no name extension", first_generation,
        ((EF05, "9000"), ("00B2030006", "0304312E30309000"), (EF06, "9000"), ("00B24E0016", "6A83"))),
    Row("profiles", "2.01: name extension as record 3, found by tag and by number",
        lambda: first_generation(version="2.01"),
        ((EF05, "9000"), ("00B2030006", "0304322E30319000"), (EF06, "9000"),
         ("00B24E0016", "4E14" + "00" * 20 + "9000"), ("00B2030416", "4E14" + "00" * 20 + "9000"))),
    Row("profiles", "3.00: EF05 free, EF06 closed, algorithm 03", third_generation,
        ((SELECT_SSSE, "611E"), ("00C000001E", FCI_SM4 + "9000"), (EF05, "9000"),
         ("00B2030006", "0304332E30309000"), (EF06, "9000"), ("00B2080014", "6982"), ("00B2080014", "6982"))),
    Row("profiles", "a blank has an empty card number", lambda: third_generation(data=ChipData(card_number="")),
        ((EF05, "9000"), ("00B207000B", "0709" + "00" * 9 + "9000"))),
    Row("SELECT", "by whole name with 61 1E and GET RESPONSE", first_generation,
        ((SELECT_SSSE, "611E"), ("00C000001E", FCI_3DES + "9000"))),
    Row("SELECT", "by name, the answer at once", lambda: first_generation(t0_answers=False),
        ((SELECT_SSSE, FCI_3DES + "9000"),)),
    Row("SELECT", "an FCI without 9F0C", lambda: first_generation(
        t0_answers=False, behaviour=Behaviour(fci_algorithm=False)),
        ((SELECT_SSSE, "6F16840F7378312E73682EC9E7BBE1B1A3D5CFA503880101" + "9000"),)),
    Row("SELECT", "a name cut short or unknown is not found", first_generation,
        (("00A404000E7378312E73682EC9E7BBE1B1A3D5", "6A82"), ("00A4040005A000000308", "6A82"))),
    Row("SELECT", "MF, SSSE and DF by file id, DF by AID", first_generation,
        (("00A40000023F00", "9000"), ("00A4000002DDF1", "611E"), ("00A4000002DF01", "610A"),
         ("00C000000A", "6F088406D156000005009000"), ("00A4040006D15600000503", "610A"),
         ("00A4000002DF05", "6A82"))),
    Row("SELECT", "an EF by both forms of P1", first_generation,
        ((EF05, "9000"), ("00A4000002EF05", "9000"), ("00A4020002EF0F", "6A82"))),
    Row("SELECT", "a card that knows only P1 00 refuses P1 02", _behaving(Behaviour(select_forms=frozenset({0x00}))),
        ((EF05, "6A86"), ("00A4000002EF05", "9000"))),
    Row("READ RECORD", "EF05 in full, by tag", first_generation,
        ((EF05, "9000"), ("00B2010012", "0110" + CODE + "9000"), ("00B2020003", "0201319000"),
         ("00B204000E", "040C" + "00" * 12 + "9000"), ("00B2050006", "0504202401029000"),
         ("00B2060006", "0604203401029000"), ("00B207000B", "07095445535430303031389000"))),
    Row("READ RECORD", "EF06 in full, by tag", first_generation,
        ((EF06, "9000"), ("00B2080014", "0812" + b"000000199001010018".hex().upper() + "9000"),
         ("00B2090020", "091E" + ("测试甲".encode("gbk").hex().upper()).ljust(60, "0") + "9000"),
         ("00B20A0003", "0A01319000"), ("00B20B0003", "0B01019000"), ("00B20C0005", "0C030000009000"),
         ("00B20D0006", "0D04199001019000"))),
    Row("READ RECORD", "by number, by SFI, and both", first_generation,
        ((EF06, "9000"), ("00B2010414", "0812" + b"000000199001010018".hex().upper() + "9000"),
         ("00B2032806", "0304312E30309000"), ("00B2032C06", "0304312E30309000"),
         ("00B2003406", "6A83"), ("00B20A3003", "0A01319000"), ("00B2000403", "0A01319000"))),
    Row("READ RECORD", "strict: any other Le is told the right one", first_generation,
        ((EF05, "9000"), ("00B2030004", "6C06"), ("00B2030000", "6C06"), ("00B2030006", "0304312E30309000"))),
    Row("READ RECORD", "a card that says 6700 instead", _behaving(Behaviour(le_policy=LePolicy.REFUSE)),
        ((EF05, "9000"), ("00B2030004", "6700"), ("00B2030006", "0304312E30309000"))),
    Row("READ RECORD", "lenient: Le 00 and a short Le", _behaving(Behaviour(le_policy=LePolicy.LENIENT)),
        ((EF05, "9000"), ("00B2030000", "0304312E30309000"), ("00B2030004", "0304312E9000"))),
    Row("absent items", "record, file, current EF, wrong P2, no Le", first_generation,
        (("00B2010012", "6986"), (EF05, "9000"), ("00B24E0000", "6A83"), ("00B20A0400", "6A83"),
         ("00B201F012", "6A82"), ("00B2010112", "6A86"), ("00B20100", "6700"))),
    Row("absent items", "records of a transparent file, bytes of a record file", first_generation,
        (("00B2014400", "6981"), ("00B0850010", "6981"))),
    Row("GET CHALLENGE", "4, 8 or 16 bytes", lambda: first_generation(random=counting()),
        (("0084000004", "505152539000"), ("0084000008", "5455565758595A5B9000"),
         ("0084000010", "5C5D5E5F606162636465666768696A6B9000"), ("0084000007", "6700"), ("0084010008", "6A86"))),
    Row("INTERNAL AUTHENTICATION", "unknown key version, wrong length, wrong directory", first_generation,
        (("0088000011" + "00" * 16 + "02", "6A88"), ("008800000F" + "00" * 15, "6700"),
         ("0088000111" + "00" * 16 + "01", "6A86"), ("0088000011" + "00" * 16 + "01", "6108"),
         ("00A4000002DF01", "610A"), ("0088000010" + "00" * 16, "6A88"))),
    Row("EXTERNAL AUTHENTICATION", "no challenge is 6984, three tries, then blocked", third_generation,
        (("0082000A10" + "00" * 16, "6984"), ("0082000B10" + "00" * 16, "6A88"))),
    Row("access", "photo and internal files stay closed", first_generation,
        (("00B0880000", "6982"), ("00B08E0000", "6982"))),
    Row("encoding", "a name of two records splits a character", _named("测试" * 7 + "a" + "测试"),
        ((EF06, "9000"),
         ("00B2090020", "091E" + ("测试" * 7 + "a" + "测").encode("gbk")[:30].hex().upper() + "9000"),
         ("00B24E0016", "4E14" + ("测".encode("gbk")[1:] + "试".encode("gbk")).hex().upper().ljust(40, "0") + "9000"))),
    Row("encoding", "a four-byte GB18030 character", _named("𠮷"),
        ((EF06, "9000"), ("00B2090020", "091E" + "𠮷".encode("gb18030").hex().upper().ljust(60, "0") + "9000"))),
    Row("encoding", "padding with FF", _named("甲", padding=0xFF),
        ((EF06, "9000"), ("00B2090020", "091E" + "甲".encode("gbk").hex().upper().ljust(60, "F") + "9000"),
         ("00B24E0016", "4E14" + "FF" * 20 + "9000"))),
    Row("classes", "unknown class and instruction", first_generation,
        (("A0A4000000", "6E00"), ("00FF000000", "6D00"), ("00C0000010", "6985"))),
)  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_simulator_meets_requirement(row: Row) -> None:
    """Each command of the row is answered with exactly the stated bytes."""
    chip = row.chip()
    powered(chip) if row.selected else chip.power_on()
    for command, expected in row.exchanges:
        assert send(chip, command) == expected, command


def test_contact_atr_carries_thirteen_historical_bytes() -> None:
    """T0 = 6D and no check byte; T8-T9 are the region's first digits, TA-TD differ from card to card."""
    chips = [first_generation(data=synthetic(serial)) for serial in (7, 8)]
    assert [chip.atr.hex().upper() for chip in chips] == [
        "3B6D000000544553548600" + "0000" + "00000007",
        "3B6D000000544553548600" + "0000" + "00000008",
    ]
    assert all(chip.atr.endswith(chip.historical) and len(chip.historical) == 13 for chip in chips)


def test_contactless_atr_has_its_check_byte() -> None:
    """3B 8D 80 01, the historical bytes, and an XOR over all but TS that makes zero."""
    chip = third_generation(contactless=True)
    assert chip.atr[:4].hex().upper() == "3B8D8001"
    assert chip.atr[4:-1] == chip.historical
    check = 0
    for byte in chip.atr[1:]:
        check ^= byte
    assert check == 0


def test_nothing_of_the_holder_shows_in_repr() -> None:
    """A chip's data printed by accident tells neither number nor name."""
    data = ChipData()
    assert data.id_number not in repr(data)
    assert data.name not in repr(data)
    assert data.identification_code not in repr(data)
