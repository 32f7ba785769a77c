"""The replay guard: one winner, whoever races, whatever restarts."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from ecard_card.errors import InvalidInput, Unavailable
from ecard_verifier.replay import MARGIN, FirstSeen, ReplayGuard
from tests.world import NOW

KEY = bytes(32)
UNTIL = NOW + timedelta(seconds=120)


def test_the_first_claim_wins_and_the_second_hears_when_and_where() -> None:
    guard = ReplayGuard()
    assert guard.claim(KEY, UNTIL, "counter 1", NOW) is None
    later = NOW + timedelta(seconds=3)
    assert guard.claim(KEY, UNTIL, "counter 2", later) == FirstSeen(NOW, "counter 1")
    assert guard.claim(b"other", UNTIL, "counter 2", later) is None


def test_twenty_threads_at_once_have_exactly_one_winner(tmp_path: Path) -> None:
    guards = [ReplayGuard(tmp_path / "replay.sqlite3") for _ in range(4)]
    for attempt in range(10):
        key = bytes([attempt])
        start = threading.Barrier(20)
        answers: list[FirstSeen | None] = []

        def claim(
            number: int, key: bytes = key, start: threading.Barrier = start, answers: list[FirstSeen | None] = answers
        ) -> None:
            start.wait()
            answers.append(guards[number % 4].claim(key, UNTIL, f"counter {number}", NOW))

        threads = [threading.Thread(target=claim, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answers) == 20
        assert answers.count(None) == 1
        assert len({seen.where for seen in answers if seen}) == 1


def test_a_killed_process_has_forgotten_nothing(tmp_path: Path) -> None:
    path = tmp_path / "replay.sqlite3"
    program = (
        "import os, sys; from datetime import datetime, UTC; from ecard_verifier.replay import ReplayGuard;"
        "now = datetime.fromisoformat(sys.argv[2]);"
        "assert ReplayGuard(sys.argv[1]).claim(bytes(32), now, 'before', now) is None; os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(path), NOW.isoformat()], check=False)
    assert killed.returncode == -9
    assert ReplayGuard(path).claim(KEY, UNTIL, "after", NOW) == FirstSeen(NOW, "before")


def test_what_has_expired_is_forgotten_after_a_margin() -> None:
    guard = ReplayGuard()
    for number in range(50):
        guard.claim(bytes([number]), UNTIL, "c", NOW)
    guard.claim(b"late", UNTIL + timedelta(hours=1), "c", UNTIL + timedelta(seconds=MARGIN - 1))
    assert guard.count() == 51
    guard.claim(b"later", UNTIL + timedelta(hours=1), "c", UNTIL + timedelta(seconds=MARGIN + 60))
    assert guard.count() == 2


def test_a_full_guard_accepts_nothing() -> None:
    guard = ReplayGuard(capacity=3)
    for number in range(3):
        guard.claim(bytes([number]), UNTIL, "c", NOW + timedelta(seconds=31 * number))
    with pytest.raises(Unavailable):
        guard.claim(b"x", UNTIL, "c", NOW + timedelta(seconds=100))
    assert guard.claim(b"x", UNTIL + timedelta(hours=1), "c", UNTIL + timedelta(seconds=MARGIN + 60)) is None


def test_a_broken_file_accepts_nothing(tmp_path: Path) -> None:
    guard = ReplayGuard(tmp_path / "replay.sqlite3")
    guard.close()
    with pytest.raises(Unavailable):
        guard.claim(KEY, UNTIL, "c", NOW)
    (tmp_path / "garbage").write_bytes(b"not a database at all" * 300)
    with pytest.raises(Unavailable):
        ReplayGuard(tmp_path / "garbage")


def test_the_name_of_a_counter_is_bounded() -> None:
    with pytest.raises(InvalidInput):
        ReplayGuard().claim(KEY, UNTIL, "x" * 201, NOW)


def test_a_clock_set_back_does_not_bring_back_what_was_forgotten(tmp_path: Path) -> None:
    guard = ReplayGuard(tmp_path / "seen")
    until = NOW + timedelta(minutes=2)
    assert guard.claim(b"code", until, "counter 1", NOW) is None
    ahead = NOW + timedelta(hours=1)
    assert guard.claim(b"other", ahead + timedelta(minutes=2), "counter 1", ahead) is None  # prunes the first
    with pytest.raises(Unavailable, match="replay_guard_unavailable"):
        guard.claim(b"code", until, "counter 2", NOW)
    with pytest.raises(Unavailable, match="replay_guard_unavailable"):
        ReplayGuard(tmp_path / "seen").claim(b"code", until, "counter 2", NOW)
