"""The progress bar, watched and in a log, by a clock of its own."""

from __future__ import annotations

import io

import pytest

from ecard_issuer.cli.progress import Bar, draw, span
from tests.issuer.service import Clock


class Stream(io.StringIO):
    def __init__(self, watched: bool) -> None:
        super().__init__()
        self._watched = watched

    def isatty(self) -> bool:
        return self._watched


def bar(watched: bool) -> tuple[Bar, Stream, Clock]:
    stream, clock = Stream(watched), Clock()
    return Bar(stream, lambda: clock().timestamp()), stream, clock


def test_a_terminal_shows_one_line_that_is_drawn_over() -> None:
    shown, stream, clock = bar(watched=True)
    shown.show(0, 200, 0.0, None)
    for done in (50, 100, 150):
        clock.advance(0.15)
        shown.show(done, 200, 100.0, (200 - done) / 100)
    shown.end()
    assert stream.getvalue().split("\r")[1:] == [
        "[------------------------] 0% 0/200, 0/s\x1b[K",
        "[############------------] 50% 100/200, 100/s, 1 s left\x1b[K",
        "[##################------] 75% 150/200, 100/s, 1 s left\x1b[K\n",
    ]


def test_a_log_gets_a_line_now_and_then_and_the_last_one() -> None:
    shown, stream, clock = bar(watched=False)
    shown.show(0, 4000, 0.0, None)
    for done in range(1000, 5000, 1000):
        clock.advance(6)
        shown.show(done, 4000, 166.6, (4000 - done) / 166.6)
    shown.end()
    assert stream.getvalue().splitlines() == [
        "[------------------------] 0% 0/4,000, 0/s",
        "[############------------] 50% 2,000/4,000, 167/s, 12 s left",
        "[########################] 100% 4,000/4,000, 167/s",
    ]


@pytest.mark.parametrize("watched", [True, False])
def test_what_was_never_shown_leaves_nothing(watched: bool) -> None:
    shown, stream, _ = bar(watched)
    shown.end()
    assert stream.getvalue() == ""


def test_nothing_to_do_is_all_done() -> None:
    assert draw(0, 0, 0.0, None) == "[########################] 100% 0/0, 0/s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (7200, "2 h"),
        (18_600, "5 h 10 min"),
        (183_600, "2 d 3 h"),
    ],
)
def test_a_span_is_said_in_two_units_at_most(seconds: float, text: str) -> None:
    assert span(seconds) == text
