"""Which policy holds for a region at a moment: the latest in force of the nearest region above that has one.

Every process keeps the whole book in memory and reads what is new in it at most once in `REFRESH`; a policy is set at
least `LEAD` before it takes effect, so all processes change over at the same moment, without a query per question.
A process that cannot read the book for as long as `LEAD` no longer knows what holds, and says so.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from ecard_card.errors import EcardError, InvalidInput, Unavailable
from ecard_card.region_policy import STRICT, RegionPolicy, read_policy, regions_above
from ecard_issuer.policies.values import LEAD, PolicyLog, PolicyRow

REFRESH: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class SetPolicy:
    """A policy as the book has it: read, with what names the document it was read from."""

    effective_from: datetime
    number: int
    digest: str
    policy: RegionPolicy = field(repr=False)

    @property
    def place(self) -> tuple[datetime, int]:
        """By which those of one region follow each other."""
        return (self.effective_from, self.number)


@dataclass(frozen=True, slots=True)
class _Pages:
    """All that was read up to `number`, as known at `read_at`."""

    number: int = 0
    read_at: datetime | None = None
    entries: Mapping[str, tuple[SetPolicy, ...]] = field(default_factory=lambda: MappingProxyType({}))

    def age(self, now: datetime) -> timedelta:
        return timedelta.max if self.read_at is None or now < self.read_at else now - self.read_at


class PolicyBook:
    """The policies of all regions. Safe for threads; `clock` (aware UTC) says when it is time to look again.

    Every verb may raise `Unavailable` `register_unavailable`, and `policy_unreadable` where the register holds a
    document that this version cannot read.
    """

    def __init__(self, log: PolicyLog, clock: Callable[[], datetime]) -> None:
        self._log = log
        self._clock = clock
        self._pages = _Pages()
        self._reading = threading.Lock()

    def policy_of(self, region: str, now: datetime) -> RegionPolicy:
        """What holds in `region` (six digits) at `now`; `STRICT` where nobody has said anything."""
        found = self.in_force(region, now)
        return STRICT if found is None else found.policy

    def in_force(self, region: str, now: datetime) -> SetPolicy | None:
        """What `policy_of` goes by; None where that is `STRICT`."""
        entries = self._current().entries
        for code in regions_above(region):
            place = bisect_right(entries.get(code, ()), now, key=lambda entry: entry.effective_from)
            if place:
                return entries[code][place - 1]
        return None

    def changed_between(self, after: datetime, until: datetime) -> frozenset[str]:
        """The regions whose own policy took effect after `after` and not after `until`. Each stands for all below it;
        `000000` for the whole country."""
        return frozenset(
            region
            for region, entries in self._current().entries.items()
            if any(after < entry.effective_from <= until for entry in entries)
        )

    def regions(self) -> frozenset[str]:
        """The regions that ever had a policy of their own."""
        return frozenset(self._current().entries)

    def history(self, region: str) -> tuple[PolicyRow, ...]:
        """Every policy ever set for exactly this region, in the order in which they were set."""
        return self._log.of_region(region)

    def refresh(self) -> None:
        """Read what is new now, whenever it was last read."""
        with self._reading:
            self._read(self._clock())

    def _current(self) -> _Pages:
        now, pages = self._clock(), self._pages
        if pages.age(now) < REFRESH:
            return pages
        # One thread reads; the others go on with what they have for as long as that may be trusted.
        if not self._reading.acquire(blocking=pages.age(now) >= LEAD):
            return pages
        try:
            if self._pages.age(now) >= REFRESH:
                self._read(now)
        except EcardError:
            if pages.age(now) >= LEAD:
                raise
        finally:
            self._reading.release()
        return self._pages

    def _read(self, now: datetime) -> None:
        pages = self._pages
        entries = dict(pages.entries)
        number = pages.number
        for row in self._log.after(number):
            entry = SetPolicy(row.effective_from, row.number, row.digest, _readable(row))
            entries[row.region] = tuple(sorted((*entries.get(row.region, ()), entry), key=lambda item: item.place))
            number = row.number
        self._pages = _Pages(number, now, MappingProxyType(entries))


def _readable(row: PolicyRow) -> RegionPolicy:
    try:
        return read_policy(row.document)
    except InvalidInput:
        raise Unavailable("policy_unreadable", f"policy {row.number} in the register cannot be read") from None
