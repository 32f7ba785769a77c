"""Ages of people, by China's calendar, whatever the server's clock says."""

from __future__ import annotations

from datetime import date, datetime

from ecard_card.china import china_date, china_midnight
from ecard_card.errors import InvalidInput


def birthday(born: date, years: int) -> date:
    """The day on which somebody born on `born` is `years` old. Who was born on 29 February has theirs on 1 March in
    years without one: until then they are not that old yet."""
    try:
        return born.replace(year=born.year + years)
    except ValueError:
        return date(born.year + years, 3, 1)


def comes_of_age(born: date, years: int) -> datetime:
    """The first moment (UTC) of that birthday in China."""
    return china_midnight(birthday(born, years))


def is_under(born: date, years: int, now: datetime) -> bool:
    """Whether somebody born on `born` is not yet `years` old at `now`."""
    return china_date(now) < birthday(born, years)


def require_born(born: date | None, now: datetime) -> None:
    """Raises `InvalidInput` `born_in_future` if that day is still to come in China. An unknown day passes."""
    if born is not None and born > china_date(now):
        raise InvalidInput("born_in_future", "the birth date is still to come")
