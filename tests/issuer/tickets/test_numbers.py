"""Numbers for codes: given for a minute, bounded, and not to be guessed."""

from __future__ import annotations

from datetime import timedelta

from ecard_card.errors import NotAllowed, NotFound, Unavailable
from ecard_issuer.tickets import numbers
from ecard_issuer.tickets.numbers import MOST_OF_ONE, MOST_WRONG, MOST_WRONG_IN_ALL, WINDOW, BookNumbers, NumberBook
from tests.contracts.register_world import NOW, refused

UNTIL = NOW + timedelta(seconds=60)


def test_a_number_is_ten_digits_and_is_over_with_its_code() -> None:
    drawn = iter((1, 1, 2))
    book = NumberBook(lambda most: next(drawn))
    first, second = book.give("page", "EC0:A", UNTIL, NOW), book.give("page", "EC0:B", UNTIL, NOW)
    assert (first, second) == ("0000000001", "0000000002"), "the same random number is not given twice"
    assert book.code_of(first, "till", UNTIL - timedelta(seconds=1)) == "EC0:A"
    with refused(NotFound, "number_unknown"):
        book.code_of(first, "till", UNTIL)


def test_a_page_has_few_at_once_and_all_together_are_bounded() -> None:
    book = NumberBook()
    given = [book.give("page", f"EC0:{number}", UNTIL, NOW) for number in range(MOST_OF_ONE + 1)]
    with refused(NotFound, "number_unknown"):
        book.code_of(given[0], "till", NOW)
    assert book.code_of(given[1], "till", NOW) == "EC0:1"
    for page in range(numbers.MOST - MOST_OF_ONE):
        book.give(f"page {page}", "EC0:C", UNTIL, NOW)
    with refused(Unavailable, "numbers_unavailable"):
        book.give("one more", "EC0:D", UNTIL, NOW)
    assert book.give("later", "EC0:E", UNTIL + timedelta(seconds=60), UNTIL)


def test_who_guesses_is_refused_for_a_while_and_nobody_else_is() -> None:
    book = NumberBook()
    good = book.give("page", "EC0:A", UNTIL + WINDOW, NOW)
    wrong = "0000000000" if good != "0000000000" else "0000000001"
    for _ in range(MOST_WRONG):
        with refused(NotFound, "number_unknown"):
            book.code_of(wrong, "till 1", NOW)
    with refused(NotAllowed, "number_guesses_used_up"):
        book.code_of(good, "till 1", NOW)
    assert BookNumbers([NumberBook(), book], lambda: NOW).code_of(good, "till 2") == "EC0:A"
    assert book.code_of(good, "till 1", NOW + WINDOW) == "EC0:A"


def test_a_verifier_that_names_a_new_counter_for_each_guess_is_refused_too() -> None:
    book = NumberBook()
    good = book.give("page", "EC0:A", UNTIL + WINDOW, NOW)
    wrong = "0000000000" if good != "0000000000" else "0000000001"
    for guess in range(MOST_WRONG_IN_ALL):
        with refused(NotFound, "number_unknown"):
            book.code_of(wrong, f"till {guess}", NOW, "clinic")
    with refused(NotAllowed, "number_guesses_used_up"):
        book.code_of(good, "till of today", NOW, "clinic")
    assert book.code_of(good, "till 1", NOW, "pharmacy") == "EC0:A"
    assert book.code_of(good, "till 1", NOW + WINDOW, "clinic") == "EC0:A"
