"""When a child comes of age, by China's calendar."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime

from ecard_card.china import CHINA


def of_age_at(born: date | None, years: int) -> datetime:
    """The first moment of the birthday on which somebody is `years` old (aware); long ago, where nobody told the date.
    Who was born on 29 February has it on 28 February of other years (Civil Code art. 202)."""
    if born is None:
        return datetime.min.replace(tzinfo=UTC)
    year = born.year + years
    day = min(born.day, monthrange(year, born.month)[1])
    return datetime(year, born.month, day, tzinfo=CHINA)
