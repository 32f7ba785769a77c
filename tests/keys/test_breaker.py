"""The circuit breaker of key homes, on a virtual clock."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ecard_card.errors import NotFound, Unavailable
from ecard_keys.homes.breaker import PAUSE, Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(monotonic=clock)


def fail(breaker: Breaker, code: str) -> None:
    with pytest.raises(Unavailable), breaker.attempt():
        raise Unavailable(code, "made for this test")


def passes(breaker: Breaker) -> bool:
    try:
        with breaker.attempt():
            return True
    except Unavailable:
        return False


@pytest.mark.parametrize("code", ["key_home_unavailable", "key_home_timeout"])
def test_a_connection_failure_refuses_at_once_for_the_pause(breaker: Breaker, clock: Clock, code: str) -> None:
    fail(breaker, code)
    clock.now += PAUSE - 0.001
    entered = False
    with pytest.raises(Unavailable) as refusal, breaker.attempt():
        entered = True
    assert (refusal.value.code, entered) == ("key_home_unavailable", False)
    clock.now += 0.002
    assert passes(breaker)
    assert passes(breaker)


def test_an_answer_is_no_connection_failure(breaker: Breaker) -> None:
    fail(breaker, "key_home_sealed")
    assert passes(breaker)
    with pytest.raises(NotFound), breaker.attempt():
        raise NotFound("key_unknown")
    assert passes(breaker)


def test_a_refusal_by_the_home_closes_the_circuit(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, "key_home_timeout")
    clock.now += PAUSE
    fail(breaker, "key_home_forbidden")
    assert passes(breaker)


def test_a_failed_trial_begins_a_new_pause(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, "key_home_unavailable")
    clock.now += PAUSE
    fail(breaker, "key_home_timeout")
    clock.now += PAUSE / 2
    assert not passes(breaker)
    clock.now += PAUSE / 2
    assert passes(breaker)


def test_only_one_of_many_tries_again(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, "key_home_unavailable")
    clock.now += 10 * PAUSE
    refused, release = threading.Semaphore(0), threading.Event()
    tried: list[int] = []

    def call(number: int) -> bool:
        try:
            with breaker.attempt():
                tried.append(number)
                assert release.wait(10)
                return True
        except Unavailable:
            refused.release()
            return False

    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(call, number) for number in range(8)]
        for _ in range(7):
            assert refused.acquire(timeout=10)
        release.set()
        assert sum(done.result() for done in calls) == len(tried) == 1
    assert passes(breaker)


def test_an_interrupted_trial_lets_the_next_one_try(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, "key_home_unavailable")
    clock.now += PAUSE
    with pytest.raises(KeyboardInterrupt), breaker.attempt():
        raise KeyboardInterrupt
    clock.now -= PAUSE / 2
    assert not passes(breaker), "an interruption is no proof that the home is back"
    clock.now += PAUSE / 2
    assert passes(breaker)
