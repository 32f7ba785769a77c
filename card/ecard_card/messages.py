"""What a person reads for a stable code, and what a developer should do, in English and Chinese: one table for every
room, shipped as data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, Language]] = ("en", "zh")


def text(code: str, lang: Language = "en") -> str:
    """The text for `code`; the code itself where the table has none, so that nothing is ever left unsaid."""
    return _table().get(code, {}).get(lang, code)


def help_text(code: str, lang: Language = "en") -> str:
    """What a developer who meets `code` should do, by `help.json`: the code's own help, else that of the first kind of
    codes that it belongs to. The last kind takes every code."""
    own, kinds = _help()
    texts = own.get(code) or next(kind.texts for kind in kinds if kind.takes(code))
    return texts[lang]


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


@dataclass(frozen=True, slots=True)
class _Kind:
    matching: re.Pattern[str]
    except_for: re.Pattern[str]
    texts: Mapping[str, str]

    def takes(self, code: str) -> bool:
        return bool(self.matching.fullmatch(code)) and not self.except_for.fullmatch(code)


@cache
def _table() -> Mapping[str, Mapping[str, str]]:
    table: Mapping[str, Mapping[str, str]] = _read("messages.json")
    return table


@cache
def _help() -> tuple[Mapping[str, Mapping[str, str]], tuple[_Kind, ...]]:
    content = _read("help.json")
    kinds = tuple(
        _Kind(re.compile(item["for"]), re.compile(item.get("except", "")), {lang: item[lang] for lang in LANGUAGES})
        for item in content["kinds"]
    )
    return content["codes"], kinds


def _read(name: str) -> Any:
    return json.loads(files("ecard_card").joinpath(name).read_text(encoding="utf-8"))
