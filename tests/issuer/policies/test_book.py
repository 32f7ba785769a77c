"""Which policy holds where and when: in one process, in several, and while the register is away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card.errors import Unavailable
from ecard_card.region_policy import STRICT, regions_above
from ecard_card.status import CardStatus
from ecard_issuer.policies.book import REFRESH, PolicyBook
from ecard_issuer.policies.office import digest_of
from ecard_issuer.policies.values import LEAD, PolicyRow
from ecard_issuer.rows import Grant
from tests.contracts.register_world import NOW, refused
from tests.issuer.service import Clock

HOUR = timedelta(hours=1)


@dataclass
class Log:
    """`PolicyLog` in memory, which counts how often it is asked and can be away."""

    rows: list[PolicyRow] = field(default_factory=list)
    asked: int = 0
    away: bool = False

    def after(self, number: int) -> tuple[PolicyRow, ...]:
        self.asked += 1
        if self.away:
            raise Unavailable("register_unavailable", "away")
        return tuple(self.rows[number:])

    def of_region(self, region: str) -> tuple[PolicyRow, ...]:
        return tuple(row for row in self.rows if row.region == region)

    def append(self, row: PolicyRow, *, grant: Grant | None = None) -> PolicyRow:
        self.rows.append(replace(row, number=len(self.rows) + 1))
        return self.rows[-1]

    def cards_in(self, region: str) -> Mapping[tuple[str, CardStatus], int]:
        return {}

    def put(self, region: str, effective_from: datetime, tries: int) -> None:
        document = f'region = "{region}"\n[pin]\ntries = {tries}\n'
        self.append(PolicyRow(0, region, effective_from, document, digest_of(document), "anna", NOW))


def test_nobody_said_anything_so_the_strict_reading_holds() -> None:
    book = PolicyBook(Log(), Clock(NOW))
    assert book.policy_of("410105", NOW) is STRICT
    assert book.in_force("410105", NOW) is None
    assert book.changed_between(NOW - HOUR, NOW) == frozenset()


def test_the_nearest_region_and_the_latest_in_force_hold() -> None:
    log = Log()
    log.put("410000", NOW, 4)
    log.put("410100", NOW + HOUR, 5)
    log.put("410000", NOW + 2 * HOUR, 6)
    log.put("000000", NOW, 7)
    log.put("410100", NOW + HOUR, 8)  # set later for the same moment
    book = PolicyBook(log, Clock(NOW))

    def tries(region: str, hours: float) -> int:
        return book.policy_of(region, NOW + hours * HOUR).pin.tries

    assert [tries("410105", hours) for hours in (-1, 0, 0.99, 1, 3)] == [STRICT.pin.tries, 4, 4, 8, 8]
    assert [tries("410205", hours) for hours in (0, 2)] == [4, 6]
    assert [tries("110101", hours) for hours in (-1, 0, 9)] == [STRICT.pin.tries, 7, 7]
    assert book.changed_between(NOW, NOW + HOUR) == {"410100"}
    assert book.changed_between(NOW - HOUR, NOW) == {"410000", "000000"}
    assert book.changed_between(NOW - HOUR, NOW + 9 * HOUR) == {"410000", "410100", "000000"}
    assert book.regions() == {"410000", "410100", "000000"}


def test_it_is_not_asked_for_each_question_and_notices_what_others_set_in_time() -> None:
    log, clock = Log(), Clock(NOW)
    book = PolicyBook(log, clock)
    for _ in range(100):
        book.policy_of("410105", clock())
    assert log.asked == 1
    log.put("410000", clock() + LEAD, 9)
    clock.advance(REFRESH.total_seconds() - 1)
    book.policy_of("410105", clock())
    assert log.asked == 1
    clock.advance((LEAD - REFRESH).total_seconds() + 1)
    assert book.policy_of("410105", clock()).pin.tries == 9
    assert log.asked == 2


def test_a_short_absence_of_the_register_is_borne_and_a_long_one_is_said() -> None:
    log, clock = Log(), Clock(NOW)
    book = PolicyBook(log, clock)
    log.put("410000", NOW, 9)
    assert book.policy_of("410105", clock()).pin.tries == 9
    log.away = True
    clock.advance(LEAD.total_seconds() - 1)
    assert book.policy_of("410105", clock()).pin.tries == 9
    clock.advance(1)
    with refused(Unavailable, "register_unavailable"):
        book.policy_of("410105", clock())
    log.away = False
    assert book.policy_of("410105", clock()).pin.tries == 9


def test_a_process_that_never_read_the_book_says_nothing() -> None:
    with refused(Unavailable, "register_unavailable"):
        PolicyBook(Log(away=True), Clock(NOW)).policy_of("410105", NOW)


def test_a_clock_set_back_makes_it_look_again() -> None:
    log, clock = Log(), Clock(NOW)
    book = PolicyBook(log, clock)
    book.policy_of("410105", clock())
    clock.advance(-3600)
    book.policy_of("410105", clock())
    assert log.asked == 2


def test_a_document_that_cannot_be_read_is_no_strict_reading() -> None:
    log = Log()
    log.append(PolicyRow(0, "410000", NOW, 'region = "410000"\nunheard_of = 1', "00", "anna", NOW))
    with refused(Unavailable, "policy_unreadable"):
        PolicyBook(log, Clock(NOW)).policy_of("110101", NOW)


REGIONS = ("000000", "410000", "410100", "410105", "410200", "110000")


@given(
    st.lists(st.tuples(st.sampled_from(REGIONS), st.integers(0, 6), st.integers(1, 20)), max_size=12),
    st.lists(st.tuples(st.sampled_from((*REGIONS, "410106", "990000")), st.integers(-1, 7)), min_size=1, max_size=12),
    st.integers(0, 12),
)
def test_it_says_what_a_plain_reading_of_all_rows_says(
    puts: list[tuple[str, int, int]], asks: list[tuple[str, int]], seen: int
) -> None:
    log, clock = Log(), Clock(NOW)
    book = PolicyBook(log, clock)
    for place, (region, hour, tries) in enumerate(puts):
        if place == seen:  # what came later is read on top of what was known
            book.refresh()
        log.put(region, NOW + hour * HOUR, tries)
    book.refresh()
    for region, hour in asks:
        moment = NOW + hour * HOUR
        expected = STRICT.pin.tries
        for code in reversed(regions_above(region)):
            rows = [(at, number, tries) for number, (where, at, tries) in enumerate(puts) if where == code]
            expected = max((row for row in rows if row[0] <= hour), default=(0, 0, expected))[2]
        assert book.policy_of(region, moment).pin.tries == expected


def test_its_texts_show_no_document() -> None:
    log = Log()
    log.put("410000", NOW, 9)
    assert "tries" not in repr(log.rows)
    with pytest.raises(AttributeError):
        log.rows[0].number = 2  # type: ignore[misc]
