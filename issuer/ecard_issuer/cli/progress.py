"""A progress bar on standard error: how far, how fast, how long still. A line now and then where nobody watches."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final, TextIO

_WIDTH: Final = 24
_WATCHED: Final = 0.2  # seconds between two drawings on a terminal
_UNWATCHED: Final = 10.0  # and between two lines in a log


class Bar:
    """Drawn by `show`, not more often than anybody can read; `end` draws the last state whatever the time."""

    def __init__(self, stream: TextIO | None = None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._watched = self._stream.isatty()
        self._pause = _WATCHED if self._watched else _UNWATCHED
        self._monotonic = monotonic
        self._line = self._drawn = ""
        self._at: float | None = None

    def show(self, done: int, total: int, rate: float, seconds_left: float | None) -> None:
        """`rate` per second; `seconds_left` None where it is not known yet."""
        self._line = draw(done, total, rate, seconds_left)
        now = self._monotonic()
        if self._at is None or now - self._at >= self._pause:
            self._at = now
            self._write()

    def end(self) -> None:
        """Leave the line, so that what is said next stands on its own."""
        if self._line != self._drawn:
            self._write()
        if self._watched and self._drawn:
            self._stream.write("\n")
            self._stream.flush()

    def _write(self) -> None:
        self._drawn = self._line
        self._stream.write(f"\r{self._line}\x1b[K" if self._watched else f"{self._line}\n")
        self._stream.flush()


def draw(done: int, total: int, rate: float, seconds_left: float | None) -> str:
    """`[######------------------] 25% 1,000/4,000, 310/s, 10 s left`. Of a `total` of 0 all is done."""
    share = min(1.0, done / total) if total else 1.0
    filled = int(share * _WIDTH)
    bar = "#" * filled + "-" * (_WIDTH - filled)
    left = "" if seconds_left is None or done >= total else f", {span(seconds_left)} left"
    return f"[{bar}] {int(share * 100)}% {done:,}/{total:,}, {rate:,.0f}/s{left}"


def span(seconds: float) -> str:
    """`40 s`, `3 min 20 s`, `5 h 10 min`, `2 d 3 h`."""
    whole = int(seconds + 0.5)
    for unit, name, below, rest in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= unit:
            more = whole % unit // below
            return f"{whole // unit} {name}" + (f" {more} {rest}" if more else "")
    return f"{whole} s"
