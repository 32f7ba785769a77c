"""Doing at once what many ask for at the same moment: each has its own answer, and its own error."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest

from ecard_card.errors import Conflict, EcardError, Unavailable
from ecard_issuer.together import Asked, Together, all_or_each


class Doubling:
    """Doubles numbers, all or none: it cannot do 13, and nothing while it is away. Holds its first batch back."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun, self.go_on = Event(), Event()
        self.away = False

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        self.begun.set()
        assert self.go_on.wait(10)
        if self.away:
            raise Unavailable("register_unavailable", "away")
        if 13 in numbers:
            raise Conflict("register_conflict", "13")
        return [2 * number for number in numbers]


def asked_behind_one(doubling: Doubling, together: Together[int, int], numbers: Sequence[int]) -> list[object]:
    """What becomes of `numbers`, all of which come while 1 is worked on."""

    def ask(number: int) -> object:
        try:
            return together.ask(number)[0]
        except EcardError as error:
            return error.code
        except KeyboardInterrupt:
            return "cut short"

    with ThreadPoolExecutor(len(numbers) + 1) as pool:
        first: Future[object] = pool.submit(ask, 1)
        assert doubling.begun.wait(10)
        others = [pool.submit(ask, number) for number in numbers]
        while len(together._waiting) < len(numbers):
            pass
        doubling.go_on.set()
        return [first.result(10), *(one.result(10) for one in others)]


def test_who_comes_meanwhile_is_the_next_batch_of_a_bounded_size() -> None:
    doubling = Doubling()
    together = Together(all_or_each(doubling), most=4)
    assert asked_behind_one(doubling, together, range(2, 9)) == [2 * number for number in range(1, 9)]
    assert [len(batch) for batch in doubling.batches] == [1, 4, 3]


def test_what_cannot_be_done_together_is_tried_alone_and_each_hears_of_its_own_fault() -> None:
    doubling = Doubling()
    together = Together(all_or_each(doubling))
    assert asked_behind_one(doubling, together, [5, 13, 6]) == [2, 10, "register_conflict", 12]
    assert sorted(map(len, doubling.batches)) == [1, 1, 1, 1, 3]


def test_where_the_database_is_away_nobody_asks_it_again_alone() -> None:
    doubling = Doubling()
    doubling.away = True
    together = Together(all_or_each(doubling))
    assert asked_behind_one(doubling, together, [5, 6]) == ["register_unavailable"] * 3
    assert len(doubling.batches) == 2
    doubling.away = False
    assert together.ask(7, 8) == [14, 16]


def test_who_works_when_it_is_cut_short_is_stopped_and_the_others_hear_that_nobody_knows() -> None:
    def cut(numbers: Sequence[int]) -> list[int]:
        if len(numbers) > 1:
            raise KeyboardInterrupt
        return doubling(numbers)

    doubling = Doubling()
    outcomes = asked_behind_one(doubling, Together(all_or_each(cut)), [5, 6, 7])
    assert sorted(map(str, outcomes)) == ["2", "cut short", "outcome_unknown", "outcome_unknown"]


def test_who_is_cut_short_at_the_work_of_others_leaves_nothing_to_be_done_behind_its_back() -> None:
    def cut(numbers: Sequence[int]) -> list[int]:
        if 13 in numbers:
            raise ZeroDivisionError
        done.extend(numbers)
        return list(numbers)

    done: list[int] = []
    together = Together(all_or_each(cut), most=1)
    other: Asked[int, int] = Asked(13)
    together._waiting.append(other)
    with pytest.raises(ZeroDivisionError):
        together.ask(5)
    with pytest.raises(Unavailable, match="outcome_unknown"):
        other.outcome.result(0)
    assert together.ask(6) == [6]
    assert done == [6], "5 heard of a fault: it is not done later"


def test_a_question_without_an_answer_is_an_error_and_no_hang() -> None:
    def nothing(numbers: Sequence[int]) -> list[int]:
        return []

    with pytest.raises(ValueError, match="zip"):
        Together(all_or_each(nothing)).ask(1)
