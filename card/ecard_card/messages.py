"""What a person reads for a stable code, in English and Chinese: one table for every room, shipped as data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Literal

Language = Literal["en", "zh"]


def text(code: str, lang: Language = "en") -> str:
    """The text for `code`; the code itself where the table has none, so that nothing is ever left unsaid."""
    return _table().get(code, {}).get(lang, code)


def codes() -> frozenset[str]:
    """Every code that has a text."""
    return frozenset(_table())


def language(accepted: str) -> Language:
    """`zh` or `en`, whichever an Accept-Language header (RFC 9110 §12.5.4) or a locale name prefers; else `en`."""
    best: tuple[float, Language] = (0.0, "en")
    for item in accepted[:256].split(","):
        tag, _, parameter = item.strip().partition(";")
        primary = tag.replace("_", "-").split("-")[0].strip().lower()
        try:
            weight = float(parameter.strip().removeprefix("q=")) if parameter else 1.0
        except ValueError:
            continue
        if primary == "zh" and weight > best[0]:
            best = (weight, "zh")
        elif primary == "en" and weight > best[0]:
            best = (weight, "en")
    return best[1]


@cache
def _table() -> Mapping[str, Mapping[str, str]]:
    table: Mapping[str, Mapping[str, str]] = json.loads(
        files("ecard_card").joinpath("messages.json").read_text(encoding="utf-8")
    )
    return table
