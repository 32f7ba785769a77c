"""People of a test issuer, one of whom keeps everybody waiting: for channels that want to see their own timeouts."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import BoundedSemaphore
from typing import Final

from ecard_card.card import IdNumber
from ecard_issuer.people import People
from ecard_issuer.ports import Cards
from ecard_issuer.rows import HolderRow
from ecard_issuer.testmode.people import SLOW_NUMBERS, SLOW_SECONDS
from ecard_keys.protect import Protector

_Sleep = Callable[[float], None]
_sleep: Final[_Sleep] = time.sleep
#: Who may be kept waiting at once: each holds a thread of a process that may serve a live issuer too.
MOST_KEPT: Final = 4


class TestPeople(People):
    """As `People`; who is looked up by the slow number is found after `SLOW_SECONDS`, or at once where `MOST_KEPT` wait
    already."""

    __test__ = False  # no test case, whatever its name begins with

    def __init__(self, register: Cards, protector: Protector, sleep: _Sleep = _sleep) -> None:
        super().__init__(register, protector)
        self._sleep, self._kept = sleep, BoundedSemaphore(MOST_KEPT)

    def find(self, id_number: IdNumber) -> HolderRow | None:
        if id_number.text in SLOW_NUMBERS and self._kept.acquire(blocking=False):
            try:
                self._sleep(SLOW_SECONDS)
            finally:
                self._kept.release()
        return super().find(id_number)
