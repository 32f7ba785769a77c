from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card.card import (
    Binding,
    Card,
    CardNumber,
    Chip,
    ChipAssurance,
    Holder,
    IdentificationCode,
    IdNumber,
    card_number_check,
    id_number_check,
)
from tests.card.support import brief, only_our_errors, params, refused

CODE = "110100D156000005" + "0123456789ABCDEF"
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@pytest.mark.parametrize("vector", params("card_number"))
def test_check_character_of_card_number(vector: dict[str, str]) -> None:
    assert card_number_check(vector["body"]) == vector["expect"]
    assert CardNumber(vector["body"] + vector["expect"]).check_holds


def test_wrong_check_character_of_card_number_is_a_warning_only() -> None:
    assert not CardNumber("123456780").check_holds


@pytest.mark.parametrize("text", ["", "12345678", "1234567890", "a23456788", "1234 6788", "１23456788", "12345678\n"])
def test_malformed_card_number_is_refused(text: str) -> None:
    refused(lambda: CardNumber(text), "bad_card_number")


@given(st.text(ALPHABET, min_size=8, max_size=8), st.integers(0, 7), st.integers(0, 9))
def test_check_character_sees_every_single_digit_slip(body: str, place: int, digit: int) -> None:
    """Changing one digit into another digit always shows, because 11 is prime and above the difference."""
    if body[place].isdigit() and int(body[place]) != digit:
        slipped = body[:place] + str(digit) + body[place + 1 :]
        assert card_number_check(slipped) != card_number_check(body)


@pytest.mark.parametrize(
    ("body", "check"),
    [("11010519491231002", "X"), ("44052418800101001", "4")],  # GB 11643 Annex examples
)
def test_check_character_of_id_number(body: str, check: str) -> None:
    assert id_number_check(body) == check
    assert IdNumber(body + check).birth_date == date(int(body[6:10]), int(body[10:12]), int(body[12:14]))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "11010519491231002",
        "110105194912310021",
        "11010519491231002x",
        "１１010519491231002X",
        "11010519491231002X\n",
    ],
    ids=brief,
)
def test_malformed_id_number_is_refused(text: str) -> None:
    refused(lambda: IdNumber(text), "bad_id_number")


def test_id_number_with_an_impossible_birth_date_is_refused() -> None:
    body = "11010519490230002"
    refused(lambda: IdNumber(body + id_number_check(body)), "bad_id_number")


@given(st.text(max_size=40))
def test_only_our_errors_leave_the_nouns(text: str) -> None:
    for noun in (CardNumber, IdNumber, IdentificationCode):
        only_our_errors(lambda noun=noun: noun(text))  # type: ignore[misc]
    only_our_errors(lambda: ChipAssurance.from_label(text))


@pytest.mark.parametrize("text", ["", CODE.lower(), CODE[:-1], CODE + "0", CODE.replace("D1560", "D1561"), CODE + "\n"])
def test_malformed_identification_code_is_refused(text: str) -> None:
    refused(lambda: IdentificationCode(text), "bad_identification_code")


def test_identification_code_tells_the_region() -> None:
    assert IdentificationCode(CODE).region == "110100"


@pytest.mark.parametrize("level", ChipAssurance)
def test_chip_assurance_label_goes_there_and_back(level: ChipAssurance) -> None:
    assert ChipAssurance.from_label(level.label) is level


@pytest.mark.parametrize("label", ["", "READ", "Challenge", "c3", "challenge "])
def test_unknown_chip_assurance_is_refused(label: str) -> None:
    refused(lambda: ChipAssurance.from_label(label), "unknown_chip_assurance")


@pytest.mark.parametrize("name", ["", "x" * 101, "two\nlines", "del\x7f", "nul\x00"])
def test_unprintable_holder_name_is_refused(name: str) -> None:
    refused(lambda: Holder(IdNumber("11010519491231002X"), name), "bad_name")


def test_repr_shows_nothing_of_a_person() -> None:
    holder = Holder(IdNumber("11010519491231002X"), "张测试")
    chip = Chip(IdentificationCode(CODE), "SSSE-3")
    card = Card(chip, CardNumber("A00000003"), holder, date(2025, 1, 1), date(2035, 1, 1))
    for secret in ("19491231", "张测试", CODE, "A00000003"):
        assert secret not in repr(card) + repr(holder) + repr(chip)


def test_card_must_expire_after_it_was_issued() -> None:
    holder = Holder(IdNumber("11010519491231002X"), "张测试")
    chip = Chip(IdentificationCode(CODE), "SSSE-3")
    day = date(2025, 1, 1)
    refused(lambda: Card(chip, CardNumber("A00000003"), holder, day, day), "bad_card_validity")


def test_binding_names_card_ecard_and_proof() -> None:
    binding = Binding("card", "ecard", ChipAssurance.SIGNATURE)
    assert (binding.card_ref, binding.ecard_id, binding.assurance.label) == ("card", "ecard", "signature")
