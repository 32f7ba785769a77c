"""Which six digits a holder may choose: pure rules, the same for the PIN and the e-card password.

Not the initial PIN (rule of the programme), not in sequence, not repeated, not out of the ID number or the birth date
(rules of the e-card password, taken for both: what is too weak for the one is too weak for the other).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import pairwise

from ecard_card.card import IdNumber
from ecard_card.errors import RuleViolation
from ecard_issuer.pins.secret import INITIAL, Secret


def require_strong(secret: Secret) -> None:
    """Return if anybody may choose `secret`. Raises `RuleViolation`: `secret_is_initial`, `secret_in_sequence`,
    `secret_repeats`."""
    digits = secret.text
    if digits == INITIAL:
        raise RuleViolation("secret_is_initial", "the initial secret cannot be chosen")
    if _is_run(digits):
        raise RuleViolation("secret_in_sequence", "each digit follows the one before")
    if _repeats(digits):
        raise RuleViolation("secret_repeats", "one, two or three digits again and again")


def require_impersonal(secret: Secret, id_number: IdNumber) -> None:
    """Return if `secret` is no part of this number or birth date. Raises `RuleViolation` `secret_from_id_number`.

    The refusal says something of the holder, so it is for those only who have shown that they are the holder, or it is
    counted as a guess.
    """
    digits = secret.text
    if digits in id_number.text or digits in set(_of_birth(id_number.birth_date)):
        raise RuleViolation("secret_from_id_number", "six digits of the holder's number or birth date")


def _is_run(digits: str) -> bool:
    """Up or down by one each time, also past 9: 123456, 654321, 890123."""
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(digits)}
    return steps in ({1}, {9})


def _repeats(digits: str) -> bool:
    """A pattern of one to three digits all through (111111, 121212, 123123), or two digits by halves (111222)."""
    halves = len(set(digits[:3])) == len(set(digits[3:])) == 1
    return halves or any(digits == digits[:length] * (6 // length) for length in (1, 2, 3))


def _of_birth(born: date | None) -> Iterator[str]:
    """Every six digits in a row of the usual ways to write the date; none where the number does not tell it."""
    if born is None:
        return
    day, month, year = f"{born:%d}", f"{born:%m}", f"{born.year:04}"
    for text in (year + month + day, day + month + year, month + day + year):
        yield from (text[start : start + 6] for start in range(len(text) - 5))
    yield from (day + month + year[2:], month + day + year[2:], year[2:] + day + month)
    yield f"{year}{born.month}{born.day}"  # 199015 of 5 January 1990; longer ones match nothing
