"""China's one time zone: the calendar by which cards expire and terms are counted."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Final

CHINA: Final = timezone(timedelta(hours=8), "UTC+08:00")


def china_date(now: datetime) -> date:
    """The date in China at `now` (aware)."""
    return now.astimezone(CHINA).date()


def china_midnight(day: date) -> datetime:
    """When `day` begins in China, in UTC."""
    return datetime.combine(day, time(), CHINA).astimezone(UTC)
