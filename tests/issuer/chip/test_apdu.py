"""Command bytes, and which commands are repeated when."""

from __future__ import annotations

import pytest

from ecard_card.errors import ChipFault
from ecard_issuer.chip import apdu
from ecard_issuer.chip.apdu import Command, exchange
from tests.issuer.chip.support import AnsweringReader, ScriptedReader


def run(command: Command, *script: tuple[str, str], other_le: int | None = None) -> apdu.Response:
    reader = ScriptedReader(list(script))
    response = exchange(reader, command, other_le=other_le)
    assert not reader.script
    return response


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (apdu.select_name(bytes.fromhex("A000000308"), le=256), "00A4040005A00000030800"),
        (apdu.select_file(0xEF05, p1=2), "00A4020002EF05"),
        (apdu.read_record(0x4E, le=22), "00B24E0016"),
        (apdu.internal_authenticate(bytes(8), bytes([255]) * 8), "0088000010" + "00" * 8 + "FF" * 8),
        (Command(0, 0x84, 0, 0, le=8), "0084000008"),
    ],
)
def test_commands_are_encoded_as_the_card_expects_them(command: Command, expected: str) -> None:
    assert command.encode().hex().upper() == expected


def test_a_wrong_le_is_corrected_once_as_the_card_says() -> None:
    response = run(apdu.read_record(1, le=256), ("00B2010000", "6C12"), ("00B2010012", "01029000"))
    assert response == apdu.Response(b"\x01\x02", 0x9000)


def test_a_second_wrong_le_is_reported_and_not_repeated() -> None:
    assert run(apdu.read_record(1, le=256), ("00B2010000", "6C12"), ("00B2010012", "6C13")).status == 0x6C13


def test_waiting_data_are_fetched_piece_by_piece() -> None:
    response = run(
        Command(0, 0xCB, 0x3F, 0xFF, b"\x5c", 256),
        ("00CB3FFF015C00", "AA6100"),
        ("00C0000000", "BB6101"),
        ("00C0000001", "CC9000"),
    )
    assert response == apdu.Response(b"\xaa\xbb\xcc", 0x9000)


def test_get_response_may_itself_be_corrected_once() -> None:
    response = run(
        apdu.internal_authenticate(bytes(8), bytes(8)),
        ("0088000010" + "00" * 16, "6110"),
        ("00C0000010", "6C08"),
        ("00C0000008", "01020304050607089000"),
    )
    assert response.data.hex() == "0102030405060708"


def test_wrong_length_is_tried_once_with_the_other_le() -> None:
    script = (("00B2070000", "6700"), ("00B207000B", "6700"))
    assert run(apdu.read_record(7, le=256), *script, other_le=11).status == 0x6700


def test_wrong_length_without_another_le_is_reported() -> None:
    assert run(apdu.read_record(7, le=256), ("00B2070000", "6700")).status == 0x6700


@pytest.mark.parametrize("ins", [0x20, 0x82, 0x5E])
@pytest.mark.parametrize("status", ["6C10", "6700"])
def test_a_command_that_burns_a_try_is_sent_once_whatever_the_card_says(ins: int, status: str) -> None:
    command = Command(0, ins, 0, 0, b"\x12\x34\x56")
    assert run(command, (f"00{ins:02X}000003123456", status), other_le=1).status == int(status, 16)


def test_a_chip_that_always_announces_more_is_cut_off() -> None:
    reader = AnsweringReader(lambda _: bytes(256) + b"\x61\x00")
    with pytest.raises(ChipFault) as fault:
        exchange(reader, apdu.read_record(1, le=256))
    assert fault.value.code == "chip_answer_malformed"
    assert len(reader.commands) <= 33


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", "chip_answer_truncated"),
        (b"\x90", "chip_answer_truncated"),
        (bytes(259), "chip_answer_malformed"),
        (bytes(10240), "chip_answer_malformed"),
    ],
)
def test_an_answer_of_impossible_size_is_a_fault(answer: bytes, code: str) -> None:
    with pytest.raises(ChipFault) as fault:
        exchange(AnsweringReader(lambda _: answer), apdu.read_record(1, le=256))
    assert fault.value.code == code


def test_a_refusal_names_the_command_and_the_status_word() -> None:
    with pytest.raises(ChipFault, match="SELECT EF05 was answered with status word 6581") as fault:
        apdu.expect_ok(apdu.Response(b"", 0x6581), "SELECT EF05")
    assert fault.value.code == "chip_refused"
