"""Reading chips: the exact bytes on the wire, every simulated card, and chips that misbehave."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card.errors import ChipFault
from ecard_issuer.chip.in_process import InProcessReader
from ecard_issuer.chip.read import read_chip
from ecard_issuer.chip.reading import Reading
from ecard_issuer.chip.simulator import (
    Behaviour,
    ChipData,
    Cue,
    FaultyChip,
    LePolicy,
    faults,
    first_generation,
    synthetic,
)
from tests.issuer.chip.support import ATR, FCI_3DES, PIV, SSSE, AnsweringReader, Desk, ScriptedReader

DESK = Desk()
CODE = "000000" + "D156000005" + "00000001" + "00000000"
EF05 = [
    ("00B2010012", "0110" + CODE + "9000"),
    ("00B2020003", "0201319000"),
    ("00B2030006", "0304312E30309000"),
    ("00B204000E", "040C" + "00" * 12 + "9000"),
    ("00B2050006", "0504202401029000"),
    ("00B2060006", "0604203401029000"),
    ("00B2070000", "0709" + b"TEST00018".hex() + "9000"),
]
NAME = "测试甲".encode("gb18030").hex()
EF06 = [
    ("00B2080014", "0812" + b"000000199001010018".hex() + "9000"),
    ("00B2090020", "091E" + NAME.ljust(60, "0") + "9000"),
    ("00B24E0016", "6A83"),
    ("00B20A0003", "0A01319000"),
    ("00B20B0003", "0B01019000"),
    ("00B20C0005", "0C030000009000"),
    ("00B20D0006", "0D04199001019000"),
]
HEAD = [(SSSE, "611E"), ("00C000001E", FCI_3DES + "9000"), ("00A4020002EF05", "9000")]
TAIL = [(PIV, "6A82")]
OPEN = ("00A4020002EF06", "9000")


def read(script: list[tuple[str, str]]) -> Reading:
    reader = ScriptedReader(list(script))
    reading = read_chip(reader)
    assert not reader.script
    return reading


def fault_of(script: list[tuple[str, str]]) -> str:
    with pytest.raises(ChipFault) as fault:
        read_chip(ScriptedReader(list(script)))
    return fault.value.code


def test_a_first_generation_card_is_read_with_exactly_these_bytes() -> None:
    reading = read([*HEAD, *EF05, OPEN, *EF06, *TAIL])
    assert reading.identification_code.text == CODE
    assert reading.version == "1.00"
    assert (reading.algorithm, reading.profile.id, reading.recipe) == (1, "test:ssse-1", "ssse-3des-region-card")
    assert reading.card_number is not None
    assert reading.card_number.text == "TEST00018"
    assert (reading.issued_on, reading.expires_on) == (date(2024, 1, 2), date(2034, 1, 2))
    assert reading.holder is not None
    assert (reading.holder.id_number.text, reading.holder.name) == ("000000199001010018", "测试甲")
    assert reading.atr_historical == ATR[4:]
    assert "TEST" not in repr(reading)


def test_the_other_select_form_is_tried_once() -> None:
    head = [*HEAD[:2], ("00A4020002EF05", "6A86"), ("00A4000002EF05", "9000")]
    closed = [("00A4020002EF06", "6A82"), ("00A4000002EF06", "6982")]
    assert read([*head, *EF05, *closed, *TAIL]).holder_records is None


def test_a_file_that_is_not_there_in_either_form_is_reported() -> None:
    assert fault_of([*HEAD[:2], ("00A4020002EF05", "6A82"), ("00A4000002EF05", "6A82")]) == "chip_refused"


@pytest.mark.parametrize("closed", [[("00A4020002EF06", "6982")], [OPEN, ("00B2080014", "6982")]])
def test_a_closed_holder_file_gives_a_partial_reading(closed: list[tuple[str, str]]) -> None:
    reading = read([*HEAD, *EF05, *closed, *TAIL])
    assert reading.holder is None
    assert reading.card_number is not None


def test_a_lost_current_file_is_selected_again_once() -> None:
    again = [("00B2010012", "6986"), ("00A4020002EF05", "9000")]
    read([*HEAD, *again, *EF05, OPEN, *EF06, *TAIL])
    assert fault_of([*HEAD, *again, ("00B2010012", "6986")]) == "chip_refused"


def test_records_that_may_be_absent_are_and_the_rest_is_not() -> None:
    absent = [(command, "6A83") for command, _ in EF05]
    blank = [EF05[0], absent[1], EF05[2], *absent[3:]]
    empty = [(command, "6A83") for command, _ in EF06]
    empty[2] = (empty[2][0], "6581")  # any refusal of the name extension means that there is none
    reading = read([*HEAD, *blank, OPEN, *empty, *TAIL])
    assert (reading.card_number, reading.issued_on, reading.holder) == (None, None, None)
    assert fault_of([*HEAD, absent[0]]) == "chip_refused"
    assert fault_of([*HEAD, *EF05, OPEN, (EF06[0][0], "6581")]) == "chip_refused"


def test_a_card_number_record_may_be_longer_than_nine_characters() -> None:
    longer = [*EF05[:6], ("00B2070000", "070C" + b"TEST00018XYZ".hex() + "9000")]
    reading = read([*HEAD, *longer, ("00A4020002EF06", "6982"), *TAIL])
    assert reading.card_number is not None
    assert reading.card_number.text == "TEST00018"


def test_a_name_is_joined_before_it_is_decoded() -> None:
    name = "一二三四五六七八九十一二三四a龘乙"  # 29 bytes, then two-byte characters over the border
    raw = name.encode("gb18030")
    assert len(raw[:30].rstrip(b"\0")) == 30
    parts = [*EF06[:1], ("00B2090020", "091E" + raw[:30].hex() + "9000")]
    parts += [("00B24E0016", "4E14" + raw[30:].hex().ljust(40, "F") + "9000"), *EF06[3:]]
    reading = read([*HEAD, *EF05, OPEN, *parts, *TAIL])
    assert reading.holder is not None
    assert reading.holder.name == name


def test_without_a_named_algorithm_it_is_3des() -> None:
    bare = "6F11840F7378312E73682EC9E7BBE1B1A3D5CF"
    head = [(SSSE, bare + "9000"), HEAD[2]]
    assert read([*head, *EF05, ("00A4020002EF06", "6982"), *TAIL]).algorithm == 1


def test_a_chip_with_neither_application_is_unknown() -> None:
    assert fault_of([(SSSE, "6A82"), *TAIL]) == "chip_unknown"
    without_certificate = [("00CB3FFF055C035FC10100", "6A82")]
    assert (
        fault_of([(SSSE, "6A82"), (PIV, "6104"), ("00C0000004", "6F0284009000"), *without_certificate])
        == "chip_unknown"
    )


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ("0110" + CODE[:-2] + "9000", "chip_answer_truncated"),
        ("0111" + CODE + "9000", "chip_answer_truncated"),
        ("0210" + CODE + "9000", "chip_answer_malformed"),
        ("6300", "chip_refused"),
    ],
)
def test_a_spoiled_record_is_a_fault(changed: str, code: str) -> None:
    assert fault_of([*HEAD, ("00B2010012", changed)]) == code


@pytest.mark.parametrize("code", [CODE.replace("D156", "D157"), "F" * 32, "00" * 16])
def test_an_identification_code_of_another_form_is_a_fault(code: str) -> None:
    script = [*HEAD, ("00B2010012", "0110" + code + "9000"), *EF05[1:], ("00A4020002EF06", "6982"), *TAIL]
    assert fault_of(script) == "chip_answer_malformed"


@pytest.mark.parametrize("version", ["1.\x1bc", "1.\x07", "1.0\r"])
def test_a_card_gives_a_terminal_no_orders(version: str) -> None:
    with (
        InProcessReader(first_generation(version=version)) as reader,
        pytest.raises(ChipFault, match="chip_answer_malformed"),
    ):
        read_chip(reader)


def test_a_version_that_no_profile_knows_is_unknown() -> None:
    script = [*HEAD, *EF05[:2], ("00B2030006", "0304392E30309000"), *EF05[3:], ("00A4020002EF06", "6982"), *TAIL]
    assert fault_of(script) == "chip_unknown"


@pytest.mark.parametrize("policy", list(LePolicy))
@pytest.mark.parametrize("forms", [{0x00}, {0x02}])
@pytest.mark.parametrize("t0", [True, False])
@pytest.mark.parametrize("version", ["1.00", "2.01"])
def test_every_habit_of_cards_in_the_field_is_read_alike(
    policy: LePolicy, forms: set[int], t0: bool, version: str
) -> None:
    data = synthetic(17)
    behaviour = Behaviour(le_policy=policy, select_forms=frozenset(forms), fci_algorithm=t0)
    chip = first_generation(data=data, version=version, behaviour=behaviour, t0_answers=t0)
    with InProcessReader(chip) as reader:
        reading = read_chip(reader)
    assert reading.identification_code.text == data.identification_code
    assert reading.holder is not None
    assert (reading.holder.name, reading.holder.id_number.text) == (data.name, data.id_number)
    assert reading.atr_historical == chip.historical


@pytest.mark.parametrize("name", ["龘" * 24, "㐀𠀀测", "欧阳·买买提"])
@pytest.mark.parametrize("padding", [0x00, 0xFF])
def test_long_and_rare_names_come_through_whole(name: str, padding: int) -> None:
    with InProcessReader(first_generation(data=ChipData(name=name, name_padding=padding), version="2.01")) as reader:
        holder = read_chip(reader).holder
    assert holder is not None
    assert holder.name == name


def test_a_third_generation_card_keeps_its_holder_closed() -> None:
    for contactless in (True, False):
        with InProcessReader(DESK.third(contactless=contactless)) as reader:
            reading = read_chip(reader)
        assert (reading.holder, reading.holder_records) == (None, None)
        assert (reading.profile.id, reading.algorithm) == ("test:ssse-3", 3)


def test_a_blank_card_has_no_number() -> None:
    with InProcessReader(first_generation(data=ChipData(card_number=""))) as reader:
        assert read_chip(reader).card_number is None


def test_a_signature_chip_is_read_with_or_without_files() -> None:
    for with_files in (True, False):
        with InProcessReader(DESK.piv(with_files=with_files)) as reader:
            reading = read_chip(reader)
        assert reading.profile.id == "test:piv-p256"
        assert bool(reading.issuer_records) is with_files
        assert reading.identification_code.text == CODE


def test_files_and_certificate_of_different_chips_are_a_fault() -> None:
    other = DESK.piv(synthetic(2), with_files=False)
    with InProcessReader(other) as reader:
        certificate = read_chip(reader).certificate
    with InProcessReader(DESK.first()) as reader:
        honest = read_chip(reader)
    mixed = Reading(honest.atr, honest.fci, honest.issuer_records, None, certificate)
    with pytest.raises(ChipFault) as fault:
        _ = mixed.identification_code
    assert fault.value.code == "chip_identity_mismatch"


@pytest.mark.parametrize(
    ("fault", "codes"),
    [
        (faults.removal, {"chip_removed"}),
        (faults.mute, {"chip_mute"}),
        (faults.longer_length(), {"chip_answer_truncated", "chip_answer_malformed"}),
        (faults.wrong_tag(0x7E), {"chip_answer_malformed", "chip_answer_truncated"}),
        (faults.truncated(1), {"chip_answer_truncated", "chip_answer_malformed"}),
        (faults.status(0x6F00), {"chip_refused"}),
    ],
)
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_fault_in_a_record_never_gives_a_reading(fault: faults.Fault, codes: set[str], nth: int) -> None:
    chip = FaultyChip(first_generation(), fault, Cue(ins=0xB2, nth=2 * nth, times=2))
    with InProcessReader(chip) as reader, pytest.raises(ChipFault) as raised:
        read_chip(reader)
    assert raised.value.code in codes


def test_a_pulled_chip_stays_away_from_its_reader_object() -> None:
    reader = InProcessReader(FaultyChip(first_generation(), faults.removal, Cue(ins=0xB2, times=1)))
    with pytest.raises(ChipFault):
        read_chip(reader)
    with pytest.raises(ChipFault) as fault:
        read_chip(reader)
    assert fault.value.code == "reader_unavailable"


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([b"\x90\x00", b"\x61\x05", b"\x6c\x01"])), max_size=30)
)
def test_only_a_chip_fault_comes_of_a_reader_that_answers_anything(answers: list[bytes]) -> None:
    remaining: Iterator[bytes] = iter(answers)
    try:
        read_chip(AnsweringReader(lambda _: next(remaining, b"\x90\x00")))
    except ChipFault:
        pass


@settings(max_examples=60, deadline=None)
@given(st.integers(), st.integers(0, 40))
def test_an_honest_chip_with_random_damage_gives_a_fault_or_the_same_chip(seed: int, spoiled: int) -> None:
    noise = random.Random(seed)  # noqa: S311
    chip = DESK.piv()
    chip.power_on()
    count = 0

    def answer(command: bytes) -> bytes:
        nonlocal count
        count += 1
        honest = bytearray(chip.transceive(command))
        if count == spoiled:
            honest[noise.randrange(len(honest))] ^= 1 << noise.randrange(8)
        return bytes(honest)

    try:
        reading = read_chip(AnsweringReader(answer, chip.atr))
    except ChipFault:
        return
    for derived in ("card_number", "issued_on", "expires_on", "holder", "recipe"):
        try:
            getattr(reading, derived)
        except ChipFault:
            pass


@pytest.mark.parametrize("size", [256, 10240])
def test_garbage_of_any_size_is_refused_at_once(size: int) -> None:
    garbage = random.Random(size).randbytes(size)  # noqa: S311
    with pytest.raises(ChipFault):
        read_chip(AnsweringReader(lambda _: garbage))


def test_a_certificate_that_is_compressed_or_garbage_is_a_fault() -> None:
    for content, code in (
        ("5308700271017101", "chip_answer_truncated"),
        ("530970023000710101FE00", "chip_certificate_malformed"),
        ("530970023000710100FE00", "chip_certificate_malformed"),
        ("5303710100", "chip_answer_malformed"),
    ):
        script = [(SSSE, "6A82"), (PIV, "9000"), ("00CB3FFF055C035FC10100", content + "9000")]
        assert fault_of(script) == code, content
