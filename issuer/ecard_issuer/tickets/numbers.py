"""Numbers that stand for codes, for a minute each: in this process's memory, because they are over before a restart.

Ten digits can be guessed where somebody may guess often; so a counter that is wrong too often is refused for a while,
and a verifier likewise, whatever it calls its counters. A number that was found is still only a code that has to pass
every check.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from ecard_card.errors import NotAllowed, NotFound, Unavailable

DIGITS: Final = 10
#: Numbers that are out at once; a guess then hits with 1 in 100,000.
MOST: Final = 100_000
#: Numbers of one session that are out at once: the one before is still being typed.
MOST_OF_ONE: Final = 3
#: Wrong numbers that one counter may send in `WINDOW`.
MOST_WRONG: Final = 20
#: The same for all counters of one verifier, which names them as it likes.
MOST_WRONG_IN_ALL: Final = 1000
WINDOW: Final = timedelta(minutes=10)
_MOST_COUNTERS: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Given:
    session_id: str
    code: str = field(repr=False)
    until: datetime


class NumberBook:
    """Safe from several threads. `random` gives a number below its argument."""

    def __init__(self, random: Callable[[int], int] = secrets.randbelow) -> None:
        self._random = random
        self._lock = threading.Lock()
        self._given: OrderedDict[str, _Given] = OrderedDict()  # oldest first
        self._own: dict[str, list[str]] = {}
        self._wrong: OrderedDict[tuple[str, ...], list[datetime]] = OrderedDict()

    def give(self, session_id: str, code: str, until: datetime, now: datetime) -> str:
        """A number for `code`, good `until` then. Raises `Unavailable` `numbers_unavailable` where too many are out."""
        with self._lock:
            self._forget(now)
            own = self._own.get(session_id, [])
            while len(own) >= MOST_OF_ONE:
                self._drop(own[0])
            if len(self._given) >= MOST:
                raise Unavailable("numbers_unavailable", "too many numbers are out")
            while (number := f"{self._random(10**DIGITS):0{DIGITS}}") in self._given:
                pass
            self._given[number] = _Given(session_id, code, until)
            self._own.setdefault(session_id, []).append(number)
            return number

    def code_of(self, number: str, counter: str, now: datetime, verifier: str = "") -> str:
        """See `ecard_verifier.numbers.NumberSource`. `counter` is one of `verifier`'s."""
        with self._lock:
            limits = {(verifier, counter): MOST_WRONG, (verifier,): MOST_WRONG_IN_ALL}
            wrong = {asker: [at for at in self._wrong.get(asker, ()) if at > now - WINDOW] for asker in limits}
            if any(len(wrong[asker]) >= most for asker, most in limits.items()):
                raise NotAllowed("number_guesses_used_up", "this counter, or this verifier, was wrong too often")
            given = self._given.get(number)
            if given is not None and now < given.until:
                return given.code
            for asker in limits:  # the verifier last: it is forgotten after its counters
                self._wrong[asker] = [*wrong[asker], now]
                self._wrong.move_to_end(asker)
            while len(self._wrong) > _MOST_COUNTERS:
                self._wrong.popitem(last=False)
        raise NotFound("number_unknown", "no such number now")

    def _forget(self, now: datetime) -> None:
        """What was given first is over first, as all live about equally long."""
        while self._given and next(iter(self._given.values())).until <= now:
            self._drop(next(iter(self._given)))

    def _drop(self, number: str) -> None:
        session_id = self._given.pop(number).session_id
        self._own[session_id].remove(number)
        if not self._own[session_id]:
            del self._own[session_id]


class BookNumbers:
    """Port `NumberSource` for a verifier in the same process, over the books of all its issuers."""

    def __init__(self, books: Sequence[NumberBook], clock: Callable[[], datetime]) -> None:
        self._books, self._clock = tuple(books), clock

    def code_of(self, number: str, counter: str) -> str:
        """See `NumberSource`."""
        for book in self._books:
            try:
                return book.code_of(number, counter, self._clock())
            except NotFound:
                continue
        raise NotFound("number_unknown", "no such number now")
