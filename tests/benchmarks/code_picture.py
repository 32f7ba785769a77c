"""How long the picture of an offline code takes: ours against the drawing library's own way, in the same run."""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable

import qrcode
from qrcode.constants import ERROR_CORRECT_M

from ecard_qr import picture
from tests.qr.samples import OFFLINE_TEXT

ROUNDS = 25


def _library_png(text: str) -> bytes:
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_M, box_size=8, border=4)
    code.add_data(text)
    out = io.BytesIO()
    code.make_image().save(out)
    return out.getvalue()


def _milliseconds(draw: Callable[[str], bytes]) -> float:
    start = time.perf_counter()
    draw(OFFLINE_TEXT)
    return (time.perf_counter() - start) * 1000


def run() -> list[dict[str, object]]:
    """One row: the median PNG of a largest `EC1:` code (version 13-M, 8 pixels a module) in milliseconds.

    `ratio` is our time over the library's own; both draw the same symbol, turn by turn, after one round to warm up.
    """
    picture.png(OFFLINE_TEXT)
    _library_png(OFFLINE_TEXT)
    ours, library = [], []
    for _ in range(ROUNDS):
        ours.append(_milliseconds(picture.png))
        library.append(_milliseconds(_library_png))
    mine, theirs = statistics.median(ours), statistics.median(library)
    return [
        {
            "name": "code_picture",
            "value": round(mine, 2),
            "unit": "ms",
            "against": f"qrcode {theirs:.2f} ms (make_image)",
            "ratio": round(mine / theirs, 3),
        }
    ]
