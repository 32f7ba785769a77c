"""The service's clock, as far as its answers tell it. A device's own clock may be minutes off; proofs must not be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

#: A clock that is further off is not set right silently: that is no drift, and its owner should know.
MAX_OFFSET: Final = timedelta(hours=24)
#: `Date` has whole seconds and is as old as the answer's way; less than this is not a difference.
_NOISE: Final = timedelta(seconds=2)


class ServerClock:
    """The local clock, corrected by what `Date` said last.

    The correction comes over TLS from the one service that the proofs are for, so it gains nobody a proof that is good
    anywhere else.
    """

    def __init__(self, local: Callable[[], datetime]) -> None:
        self._local = local
        self.offset = timedelta(0)

    def now(self) -> datetime:
        """Aware UTC."""
        return self._local() + self.offset

    def learn(self, date: str | None) -> bool:
        """Take an answer's `Date` (RFC 9110 §6.6.1). Whether that moved the clock by more than noise."""
        try:
            there = parsedate_to_datetime(date or "").astimezone(UTC)
            offset = there - self._local()
        except (ValueError, TypeError, OverflowError):
            return False
        if abs(offset) > MAX_OFFSET or abs(offset - self.offset) <= _NOISE:
            return False
        self.offset = offset
        return True
