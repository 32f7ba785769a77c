"""Which digits may be chosen, and how what people type is read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecard_card.card import IdNumber
from ecard_card.errors import InvalidInput, RuleViolation
from ecard_issuer.pins.rules import require_impersonal, require_strong
from ecard_issuer.pins.secret import Secret
from tests.contracts.register_world import refused

BORN_1990_01_05 = IdNumber("000000199001050714")


def require_choosable(secret: Secret, number: IdNumber) -> None:
    require_strong(secret)
    require_impersonal(secret, number)


@pytest.mark.parametrize(
    ("digits", "code"),
    [
        ("123456", "secret_is_initial"),
        ("654321", "secret_in_sequence"),
        ("234567", "secret_in_sequence"),
        ("890123", "secret_in_sequence"),
        ("321098", "secret_in_sequence"),
        ("111111", "secret_repeats"),
        ("121212", "secret_repeats"),
        ("738738", "secret_repeats"),
        ("111222", "secret_repeats"),
        ("199001", "secret_from_id_number"),  # year and month
        ("900105", "secret_from_id_number"),
        ("050190", "secret_from_id_number"),
        ("010590", "secret_from_id_number"),
        ("199015", "secret_from_id_number"),  # without leading zeros
        ("051990", "secret_from_id_number"),
        ("050714", "secret_from_id_number"),  # the last six
        ("000019", "secret_from_id_number"),
    ],
)
def test_what_others_would_guess_cannot_be_chosen(digits: str, code: str) -> None:
    with refused(RuleViolation, code):
        require_choosable(Secret(digits), BORN_1990_01_05)


def test_most_digits_can_be_chosen() -> None:
    weak = 0
    for number in range(0, 1_000_000, 101):
        try:
            require_choosable(Secret(f"{number:06}"), BORN_1990_01_05)
        except RuleViolation:
            weak += 1
    assert 0 < weak < 9_901 * 0.002


@pytest.mark.parametrize("typed", ["739184", "７３９１８４", "7３9１84"])
def test_digits_twice_as_wide_are_the_same_digits(typed: str) -> None:
    assert Secret.typed(typed) == Secret("739184")


@pytest.mark.parametrize(
    "typed",
    ["", "73918", "7391845", " 739184", "73918a", "٧٣٩١٨٤", "七三九一八四", "73918\n", "①②③④⑤⑥", "-73918", "73918²"],
)
def test_anything_else_is_refused_and_not_repeated(typed: str) -> None:
    with refused(InvalidInput, "secret_not_six_digits") as error:
        Secret.typed(typed)
    assert "73918" not in repr(error.value)


@given(st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_whatever_is_typed_gives_six_digits_or_our_error(typed: str) -> None:
    try:
        secret = Secret.typed(typed)
    except InvalidInput:
        return
    assert secret.text.isascii()
    assert secret.text.isdigit()
    assert len(secret.text) == 6


def test_a_secret_shows_no_digit() -> None:
    assert "739184" not in f"{Secret('739184')!r} {[Secret('739184')]}"
