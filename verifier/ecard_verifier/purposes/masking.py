"""Masks for what a counter may see of a person: enough to compare with somebody standing there, too little to look up.

No mask gives the whole text back, whatever comes in: of a name one character stays, of a number at most ten of its
digits, and of numbers too short for that two or none.
"""

from __future__ import annotations

import unicodedata
from enum import StrEnum
from typing import Final

STAR: Final = "*"
_MOST_STARS: Final = 3  # in a name: how long somebody's name is, is theirs to say
_LONG: Final = 15  # characters from which a head and a tail still leave enough hidden: both forms of mainland numbers
_SHORT: Final = 8  # from here on the last two stay
_JOINER: Final = "\u200d"


class Mask(StrEnum):
    """How a text is shown."""

    ONE_END = "one-end"  # *三, 王**, M***
    HEAD3_TAIL4 = "3+4"
    HEAD6_TAIL4 = "6+4"
    FULL = "full"


def masked(text: str, mask: Mask) -> str:
    """`text` as `mask` shows it; an empty text stays empty."""
    match mask:
        case Mask.ONE_END:
            return _one_end(text)
        case Mask.HEAD3_TAIL4:
            return _ends(text, 3, 4)
        case Mask.HEAD6_TAIL4:
            return _ends(text, 6, 4)
        case Mask.FULL:
            return text


def _one_end(name: str) -> str:
    """The last of two characters, else the first: 王三 is known by 三, 王小三 by 王."""
    characters = _characters(name)
    if len(characters) < 2:
        return STAR * len(characters)
    if len(characters) == 2:
        return STAR + characters[1]
    return characters[0] + STAR * min(len(characters) - 1, _MOST_STARS)


def _ends(number: str, head: int, tail: int) -> str:
    if len(number) >= _LONG:
        return number[:head] + STAR * (len(number) - head - tail) + number[-tail:]
    kept = 2 if len(number) >= _SHORT else 0
    return STAR * (len(number) - kept) + number[len(number) - kept :]


def _characters(text: str) -> list[str]:
    """As a reader sees them: marks and variation selectors belong to the character before them."""
    found: list[str] = []
    for char in text:
        mark = unicodedata.category(char).startswith("M") or char == _JOINER
        if found and (mark or found[-1].endswith(_JOINER)):
            found[-1] += char
        else:
            found.append(char)
    return found
