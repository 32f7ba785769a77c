"""Which origins any channel registered for its pages, from memory: browsers ask before each page's first call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

_LIFE: Final = 5.0  # seconds


class KnownOrigins:
    """Every origin that admitted channels registered, read again after a few seconds: so long one that is new waits,
    and one that was taken away may still ask. To open a session it needs a ticket besides."""

    def __init__(
        self, read: Callable[[], Iterable[str]], life: float = _LIFE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read, self._life, self._clock = read, life, clock
        self._known: tuple[float, frozenset[str]] | None = None

    def __call__(self, origin: str) -> bool:
        known = self._known
        if known is None or self._clock() - known[0] >= self._life:
            known = self._known = self._clock(), frozenset(self._read())
        return origin in known[1]
