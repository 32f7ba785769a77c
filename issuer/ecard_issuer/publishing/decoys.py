"""Decoys: free places of the lists that change at random times, so that outsiders can neither count nor date real
changes. How often, on which list, is drawn once and told to nobody (docs/decisions/0036-decoys.md).
"""

from __future__ import annotations

import math
import random
import secrets
from datetime import datetime
from typing import Final, Protocol

from ecard_card.status import CardChange, EcardStatus
from ecard_issuer.publishing.ports import DecoyStore

#: Decoys a day and list lie between these, evenly on a scale of ratios.
FEWEST: Final = 0.5
MOST: Final = 8.0
_DAY: Final = 86_400
#: Of a hundred decoy changes so many end a new place, and so many go on with one that is suspended.
_END_NEW: Final = 20
_GO_ON: Final = 40
_LOSSES: Final = (CardChange.REPORT_TEMPORARY_LOSS, CardChange.REPORT_LOSS, CardChange.LOCK)
_PROPOSALS: Final = 32


class RandomSource(Protocol):
    """What is drawn from."""

    def random(self) -> float: ...

    def randrange(self, stop: int, /) -> int: ...


class Decoys:
    """Makes decoys when they are due. Safe beside other processes: the store gives each turn out once."""

    def __init__(self, store: DecoyStore, source: RandomSource | None = None) -> None:
        self._store = store
        self._source = source or _System()

    def turn(self, now: datetime) -> int:
        """Make what is due at `now` (aware UTC); returns how many."""
        turns = self._store.due_decoys(now, self._delay)
        return sum(self._change(turn.list_id, turn.size, now) for turn in turns)

    def _delay(self, every: int | None) -> tuple[int, float]:
        """The list's own mean, drawn where it has none, and a time until the next one: exponential, so that it cannot
        be told from when the last one was."""
        if every is None:
            ratio = MOST / FEWEST
            every = max(1, round(_DAY / (FEWEST * ratio ** self._source.random())))
        return every, -every * math.log(1.0 - self._source.random())

    def _change(self, list_id: int, size: int, now: datetime) -> bool:
        drawn = self._source.randrange(100)
        sequence = 1 + self._source.randrange(3)
        if drawn < _GO_ON:
            start = self._source.randrange(size)
            index = self._store.suspended_decoy(list_id, start)
            if index is None:
                index = self._store.suspended_decoy(list_id, 0)
            if index is not None:
                ended = self._source.randrange(4) == 0
                value = EcardStatus.INVALID if ended else EcardStatus.VALID
                change = CardChange.REPLACE if ended else CardChange.RELEASE
                return self._store.change_decoy(list_id, index, value, change.value, sequence + 1, now)
        if drawn >= 100 - _END_NEW:
            value, change = EcardStatus.INVALID, CardChange.CANCEL
        else:
            value, change = EcardStatus.SUSPENDED, _LOSSES[self._source.randrange(len(_LOSSES))]
        return any(
            self._store.new_decoy(list_id, self._source.randrange(size), value, change.value, sequence, now)
            for _ in range(_PROPOSALS)
        )


class _System:
    """The system's randomness: times that could be foreseen would tell decoys from cards."""

    def __init__(self) -> None:
        self._random: random.Random = secrets.SystemRandom()

    def random(self) -> float:
        return self._random.random()

    def randrange(self, stop: int, /) -> int:
        return self._random.randrange(stop)
