"""Code pictures: PNG, SVG and terminal, black on white with a quiet zone. Needs the extra `image`.

Draw an EC1 code at least 45 mm wide on a bright screen. Error correction M suits screens, Q only print: what a
camera needs are pixels per module, and a higher level makes the modules smaller.
"""

from __future__ import annotations

import io
import re
from typing import Final

from ecard_card.errors import InvalidInput, Unavailable
from ecard_qr import symbol

QUIET_ZONE: Final = 4  # modules, ISO/IEC 18004
MAX_SCALE: Final = 64
MAX_BORDER: Final = 64

_DARK_RUN: Final = re.compile("1+")
# True black on true white of the 256-colour palette: themes change colours 0-15, not these.
_INK: Final = "\x1b[38;5;16;48;5;231m"
_RESET: Final = "\x1b[0m"
_HALF_BLOCKS: Final = {"00": " ", "01": "▄", "10": "▀", "11": "█"}  # upper module, lower module


def version_of(text: str, error_correction: str = "M") -> int:
    """The QR version, 1-40, a text needs; the symbol has 17 + 4 * version modules a side. Raises as `png`."""
    return symbol.version_of(text, error_correction)


def png(text: str, *, scale: int = 8, border: int = QUIET_ZONE, error_correction: str = "M") -> bytes:
    """A 1-bit PNG; `scale` in pixels per module (1-64), `border` in modules (0-64; scanners want 4).

    Raises `InvalidInput`: `picture_text_too_long`, `bad_picture_text` (no Unicode text), `bad_picture_size`,
    `bad_error_correction` (not L, M, Q or H); `Unavailable` `picture_library_missing`.
    """
    if not 1 <= scale <= MAX_SCALE or not 0 <= border <= MAX_BORDER:
        raise InvalidInput("bad_picture_size", "scale is 1 to 64 pixels, border 0 to 64 modules")
    rows = _bordered(symbol.symbol_of(text, error_correction), border)
    try:
        from PIL import Image
    except ImportError:
        raise Unavailable("picture_library_missing", "install ecard[image] to draw codes") from None
    side = len(rows)
    stride = (side + 7) // 8
    # Pillow's mode "1;I": rows start at a byte, the highest bit first, 1 is black.
    packed = b"".join(int(row.ljust(8 * stride, "0"), 2).to_bytes(stride, "big") for row in rows)
    modules = Image.frombytes("1", (side, side), packed, "raw", "1;I")
    out = io.BytesIO()
    modules.resize((side * scale, side * scale), Image.Resampling.NEAREST).save(out, format="PNG")
    return out.getvalue()


def svg(text: str, *, error_correction: str = "M") -> str:
    """An SVG document without script, size or style sheet: one unit per module, quiet zone 4, white background.

    Give it a size from outside; it keeps its shape. Raises as `png`.
    """
    rows = _bordered(symbol.symbol_of(text, error_correction), QUIET_ZONE)
    side = len(rows)
    path = "".join(
        f"M{run.start()} {y}h{run.end() - run.start()}v1H{run.start()}z"
        for y, row in enumerate(rows)
        for run in _DARK_RUN.finditer(row)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" shape-rendering="crispEdges">'
        f'<path fill="#fff" d="M0 0h{side}v{side}H0z"/><path fill="#000" d="{path}"/></svg>\n'
    )


def terminal(text: str, *, ansi: bool = True, error_correction: str = "M") -> str:
    """Lines of half-block characters, two modules high each, ending in a newline; quiet zone 4.

    With `ansi` the colours are set, black on white, whatever the theme. Without, blocks are the *light* modules:
    it looks right where text is light on dark, as most terminals are. Raises as `png`.
    """
    rows = _bordered(symbol.symbol_of(text, error_correction), QUIET_ZONE)
    rows.append("0" * len(rows))  # the side is odd; the last line has a lower half too
    lines = []
    for upper, lower in zip(rows[0::2], rows[1::2], strict=True):
        if ansi:
            blocks = "".join(_HALF_BLOCKS[pair] for pair in map("".join, zip(upper, lower, strict=True)))
            lines.append(_INK + blocks + _RESET + "\n")
        else:
            pairs = zip(_inverted(upper), _inverted(lower), strict=True)
            lines.append("".join(_HALF_BLOCKS[pair] for pair in map("".join, pairs)) + "\n")
    return "".join(lines)


def _bordered(code: symbol.Symbol, border: int) -> list[str]:
    side = "0" * border
    blank = ["0" * (code.size + 2 * border)] * border
    return [*blank, *(side + row + side for row in code.rows), *blank]


def _inverted(row: str) -> str:
    return row.translate({ord("0"): "1", ord("1"): "0"})
