"""How often somebody may call: a quota for each key, in memory of bounded size. Counts within this process only; what
protects secrets (wrong PINs) is counted in the register."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Final

from ecard_card.errors import RateLimited

#: The window of every quota, in seconds.
WINDOW: Final = 60
_MOST_KEYS: Final = 65_536


@dataclass(frozen=True, slots=True)
class Spent:
    """What is left after a call. `reset` is in how many whole seconds the quota is whole again; `wait` is None, or in
    how many seconds the next call is taken."""

    quota: int
    remaining: int
    reset: int
    wait: int | None = None

    def check(self) -> None:
        """Raises `RateLimited` `rate_limited` where the call was one too many."""
        if self.wait is not None:
            raise RateLimited("rate_limited", f"{self.quota} calls a minute", retry_after=self.wait)


class RateLimit:
    """The generic cell rate algorithm: one number per key, the moment at which its quota is whole again. A quota of 60
    a minute is 60 at once and then one a second, so no window has an edge that twice the quota fits around.

    Keys whose quota is whole are forgotten without loss. Beyond `most_keys` the one that called longest ago is
    forgotten too: whoever calls from that many addresses is for the network in front to stop.
    """

    def __init__(self, most_keys: int = _MOST_KEYS) -> None:
        self._most_keys = most_keys
        self._whole_at: OrderedDict[str, float] = OrderedDict()
        self._lock = Lock()

    def take(self, key: str, quota: int, now: datetime) -> Spent:
        """One call of `key`, of at most `quota` (1 or more) a minute. A refused call costs nothing."""
        moment, interval = now.timestamp(), WINDOW / quota
        with self._lock:
            whole_at = self._whole_at.pop(key, moment)
            if not moment <= whole_at <= moment + WINDOW:  # whole by now, or the clock was set back
                whole_at = moment
            after = whole_at + interval
            allowed = after - moment <= WINDOW + interval / 1024  # a sum of many intervals is not exact
            whole_at = after if allowed else whole_at
            self._whole_at[key] = whole_at
            while len(self._whole_at) > self._most_keys:
                self._whole_at.popitem(last=False)
        left = moment + WINDOW - whole_at
        remaining = max(0, math.floor(left / interval + 1 / 1024))
        wait = None if allowed else max(1, math.ceil(after - moment - WINDOW))
        return Spent(quota, remaining, math.ceil(whole_at - moment), wait)

    def __len__(self) -> int:
        return len(self._whole_at)
