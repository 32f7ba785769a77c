"""The built component: small, whole, in both languages."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image

from tests.require import needs_component
from tests.sdk.web.test_core import ask

WEB = Path(__file__).parents[3] / "sdk/web"
LIMIT = 16_500  # bytes, gzip


@pytest.mark.parametrize("name", ["ecard-code.js", "ecard-code.mjs"])
def test_it_is_small_and_needs_nothing_else(name: str) -> None:
    content = (needs_component() / name).read_bytes()
    assert len(gzip.compress(content, 9)) < LIMIT
    text = content.decode()
    assert not re.search(r"\bimport\s*[({\"'*]|\brequire\(|https?://(?!www\.w3\.org/2000/svg)", text)


def test_every_text_that_is_used_is_there_in_both_languages() -> None:
    texts = json.loads((WEB / "src/texts.json").read_text(encoding="utf-8"))
    for key, row in texts.items():
        assert row.keys() == {"en", "zh"}, key
        assert re.search(r"[\u4e00-\u9fff]", row["zh"]), key
        assert not re.search(r"[\u4e00-\u9fff]", row["en"]), key
        assert re.findall(r"\{\w+\}", row["en"]) == re.findall(r"\{\w+\}", row["zh"]), key
    sources = [path.read_text(encoding="utf-8") for path in WEB.glob("src/*.js")]
    sources.append((WEB / "miniprogram/ecard-code/index.js").read_text(encoding="utf-8"))
    used = {
        key for text in sources for key in re.findall(r"(?:_words|_say|words|label)\((?:\w+, |'\w+', )?'(\w+)'", text)
    }
    assert {"title", "seconds", "soon", "changed"} <= used
    assert used <= texts.keys()


@pytest.mark.parametrize("digits", ["0123456789", "99" * 5, "".join(f"{pair:02}" for pair in range(0, 60, 2))])
def test_bars_are_read_by_a_scanner(digits: str) -> None:
    (modules,) = ask({"call": "bars", "digits": digits})
    picture = Image.new("L", (3 * (len(modules) + 20), 60), 255)
    for place, dark in enumerate(modules):
        if dark:
            picture.paste(0, (3 * (place + 10), 0, 3 * (place + 11), 60))
    (found,) = zxingcpp.read_barcodes(picture)
    assert found.text == digits


def test_every_pair_of_digits_has_its_bars() -> None:
    """Code 128 has one symbol for each pair; a wrong row of the table would show in one of these."""
    asked = [f"{pair:02}{99 - pair:02}" for pair in range(100)]
    for digits, modules in zip(asked, ask(*({"call": "bars", "digits": digits} for digits in asked)), strict=True):
        bits = "".join("1" if dark else "0" for dark in modules)
        picture = Image.new("L", (len(bits) + 20, 8), 255)
        for place, bit in enumerate(bits):
            if bit == "1":
                picture.paste(0, (place + 10, 0, place + 11, 8))
        large = picture.resize((picture.width * 3, 60), Image.Resampling.NEAREST)
        (found,) = zxingcpp.read_barcodes(large)
        assert found.text == digits
