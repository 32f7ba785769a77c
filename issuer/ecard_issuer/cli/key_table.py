"""The table that `ecard key list` prints, and what it says below."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ecard_card import messages
from ecard_card.messages import Language

_COLUMNS: Final = ("kid", "purpose", "state", "algorithm", "home", "since", "next", "live")
_SINCE: Final = {
    "generated": "created_at",
    "next": "published_at",
    "active": "not_before",
    "verify-only": "retired_from",
    "retired": "retired_at",
    "compromised": "compromised_at",
}


def lines_of(answer: Mapping[str, Any], language: Language) -> list[str]:
    """The lines for a `KeysAnswer`: a row per key, the schedules, then what is unsafe, late or due."""
    head = [messages.text(f"key_column_{name}", language) for name in _COLUMNS]
    lines = _aligned([head, *(_row(key, language) for key in answer["keys"])])
    for schedule in answer["schedules"]:
        words = messages.text("key_schedule_line", language)
        lines.append(
            words.format(
                purpose=schedule["purpose"], days=f"{schedule['every_seconds'] / 86_400:.2f}".rstrip("0").rstrip(".")
            )
        )
    if not answer["advice"]:
        return [*lines, "", messages.text("key_nothing_due", language)]
    return [*lines, "", *_aligned(_finding(advice, language) for advice in answer["advice"])]


def _row(key: Mapping[str, Any], language: Language) -> list[str]:
    since = key.get(_SINCE.get(key["state"], "created_at"))
    return [
        key["kid"],
        key["purpose"],
        key["state"],
        key["algorithm"],
        key["home"],
        _short(since),
        _next(key, language),
        str(key["live_credentials"] or "-"),
    ]


def _next(key: Mapping[str, Any], language: Language) -> str:
    """The next change that is possible for a key, and from when."""
    code = {"next": "key_can_sign_from", "verify-only": "key_can_retire_from", "retired": "key_can_go_from"}
    if key["next_change_from"] is None or key["state"] not in code:
        return "-"
    return messages.text(code[key["state"]], language).format(time=_short(key["next_change_from"]))


def _finding(advice: Mapping[str, Any], language: Language) -> list[str]:
    until = advice["until"]
    limit = "" if until is None else messages.text("key_advice_until", language).format(time=_short(until))
    kind = messages.text(f"key_advice_{advice['kind']}", language)
    return [kind, advice["purpose"] or "-", advice["kid"] or "-", f"{advice['text']} {limit}".rstrip()]


def _short(moment: str | None) -> str:
    """`2026-01-31 12:00Z`: seconds say nothing here."""
    return "-" if moment is None else f"{moment[:10]} {moment[11:16]}Z"


def _aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    table = [list(row) for row in rows]
    widths = [max(map(_width, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def _width(text: str) -> int:
    """How many columns a terminal gives the text: two for a wide character (UAX #11)."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
