"""A QR symbol (ISO/IEC 18004) as plain bits: the `qrcode` library encodes, this module picks the mask quickly.

The library encodes, corrects errors and places every module. What costs it most (four fifths of a code's time,
measured) is laying the symbol out and scoring it once for each of the eight masks, module by module. A mask only
inverts data modules and sets the format bits, whatever the data are. So the difference between a symbol with one
mask and with another is learned from the library once for each version and level; after that one layout gives
all eight, and each is scored with the same four rules on one long integer. The choice is the library's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from ecard_card.errors import InvalidInput, Unavailable
from ecard_qr.base45 import ALPHABET

if TYPE_CHECKING:
    from qrcode.main import QRCode

MAX_TEXT: Final = 7089  # digits of version 40-L

_DIGITS: Final = frozenset("0123456789")
_ALPHANUMERIC: Final = frozenset(ALPHABET)  # RFC 9285 took it from QR
_LEVELS: Final = {"L": 1, "M": 0, "Q": 3, "H": 2}  # the format bits of ISO/IEC 18004, as the library numbers them
_MASKS: Final = range(8)
_TO_DIGITS: Final = bytes.maketrans(b"\x00\x01", b"01")
# Rule 3 finds what looks like a finder pattern beside four light modules, seen from either side.
_FINDER_LIKE: Final = ("10111010000", "00001011101")


@dataclass(frozen=True, slots=True)
class Symbol:
    """`version` 1-40, `size` in modules (17 + 4 * version), and the rows, top first: text of 1 (dark) and 0."""

    version: int
    size: int
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Layout:
    """What all symbols of one version and level share. `trial[k]`, `final[k]`: XOR from the trial layout of mask 0."""

    trial: tuple[int, ...]
    final: tuple[int, ...]


def symbol_of(text: str, level: str = "M") -> Symbol:
    """The symbol of a text at error correction level L, M, Q or H, in the smallest version.

    Digits are written in numeric mode, text of the QR alphanumeric alphabet (as our codes are) in alphanumeric
    mode, all else as UTF-8 bytes: one mode for the whole text.
    Raises `InvalidInput` (`picture_text_too_long`, `bad_error_correction`), `Unavailable` `picture_library_missing`.
    """
    version = version_of(text, level)
    size = 17 + 4 * version
    base = _lay_out(_encoder(text, level, version), mask=0, trial=True)
    layout = _layout(version, level)
    best = min(_MASKS, key=lambda mask: _penalty(base ^ layout.trial[mask], size))  # of equals the first
    digits = format(base ^ layout.final[best], f"0{size * size}b")
    return Symbol(version, size, tuple(digits[start : start + size] for start in range(0, size * size, size)))


def version_of(text: str, level: str = "M") -> int:
    """The QR version, 1-40, that a text needs. Raises as `symbol_of` does."""
    if level not in _LEVELS:
        raise InvalidInput("bad_error_correction", "want L, M, Q or H")
    if len(text) > MAX_TEXT:
        raise InvalidInput("picture_text_too_long", "more than the largest symbol holds")
    if _ALPHANUMERIC.issuperset(text) and not _DIGITS.issuperset(text):
        return _fit("A" * len(text), level)  # the length decides, so codes of one length share the answer
    return _fit(text, level)


@lru_cache(maxsize=64)
def _fit(text: str, level: str) -> int:
    library = _library()
    try:
        return int(_encoder(text, level, None).best_fit())
    except (library.exceptions.DataOverflowError, ValueError):  # 8.2 stumbles over version 41 before it says so
        raise InvalidInput("picture_text_too_long", "more than the largest symbol holds") from None


@lru_cache(maxsize=64)
def _layout(version: int, level: str) -> _Layout:
    encoder = _encoder("", level, version)
    base = _lay_out(encoder, mask=0, trial=True)
    return _Layout(
        trial=tuple(base ^ _lay_out(encoder, mask, trial=True) for mask in _MASKS),
        final=tuple(base ^ _lay_out(encoder, mask, trial=False) for mask in _MASKS),
    )


def _library() -> Any:
    try:
        import qrcode
        import qrcode.exceptions
        import qrcode.util
    except ImportError:
        raise Unavailable("picture_library_missing", "install ecard[image] to draw codes") from None
    return qrcode


def _encoder(text: str, level: str, version: int | None) -> QRCode:
    library = _library()
    encoder = library.QRCode(version=version, error_correction=_LEVELS[level])
    if _DIGITS.issuperset(text):
        mode = library.util.MODE_NUMBER
    elif _ALPHANUMERIC.issuperset(text):
        mode = library.util.MODE_ALPHA_NUM
    else:
        mode = library.util.MODE_8BIT_BYTE
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInput("bad_picture_text", "half of a surrogate pair is no text") from None
    encoder.add_data(library.util.QRData(data, mode=mode, check_data=False))
    return encoder


def _lay_out(encoder: QRCode, mask: int, *, trial: bool) -> int:
    """The library's symbol as one integer, first module highest; a trial leaves the format and version bits light."""
    encoder.makeImpl(trial, mask)
    return int(b"".join(map(bytes, encoder.modules)).translate(_TO_DIGITS), 2)


def _penalty(bits: int, size: int) -> int:
    """The penalty of ISO/IEC 18004 §7.8.3.1, as the library counts it; all rows, then all columns, at once."""
    everything = (1 << size * size) - 1
    row_starts = everything // ((1 << size) - 1)  # the last bit of each row
    total = 0
    same: dict[int, int] = {}
    for step, inside in ((1, everything ^ row_starts << (size - 1)), (size, everything >> size)):
        # 1. Runs of five and more of one colour: a run of n counts n - 2.
        equal = same[step] = ~(bits ^ bits >> step) & inside
        runs = equal & equal >> step & equal >> 2 * step & equal >> 3 * step
        total += runs.bit_count() + 2 * (runs & ~(runs << step)).bit_count()
        # 3. Finder-like patterns that lie within the row or column.
        windows = row_starts * ((1 << (size - 10)) - 1) if step == 1 else everything >> 10 * size
        for pattern in _FINDER_LIKE:
            hits = windows
            for place, colour in enumerate(pattern):
                hits &= bits >> place * step if colour == "1" else ~(bits >> place * step)
            total += 40 * hits.bit_count()
    # 2. Blocks of two by two of one colour.
    total += 3 * (same[1] & same[1] >> size & same[size]).bit_count()
    # 4. Each full 5 % by which the dark share differs from one half.
    dark_percent = float(bits.bit_count()) / (size * size) * 100
    return total + int(abs(dark_percent - 50) / 5) * 10
