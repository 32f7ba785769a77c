"""`ecard status rebuild`: every entry of every list computed anew from the register's truth, and compared bit for bit
with what is stored and with what is published. One list in memory at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from ecard_card.status import EcardStatus
from ecard_card.status_list import StatusList
from ecard_card.status_token import parse_jwt
from ecard_issuer.ports import Statuses
from ecard_issuer.publishing.publisher import Form, Publisher
from ecard_issuer.publishing.truth import Entry
from ecard_issuer.rows import StatusListRow

PAGE: Final = 1000
#: Differences that a report names; it counts them all.
NAMED: Final = 1000

#: What verifiers get of a list now: given its number, its bits.
PublishedBits = Callable[[int], StatusList]


class Truth(Protocol):
    """The register's truth behind the entries."""

    def entries(self, list_id: int, after: int, limit: int) -> tuple[Entry, ...]:
        """Entries of a list with an index above `after`, in order, decoys among them."""
        ...

    def worth_of(self, entries: Sequence[Entry], now: datetime) -> list[EcardStatus]:
        """What each ought to be worth."""
        ...

    def lost_entries(self, after: tuple[str, str], limit: int) -> tuple[tuple[Entry, ...], tuple[str, str] | None]:
        """Of the next `limit` plans after `after` (card and plan) those whose entry is not there, or is another's; and
        where to go on, None at the end."""
        ...

    def looked_at_again(self, entry: Entry, now: datetime, *, repair: bool) -> tuple[EcardStatus | None, EcardStatus]:
        """What is stored and what ought to be, while nobody else changes the card. `repair` sets it right in the same
        transaction and tells the feed; but what is invalid stays so: verifiers hold it final."""
        ...


class Where(StrEnum):
    """What differs from the truth."""

    STORED = "stored"
    LOST = "lost"  # a place that was given out has no entry, or is another's
    PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class Difference:
    """One entry that is not what it ought to be. `repaired`: it is now, in the register."""

    where: Where
    list_id: int
    index: int
    expected: int
    found: int | None
    repaired: bool = False


@dataclass(slots=True)
class Report:
    """What a rebuild found. `named` holds the first `NAMED` differences."""

    lists: int = 0
    entries: int = 0
    differences: int = 0
    repaired: int = 0
    named: list[Difference] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether register and published lists were what they ought to be, bit for bit."""
        return self.differences == 0

    def add(self, difference: Difference) -> None:
        self.differences += 1
        self.repaired += difference.repaired
        if len(self.named) < NAMED:
            self.named.append(difference)


class Rebuild:
    """`wake` is called once something was repaired. What changes meanwhile is looked at again, card by card, so that
    a running service gives no false alarm."""

    def __init__(self, truth: Truth, register: Statuses, publisher: Publisher, wake: Callable[[], None]) -> None:
        self._truth = truth
        self._register = register
        self._publisher = publisher
        self._wake = wake

    def run(
        self,
        clock: Callable[[], datetime],
        *,
        repair: bool,
        published: PublishedBits | None = None,
        on_list: Callable[[StatusListRow], None] = lambda row: None,
    ) -> Report:
        """Compare everything, and repair what is stored if `repair`.

        `published` gives the bits that verifiers get; by default those of the tokens that this process signs.
        `on_list` hears each list before it is compared.
        """
        report = Report()
        self._find_lost(report, clock, repair)
        after = -1
        while rows := self._register.status_lists(after, limit=100):
            for row in rows:
                on_list(row)
                self._list(report, row, clock, repair, published or (lambda number: self._signed(number, clock())))
            after = rows[-1].list_id
        if report.repaired:
            self._wake()
        return report

    def _find_lost(self, report: Report, clock: Callable[[], datetime], repair: bool) -> None:
        place: tuple[str, str] | None = ("", "")
        while place is not None:
            lost, place = self._truth.lost_entries(place, PAGE)
            for entry in lost:
                found, value = self._truth.looked_at_again(entry, clock(), repair=repair)
                repaired = repair and found is None  # a place that has become another's stays theirs
                shown = None if found is None else int(found)
                report.add(Difference(Where.LOST, entry.list_id, entry.index, int(value), shown, repaired))

    def _list(
        self,
        report: Report,
        row: StatusListRow,
        clock: Callable[[], datetime],
        repair: bool,
        published: PublishedBits,
    ) -> None:
        report.lists += 1
        expected = StatusList(row.size)
        after = -1
        while entries := self._truth.entries(row.list_id, after, PAGE):
            report.entries += len(entries)
            for entry, value in zip(entries, self._truth.worth_of(entries, clock()), strict=True):
                if value != entry.value:
                    value = self._stored(report, entry, clock(), repair)
                if value:
                    expected.set(entry.index, int(value))
            after = entries[-1].index
        if not row.ended(clock()):
            self._published(report, row, expected, clock, published)

    def _stored(self, report: Report, entry: Entry, now: datetime, repair: bool) -> EcardStatus:
        """The entry looked at once more; what it ought to be worth."""
        found, value = self._truth.looked_at_again(entry, now, repair=repair)
        if found != value:
            repaired = repair and found is not EcardStatus.INVALID
            place = (entry.list_id, entry.index)
            report.add(Difference(Where.STORED, *place, int(value), None if found is None else int(found), repaired))
        return value

    def _published(
        self,
        report: Report,
        row: StatusListRow,
        expected: StatusList,
        clock: Callable[[], datetime],
        published: PublishedBits,
    ) -> None:
        shown = published(row.list_id)
        if shown == expected:
            return
        if shown.size != row.size or shown.bits != expected.bits:
            report.add(Difference(Where.PUBLISHED, row.list_id, -1, row.size, shown.size))
            return
        suspects = _differing(expected.packed(), shown.packed())
        for index in suspects:
            entry = next(iter(self._truth.entries(row.list_id, index - 1, 1)), None)
            value = EcardStatus.VALID
            if entry is not None and entry.index == index:
                found, value = self._truth.looked_at_again(entry, clock(), repair=False)
                if found != value:
                    continue  # told above: the list says what is stored, and that is wrong
            if shown.get(index) == value:
                continue  # changed while we looked
            shown = published(row.list_id)
            if shown.get(index) != value:
                report.add(Difference(Where.PUBLISHED, row.list_id, index, int(value), shown.get(index)))

    def _signed(self, list_id: int, now: datetime) -> StatusList:
        return parse_jwt(self._publisher.status_list(list_id, Form.JWT, now).body.decode()).statuses


def _differing(one: bytes, other: bytes) -> list[int]:
    """Indexes of the entries (two bits each) in which two lists of one length differ."""
    return [
        place * 4 + quarter
        for place, (left, right) in enumerate(zip(one, other, strict=True))
        if left != right
        for quarter in range(4)
        if (left ^ right) >> (2 * quarter) & 3
    ]
