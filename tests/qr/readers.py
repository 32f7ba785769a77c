"""Who reads the pictures of `damage`: the counter's page as it is, and a decoder that we did not write."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import zxingcpp
from PIL import Image

from ecard_card.errors import InvalidInput
from ecard_qr.challenge import PREFIX, parse_challenge
from ecard_qr.payload import parse

_SCRIPT = Path(__file__).parents[1] / "node" / "counter_reader.mjs"


@dataclass(frozen=True)
class Reading:
    """The texts found in a picture, and what the page takes the picture for: `code` with its text, `two`, `foreign`."""

    texts: tuple[str, ...]
    kind: str | None
    text: str | None


def page(node: str, images: Iterable[Image.Image]) -> list[Reading]:
    """By the page's own worker and its engine (ZXing as WebAssembly), in Node."""
    given = b"".join(struct.pack(">II", *image.size) + image.tobytes() for image in images)
    done = subprocess.run([node, _SCRIPT], input=given, capture_output=True, timeout=300, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert not any("reason" in answer for answer in answers), "a picture that was not looked at"
    return [
        Reading(tuple(one["texts"]), (one["taken"] or {}).get("kind"), (one["taken"] or {}).get("text"))
        for one in answers
    ]


def reference(image: Image.Image) -> list[str]:
    """By zxing-cpp."""
    return [found.text for found in zxingcpp.read_barcodes(image)]


def of_another(texts: Iterable[str], shown: Sequence[str]) -> list[str]:
    """Those of `texts` that our parsers take for a code, and that are none of the codes in the picture."""
    return [text for text in texts if _is_ours(text) and text.strip() not in shown]


def _is_ours(text: str) -> bool:
    try:
        if text.startswith(PREFIX):
            parse_challenge(text)
        else:
            parse(text)
    except InvalidInput:
        return False
    return True
