"""Base45 (RFC 9285): bytes as text of the QR alphanumeric alphabet, two bytes in three characters.

Strict, so that bytes and text stand one to one: no text but the one `encode` makes is decoded.
"""

from __future__ import annotations

from typing import Final

from ecard_card.errors import InvalidInput

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"

_FOREIGN: Final = 0xFF
_VALUES: Final = bytes(ALPHABET.find(chr(code)) & 0xFF for code in range(256))  # find() says -1: 0xFF
_PAIRS: Final = tuple(low + high for high in ALPHABET for low in ALPHABET)  # index = low + 45 * high
_LANE: Final = 4  # bytes a group of three characters gets while it is summed


def encode(data: bytes) -> str:
    """The Base45 text of any bytes (RFC 9285 §4)."""
    whole = len(data) & ~1
    pieces = []
    for high, low in zip(data[0:whole:2], data[1:whole:2], strict=True):
        top, rest = divmod(high << 8 | low, 2025)
        pieces.append(_PAIRS[rest] + ALPHABET[top])
    if whole != len(data):
        pieces.append(_PAIRS[data[-1]])
    return "".join(pieces)


def decode(text: str) -> bytes:
    """The bytes of a Base45 text. Raises `InvalidInput` `bad_base45`: foreign character, length, or overflow.

    Linear in `text`; the caller bounds its length. All groups are summed at once, each in a 32-bit lane of one
    long integer (44 + 45*44 + 2025*44 < 2^17, so no lane runs over): a code is read several times faster
    than by a loop, and reading is what a busy counter does.
    """
    try:
        values = text.encode("ascii").translate(_VALUES)
    except UnicodeEncodeError:
        raise InvalidInput("bad_base45", "a character is outside the Base45 alphabet") from None
    if _FOREIGN in values:
        raise InvalidInput("bad_base45", "a character is outside the Base45 alphabet")
    groups, rest = divmod(len(values), 3)
    if rest == 1:
        raise InvalidInput("bad_base45", "no Base45 text has this length")

    total = _lanes(values, 0, groups) + 45 * _lanes(values, 1, groups) + 2025 * _lanes(values, 2, groups)
    sums = total.to_bytes(_LANE * groups, "little")
    if sums[2::_LANE] != bytes(groups):
        raise InvalidInput("bad_base45", "a group of three characters exceeds two bytes")
    out = bytearray(2 * groups)
    out[0::2] = sums[1::_LANE]
    out[1::2] = sums[0::_LANE]
    if rest:
        last = values[-2] + 45 * values[-1]
        if last > 0xFF:
            raise InvalidInput("bad_base45", "the last two characters exceed one byte")
        out.append(last)
    return bytes(out)


def _lanes(values: bytes, column: int, groups: int) -> int:
    """Every third value from `column` on, one to a lane."""
    lanes = bytearray(_LANE * groups)
    lanes[::_LANE] = values[column : 3 * groups : 3]
    return int.from_bytes(lanes, "little")
