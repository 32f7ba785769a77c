"""How much of a re-issue is to do, whose part of it, and how far it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ecard_card.errors import InvalidInput

MOST_PARTS: Final = 256
_SLICES: Final = 16
#: What another run, or a moment, got in the way of: the job comes back to these by itself.
_PASSING: Final = ("issuance_in_progress", "plan_voided", "key_not_active")

#: The first reference that counts, and the first beyond (None: to the end).
Bounds = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class Part:
    """One of `count` equal parts of the register, counted from 1, for as many jobs side by side.

    Raises `InvalidInput` `bad_part`.
    """

    number: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count <= MOST_PARTS:
            raise InvalidInput("bad_part", f"want I/N with N from 1 to {MOST_PARTS} and I from 1 to N")

    def bounds(self) -> Bounds:
        """References are hexadecimal hashes, so equal stretches hold equally many."""
        return _stretch(self.number, self.count)

    def slices(self) -> Iterator[Bounds]:
        """The part in stretches that a store can count without running into its time limit."""
        first = (self.number - 1) * _SLICES
        for number in range(first + 1, first + _SLICES + 1):
            yield _stretch(number, self.count * _SLICES)


def _stretch(number: int, count: int) -> Bounds:
    low, high = ((step << 16) // count for step in (number - 1, number))
    return f"{low:04x}" if low else "", f"{high:04x}" if number < count else None


@dataclass(slots=True)
class Progress:
    """How far a job is: `done` of `total`, after `seconds`. `left` counts those passed over, by the code that says
    why."""

    total: int
    done: int = 0
    seconds: float = 0.0
    left: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Credentials a second."""
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """The estimate for the rest; None while nothing was done."""
        return max(0, self.total - self.done - self.left.total()) / self.rate if self.rate else None

    @property
    def passing(self) -> int:
        """Those passed over that are worth another attempt soon."""
        return sum(self.left[code] for code in _PASSING)
