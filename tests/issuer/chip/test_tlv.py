"""BER-TLV and record T-L-V from hostile chips; and where the historical bytes of an ATR are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card.errors import ChipFault
from ecard_issuer.chip import tlv
from ecard_issuer.chip.atr import historical_bytes
from ecard_issuer.chip.tlv import Tlv
from tests.issuer.chip.support import FCI_3DES


def code_of(data: bytes) -> str:
    with pytest.raises(ChipFault) as fault:
        tlv.parse(data)
    return fault.value.code


def test_the_algorithm_id_is_found_by_its_path_and_not_by_a_substring() -> None:
    assert tlv.find(bytes.fromhex(FCI_3DES), 0x6F, 0xA5, 0x9F0C, 0x86) == b"\x01"
    hidden = tlv.encode(0x6F, tlv.encode(0x84, bytes.fromhex("9F0C03860103")))
    assert tlv.find(hidden, 0x6F, 0xA5, 0x9F0C, 0x86) is None


def test_tags_and_lengths_of_every_accepted_form_are_read() -> None:
    data = bytes.fromhex("0000 5F4E01AA 538103010203 5F81010100 5382000161")
    assert tlv.parse(data) == (Tlv(0x5F4E, b"\xaa"), Tlv(0x53, b"\1\2\3"), Tlv(0x5F8101, b"\0"), Tlv(0x53, b"a"))


@pytest.mark.parametrize("data", ["84", "8405AABB", "9F", "9F0C", "8481", "848201", "84820100AA"])
def test_what_ends_too_early_is_truncated(data: str) -> None:
    assert code_of(bytes.fromhex(data)) == "chip_answer_truncated"


@pytest.mark.parametrize("data", ["8480", "8483000001AA", "84FF", "9F81818101AA"])
def test_other_forms_of_tag_or_length_are_refused(data: str) -> None:
    assert code_of(bytes.fromhex(data)) == "chip_answer_malformed"


def test_too_much_is_refused() -> None:
    assert code_of(b"\x84\x00" * 65) == "chip_answer_malformed"
    assert code_of(bytes(8193)) == "chip_answer_malformed"
    assert code_of(bytes([0x84, 0x82, 0x28, 0x00]) + bytes(10240)) == "chip_answer_malformed"


def test_an_absent_tag_is_none_or_a_fault_where_it_is_required() -> None:
    assert tlv.find(b"\x84\x00", 0x85) is None
    with pytest.raises(ChipFault) as fault:
        tlv.require(b"\x84\x00", 0x85)
    assert fault.value.code == "chip_answer_malformed"


def test_a_record_ends_where_its_length_says_and_padding_is_ignored() -> None:
    assert tlv.parse_record(bytes.fromhex("0303312E30FFFF"), 0x03) == b"1.0"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("", "chip_answer_truncated"),
        ("03", "chip_answer_truncated"),
        ("0304312E30", "chip_answer_truncated"),
        ("0403312E30", "chip_answer_malformed"),
    ],
)
def test_a_record_that_does_not_hold_together_is_a_fault(data: str, code: str) -> None:
    with pytest.raises(ChipFault) as fault:
        tlv.parse_record(bytes.fromhex(data), 0x03)
    assert fault.value.code == code


@settings(deadline=None)
@given(st.integers(1, 0xFE).filter(lambda tag: tag & 0x1F != 0x1F), st.binary(max_size=300))
def test_what_is_encoded_is_parsed_back(tag: int, value: bytes) -> None:
    assert tlv.parse(tlv.encode(tag, value)) == (Tlv(tag, value),)


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_only_a_chip_fault_comes_of_any_bytes(data: bytes) -> None:
    for read in (tlv.parse, historical_bytes, lambda d: tlv.parse_record(d, 1), lambda d: tlv.find(d, 0x6F, 0xA5)):
        try:
            read(data)
        except ChipFault:
            pass


HISTORICAL = bytes(range(0x10, 0x1D))


@pytest.mark.parametrize("prefix", ["3B6D0000", "3B0D", "3B2D11", "3B9D1100"])
def test_historical_bytes_are_cut_behind_the_interface_bytes(prefix: str) -> None:
    assert historical_bytes(bytes.fromhex(prefix) + HISTORICAL) == HISTORICAL


def test_a_long_chain_of_interface_bytes_is_followed_and_its_check_byte_checked() -> None:
    # T0: TA1 to TD1 follow; TD1 = 91: TA2 and TD2, protocol 1; TD2 = 00: nothing more.
    body = bytes.fromhex("3BFD11223391AA00") + HISTORICAL
    check = 0
    for byte in body[1:]:
        check ^= byte
    assert historical_bytes(body + bytes([check])) == HISTORICAL
    with pytest.raises(ChipFault):
        historical_bytes(body + bytes([check ^ 1]))


def test_a_contactless_atr_is_cut_alike() -> None:
    body = bytes.fromhex("8D8001") + HISTORICAL
    check = 0
    for byte in body:
        check ^= byte
    assert historical_bytes(b"\x3b" + body + bytes([check])) == HISTORICAL


@pytest.mark.parametrize("atr", ["", "3B", "3C00", "3B0D1122", "3B80", "3B00AABB", "3B" + "FF" * 40])
def test_an_atr_that_does_not_hold_together_is_a_fault(atr: str) -> None:
    with pytest.raises(ChipFault) as fault:
        historical_bytes(bytes.fromhex(atr))
    assert fault.value.code == "chip_atr_malformed"
