"""Times that a client wrote, against our clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from ecard_card.errors import NotAuthenticated
from ecard_keys.http_signature import difference

#: How far a client's clock may be from ours.
SKEW: Final = timedelta(seconds=60)
_LAST: Final = 1 << 33  # seconds; in the year 2242


def numeric_date(value: object) -> int | None:
    """A NumericDate in whole seconds (RFC 7519 §2), or None for anything else."""
    return value if type(value) is int and 0 <= value < _LAST else None


def require_recent(moment: int, now: datetime, name: str, refused: type[NotAuthenticated]) -> None:
    """Raises `refused` with `clock_differs` where `moment` is more than `SKEW` from `now`; the detail has the
    difference, so that whoever wrote it can set their clock."""
    ahead = moment - int(now.timestamp())
    if abs(ahead) > SKEW.total_seconds():
        raise refused("clock_differs", f"{name} is {difference(ahead)}")
