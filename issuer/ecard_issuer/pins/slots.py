"""How many comparisons run at once: each takes a core and 19 MiB, and none may keep the service from its other work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Final

from ecard_card.errors import Unavailable

#: How long one waits for a core, in seconds.
WAIT_S: Final = 2.0
#: How many may wait at once; far fewer than a web server's threads (40), so that some are always left for others.
MOST_WAITING: Final = 16


class Slots:
    """Lets `at_once` in, lets `waiting` more wait, and refuses the rest at once."""

    def __init__(
        self, at_once: int = os.cpu_count() or 1, waiting: int = MOST_WAITING, seconds: float = WAIT_S
    ) -> None:
        self._cores = BoundedSemaphore(at_once)
        self._places = BoundedSemaphore(at_once + waiting)
        self._seconds = seconds

    @contextmanager
    def slot(self) -> Iterator[None]:
        """A turn at comparing. Raises `Unavailable` `secrets_busy`: nothing was compared, no try was taken."""
        if not self._places.acquire(blocking=False):
            raise Unavailable("secrets_busy", "too many comparisons wait")
        try:
            if not self._cores.acquire(timeout=self._seconds):
                raise Unavailable("secrets_busy", "no core became free in time")
            try:
                yield
            finally:
                self._cores.release()
        finally:
            self._places.release()
