"""Port `Answers` on both engines: one runs, and only that one ends it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from ecard_issuer.idempotency.answers import AnswerRow, Run
from ecard_issuer.idempotency.sql import SqlAnswers

NOW = datetime(2026, 11, 30, tzinfo=UTC)
ROW = AnswerRow("slot", "asked", "run 1", NOW + timedelta(minutes=1), NOW + timedelta(hours=24))
ONE, TWO = Run("slot", "run 1"), Run("slot", "run 2")


@pytest.fixture(params=["sqlite_engine", pytest.param("postgres_engine", marks=pytest.mark.postgres)])
def answers(request: pytest.FixtureRequest) -> SqlAnswers:
    engine: Engine = request.getfixturevalue(request.param)
    return SqlAnswers(engine)


def begun_later(seconds: float, run_id: str = "run 2", asked: str = "asked") -> tuple[AnswerRow, datetime]:
    shift = timedelta(seconds=seconds)
    later = replace(
        ROW, run_id=run_id, fingerprint=asked, leased_until=ROW.leased_until + shift, expires_at=ROW.expires_at + shift
    )
    return later, NOW + shift


def test_one_run_its_answer_and_its_end(answers: SqlAnswers) -> None:
    assert answers.begin(ROW, NOW) is None
    assert answers.begin(*begun_later(59)) == ROW
    assert not answers.finish(TWO, b"key", b"theirs")
    assert answers.finish(ONE, b"key", b"answer")
    assert not answers.finish(ONE, b"key", b"again")
    answers.abandon(ONE)
    kept = replace(ROW, wrapped_key=b"key", sealed_answer=b"answer")
    assert answers.begin(*begun_later(3600)) == kept, "an answer outlives the lease"
    assert answers.purge(ROW.expires_at - timedelta(seconds=1), 10) == 0
    assert answers.begin(*begun_later(24 * 3600)) is None, "over, swept or not"
    assert answers.purge(NOW + timedelta(hours=48), 10) == 1


def test_what_was_abandoned_may_begin_again(answers: SqlAnswers) -> None:
    assert answers.begin(ROW, NOW) is None
    answers.abandon(TWO)
    assert answers.begin(*begun_later(1)) == ROW
    answers.abandon(ONE)
    assert answers.begin(*begun_later(1)) is None


def test_after_the_lease_the_same_request_may_run_and_no_other(answers: SqlAnswers) -> None:
    assert answers.begin(ROW, NOW) is None
    assert answers.begin(*begun_later(60, asked="other")) == ROW
    assert answers.begin(*begun_later(60)) is None
    assert not answers.finish(ONE, b"key", b"late"), "who was too slow does not overwrite"
    answers.abandon(ONE)
    assert answers.finish(TWO, b"key", b"answer")


@pytest.mark.parametrize("first", ["nothing", "cut short"])
def test_of_twenty_that_begin_at_once_one_runs(answers: SqlAnswers, first: str) -> None:
    if first == "cut short":
        assert answers.begin(ROW, NOW) is None
    rows = [begun_later(60, run_id=f"rival {number}") for number in range(20)]
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda each: answers.begin(*each), rows))
    assert found.count(None) == 1


def test_purging_is_bounded(answers: SqlAnswers) -> None:
    for number in range(5):
        assert answers.begin(replace(ROW, slot=f"slot {number}"), NOW) is None
    over = NOW + timedelta(hours=24)
    assert [answers.purge(over, 3) for _ in range(3)] == [3, 2, 0]
