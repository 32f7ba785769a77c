"""Names of people, as they are typed, compared, and written into a chip.

Nothing here refuses a name for its characters: what old encodings cannot hold is kept whole in the register, and the
desk is told what the chip cannot show. Private-use characters and the CJK extensions stay as they came; Unicode
normalisation would turn some rare characters into others, so none is done.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

#: Bytes of 姓名 (tag 09) and 姓名扩展 (tag 4E) in a chip's EF06.
NAME_BYTES: Final = 30
EXTENSION_BYTES: Final = 20

_DOT: Final = "·"  # U+00B7: the middle dot of names in the national registers
#: What keyboards and old systems give for that dot: Greek, bullets, operators, Katakana, the full stop made wide.
_DOTS: Final = "\u0387\u16eb\u2022\u2027\u2219\u22c5\u2e31\u30fb\uff65\uff0e"
_PLAIN: Final[dict[int, int | str]] = {
    **{ord(char): _DOT for char in _DOTS},
    **{code: code - 0xFEE0 for code in range(0xFF21, 0xFF3B)},  # full-width A to Z
    **{code: code - 0xFEE0 for code in range(0xFF41, 0xFF5B)},  # full-width a to z
    **{code: code - 0xFEE0 for code in range(0xFF10, 0xFF1A)},  # full-width digits
    0x3000: " ",
    0x00A0: " ",
}


def as_written(name: str) -> str:
    """A name as it is kept: one middle dot, plain Latin letters and digits, single spaces, none around it or a dot."""
    joined = " ".join(word for word in name.translate(_PLAIN).split(" ") if word)
    return joined.replace(f" {_DOT}", _DOT).replace(f"{_DOT} ", _DOT)


def same_name(one: str, other: str) -> bool:
    """Whether two spellings are one name: dots, width, case and spaces do not tell people apart."""
    return _key(one) == _key(other)


def _key(name: str) -> str:
    return as_written(name).replace(" ", "").casefold()


@dataclass(frozen=True, slots=True)
class ChipName:
    """A name as the two records of a chip hold it, in GB18030 (of which GBK is a part).

    `complete` is false where 50 bytes do not hold the name: it then ends after the last whole character that fits.
    `gbk` is false where a reader that knows only GBK shows something else.
    """

    name: bytes = field(repr=False)
    extension: bytes = field(repr=False)
    complete: bool
    gbk: bool


def chip_name(name: str) -> ChipName:
    """How a chip holds `name`, which any text without halves of surrogate pairs can be.

    The two records are cut wherever 30 bytes end, also inside a character, as card makers do: readers join the bytes
    before they decode them.
    """
    whole = name.encode("gb18030")
    held, used = bytearray(), 0
    for char in name:
        encoded = char.encode("gb18030")
        if len(held) + len(encoded) > NAME_BYTES + EXTENSION_BYTES:
            break
        held += encoded
        used += 1
    return ChipName(
        name=bytes(held[:NAME_BYTES]),
        extension=bytes(held[NAME_BYTES:]),
        complete=used == len(name),
        gbk=_is_gbk(whole),
    )


def _is_gbk(encoded: bytes) -> bool:
    """Whether every character has one or two bytes: GB18030's four-byte characters have a digit second."""
    at = 0
    while at < len(encoded):
        if encoded[at] < 0x80:
            at += 1
        elif 0x30 <= encoded[at + 1] <= 0x39:
            return False
        else:
            at += 2
    return True
