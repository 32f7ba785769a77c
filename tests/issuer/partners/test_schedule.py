"""When a delivery is tried again: the schedule, its jitter, and the word of the receiver."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_issuer.partners.schedule import BREAKER, LONGEST_PROBE, PROBES, RETRIES, Answer, judge, probe_wait, wait
from ecard_issuer.partners.streams import Delivery, DeliveryState, Method, NewsKind, Stream, StreamStatus

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
STREAM = Stream(
    "5a" * 16, "bank", Method.WEBHOOK, "https://partner.example/", "", ("status-changed",), (), 0, b"", b"",
    StreamStatus.ENABLED, "", 0, 0, False, 0, None, None, None, None, None, NOW, NOW,
)  # fmt: skip
DELIVERY = Delivery(
    STREAM.stream_id, 1, 1, "ca", "0b", NewsKind.STATUS, "e1", None, DeliveryState.WAITING, 0, NOW, "", NOW, NOW
)
HOURS = [5 / 3600, 5 / 60, 0.5, 2, 5, 10, 14, 20, 24]


def test_the_schedule_is_the_published_one() -> None:
    assert [seconds / 3600 for seconds in RETRIES] == pytest.approx(HOURS)
    assert wait(len(RETRIES) + 1, 0.5) is None


@given(st.integers(1, len(RETRIES)), st.floats(0, 1, exclude_max=True))
def test_jitter_is_a_fifth_either_way(failed: int, jitter: float) -> None:
    pause = wait(failed, jitter)
    assert pause is not None
    assert 0.8 * RETRIES[failed - 1] <= pause.total_seconds() <= 1.2 * RETRIES[failed - 1]


@given(st.integers(BREAKER, BREAKER + PROBES + 5), st.floats(0, 1, exclude_max=True))
def test_probes_never_wait_longer_than_five_minutes_and_end_after_days(failures: int, jitter: float) -> None:
    pause = probe_wait(failures, jitter)
    if failures >= BREAKER + PROBES:
        assert pause is None
    else:
        assert pause is not None
        assert 4 <= pause.total_seconds() <= 1.2 * LONGEST_PROBE


ANSWERS = st.builds(
    Answer,
    taken=st.booleans(),
    result=st.just("http_500"),
    retry_after=st.none() | st.floats(-10, 1e9),
    blames_event=st.booleans(),
    gone=st.booleans(),
)


@given(ANSWERS, st.integers(0, BREAKER + PROBES + 1), st.integers(0, 12), st.floats(0, 1, exclude_max=True))
def test_whatever_is_answered_a_delivery_is_done_dead_or_due_again(
    answer: Answer, failures: int, attempts: int, jitter: float
) -> None:
    stream, delivery = replace(STREAM, failures=failures), replace(DELIVERY, attempts=attempts)
    attempt = judge(stream, delivery, answer, NOW, jitter)
    assert (attempt.state is DeliveryState.DONE) is answer.taken
    assert (attempt.next_at is not None) is (attempt.state is DeliveryState.WAITING)
    if attempt.next_at is not None:
        assert NOW <= attempt.next_at <= NOW + timedelta(hours=29)
    if attempt.hold_until is not None:
        assert NOW < attempt.hold_until <= NOW + timedelta(hours=24, seconds=1)
    if answer.taken or answer.blames_event or answer.gone:
        assert attempt.failures == 0
    else:
        assert attempt.failures > failures or attempt.failures == BREAKER


def test_a_probe_costs_its_event_no_attempt() -> None:
    away = replace(STREAM, failures=BREAKER)
    attempt = judge(away, DELIVERY, Answer(taken=False, result="timeout"), NOW, 0.5)
    assert (attempt.counts, attempt.state, attempt.recovered) == (False, DeliveryState.WAITING, False)
    assert judge(away, DELIVERY, Answer(taken=True, result="http_202"), NOW, 0.5).recovered
