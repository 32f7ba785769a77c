"""Periods of China's calendar, in which a qualification is confirmed once each."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from ecard_card.china import CHINA, china_date
from ecard_issuer.relying.services import Period

_MONTHS: Final = {Period.YEAR: 12, Period.HALF_YEAR: 6, Period.QUARTER: 3, Period.MONTH: 1}


def period_of(kind: Period, now: datetime) -> tuple[str, datetime]:
    """What the period of `now` is called, and until when a confirmation made in it is good: the end of the period that
    follows, so that whoever is confirmed once in each is never without one. Aware UTC, whole seconds."""
    today = china_date(now)
    months = _MONTHS[kind]
    place = (today.month - 1) // months
    after = (today.year * 12 + (place + 2) * months) // 12, (place + 2) * months % 12 + 1
    end = datetime.combine(date(*after, 1), time.min, CHINA) - timedelta(seconds=1)
    return _name(kind, today.year, place), end.astimezone(UTC)


def _name(kind: Period, year: int, place: int) -> str:
    match kind:
        case Period.YEAR:
            return f"{year:04d}"
        case Period.HALF_YEAR:
            return f"{year:04d}-H{place + 1}"
        case Period.QUARTER:
            return f"{year:04d}-Q{place + 1}"
        case Period.MONTH:
            return f"{year:04d}-{place + 1:02d}"
