"""The addresses of an issuer's status lists: a template with one variable, `{list}` (RFC 6570 level 1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ecard_card.errors import InvalidInput

_MAX_DIGITS: Final = 10  # of a list's number
_DIGIT: Final = "\0"  # stands for a digit, and in no template


def belongs_to(uri: str, template: str) -> bool:
    """Whether `uri` is an expansion of `template` by a decimal list number."""
    head, _, tail = template.partition("{list}")
    number = uri[len(head) : len(uri) - len(tail)]
    return (
        uri.startswith(head)
        and uri.endswith(tail)
        and number.isascii()
        and number.isdigit()
        and len(number) <= _MAX_DIGITS
    )


def list_uri(template: str, list_id: int) -> str:
    """The address of list `list_id`. Raises `InvalidInput` `bad_status_reference` for a negative one."""
    if list_id < 0:
        raise InvalidInput("bad_status_reference", "a list number is not negative")
    return template.replace("{list}", str(list_id))


def overlap(one: str, other: str) -> bool:
    """Whether some address belongs to both templates, wherever in them their variables stand."""
    (head, _, tail), (head2, _, tail2) = one.partition("{list}"), other.partition("{list}")
    if not (head.startswith(head2) or head2.startswith(head)) or not (tail.endswith(tail2) or tail2.endswith(tail)):
        return False
    longer = len(head) + len(tail) - len(head2) - len(tail2)
    return any(
        _meet(f"{head}{_DIGIT * digits}{tail}", f"{head2}{_DIGIT * (digits + longer)}{tail2}")
        for digits in range(1, _MAX_DIGITS + 1)
        if 1 <= digits + longer <= _MAX_DIGITS
    )


def overlapping(templates: Sequence[str]) -> set[int]:
    """The places of all templates that overlap with another one of the sequence."""
    found: set[int] = set()
    before: list[tuple[str, int]] = []  # those whose head is the beginning of the present one: no other can overlap
    for head, place in sorted((template.partition("{list}")[0], place) for place, template in enumerate(templates)):
        while before and not head.startswith(before[-1][0]):
            before.pop()
        for _, other in before:
            if overlap(templates[place], templates[other]):
                found |= {place, other}
        before.append((head, place))
    return found


def _meet(one: str, other: str) -> bool:
    """Whether two texts of one length can be the same, where each `_DIGIT` may be any digit."""
    return all(
        first == second or (first == _DIGIT and _is_digit(second)) or (second == _DIGIT and _is_digit(first))
        for first, second in zip(one, other, strict=True)
    )


def _is_digit(character: str) -> bool:
    return "0" <= character <= "9"
