"""Opening hours as data: a short text such as `1-5 09:00-12:00 13:30-17:00; 6 09:00-12:00`, days from Monday.

Breaks are the gaps between spans. A day ends at 24:00; whoever is open past midnight has a span on each day.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from ecard_card.china import CHINA
from ecard_card.errors import InvalidInput

MAX_TEXT: Final = 200
_DAYS: Final = re.compile(r"[1-7](?:-[1-7])?(?:,[1-7](?:-[1-7])?)*")
_SPAN: Final = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])")
_DAY_MINUTES: Final = 24 * 60

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Hours:
    """Seven days from Monday, each with its spans in order: minutes of the day, the second one excluded."""

    days: tuple[tuple[Span, ...], ...]

    def is_open(self, now: datetime) -> bool:
        """Whether a span holds `now` (aware), by China's time. Holidays are not known here."""
        local = now.astimezone(CHINA)
        minute = local.hour * 60 + local.minute
        return any(start <= minute < end for start, end in self.days[local.weekday()])

    def text(self) -> str:
        """The shortest text that reads as these hours; days of equal spans together."""
        groups: dict[tuple[Span, ...], list[int]] = {}
        for day, spans in enumerate(self.days, 1):
            if spans:
                groups.setdefault(spans, []).append(day)
        return "; ".join(
            f"{_days_text(days)} {' '.join(f'{_time(start)}-{_time(end)}' for start, end in spans)}"
            for spans, days in groups.items()
        )

    def to_json(self) -> list[dict[str, object]]:
        """One entry for each day that has spans."""
        return [
            {"day": day, "spans": [[_time(start), _time(end)] for start, end in spans]}
            for day, spans in enumerate(self.days, 1)
            if spans
        ]


def read_hours(text: str) -> Hours:
    """Raises `InvalidInput` `bad_opening_hours`: another form, a day twice, spans that overlap or run backwards."""
    if len(text) > MAX_TEXT:
        raise _bad("longer than 200 characters")
    days: list[tuple[Span, ...]] = [()] * 7
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        names, *spans = part.split()
        if not _DAYS.fullmatch(names) or not spans:
            raise _bad("want days 1 to 7 and spans, such as 1-5 09:00-12:00")
        read = tuple(map(_span, spans))
        if any(before[1] > after[0] for before, after in pairwise(read)):
            raise _bad("spans of a day overlap, or are out of order")
        for day in _numbers(names):
            if days[day - 1]:
                raise _bad("a day twice")
            days[day - 1] = read
    return Hours(tuple(days))


def _numbers(names: str) -> list[int]:
    found: list[int] = []
    for item in names.split(","):
        first, _, last = item.partition("-")
        numbers = range(int(first), int(last or first) + 1)
        if not numbers:
            raise _bad("days run from Monday to Sunday")
        found.extend(numbers)
    return found


def _span(text: str) -> Span:
    match = _SPAN.fullmatch(text)
    if match is None:
        raise _bad("a span is two times, such as 09:00-12:00")
    hour, minute, last_hour, last_minute = map(int, match.groups())
    start, end = hour * 60 + minute, last_hour * 60 + last_minute
    if not start < end <= _DAY_MINUTES:
        raise _bad("a span begins before it ends, on one day")
    return start, end


def _days_text(days: list[int]) -> str:
    runs: list[list[int]] = []
    for day in days:
        if runs and day == runs[-1][-1] + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _time(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _bad(why: str) -> InvalidInput:
    return InvalidInput("bad_opening_hours", why)
