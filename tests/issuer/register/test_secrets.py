"""Ports `Secrets` and `Guesses` on both engines: tries are counted before anything is compared, whatever happens."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from ecard_card.errors import Conflict, EcardError
from ecard_issuer.pins.comparing import Comparing, GuessLimits
from ecard_issuer.pins.secret import Purpose, Secret, SecretAct, SecretEvent
from ecard_issuer.pins.sql import SqlGuesses, SqlSecrets
from ecard_issuer.register import make_engine
from tests.contracts.register_race import race
from tests.contracts.register_world import NOW, ref, refused
from tests.issuer.holding import DESK, CountingHash, comparing
from tests.issuer.register.plans import no_scans

PIN = Purpose.CARD_PIN
LIMIT = 6


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    engine: Engine = request.getfixturevalue(f"{request.param}_engine")
    with no_scans(engine):
        yield engine


@pytest.fixture
def store(engine: Engine) -> SqlSecrets:
    return SqlSecrets(engine)


def event(subject: str, version: int = 1, event_id: str | None = None) -> SecretEvent:
    return SecretEvent(subject, PIN, version, event_id or ref(), SecretAct.CHANGE, NOW, "outlet 1", "own", None)


def test_tries_are_taken_until_the_limit_and_the_last_one_locks(store: SqlSecrets) -> None:
    card = ref()
    assert store.find(PIN, card) is None
    for number in range(1, LIMIT + 1):
        row = store.take_try(PIN, card, LIMIT, NOW)
        assert row is not None
        assert (row.tries, row.locked_at) == (number, NOW if number == LIMIT else None)
    assert store.take_try(PIN, card, LIMIT, NOW) is None
    assert store.take_try(PIN, card, LIMIT + 5, NOW) is None  # a milder policy unlocks nothing
    assert store.take_try(Purpose.ECARD_PASSWORD, card, LIMIT, NOW) is not None  # another secret


def test_a_stricter_policy_holds_at_once(store: SqlSecrets) -> None:
    card = ref()
    for _ in range(3):
        store.take_try(PIN, card, LIMIT, NOW)
    assert store.take_try(PIN, card, 3, NOW) is None


def test_a_success_gives_back_what_belongs_to_its_version_only(store: SqlSecrets) -> None:
    card = ref()
    store.write(event(card), "hash-1", unlocking=False)
    store.take_try(PIN, card, 2, NOW)
    store.take_try(PIN, card, 2, NOW)
    assert not store.clear(PIN, card, 0)
    assert store.take_try(PIN, card, 2, NOW) is None
    assert store.clear(PIN, card, 1, "hash-2")
    row = store.take_try(PIN, card, 2, NOW)
    assert row is not None
    assert (row.hash, row.tries, row.version) == ("hash-2", 1, 1)


def test_acts_follow_one_another_and_each_counts_once(store: SqlSecrets) -> None:
    card = ref()
    store.write(event(card, 1, "a"), "hash-1", unlocking=False)
    with refused(Conflict, "secret_changed_meanwhile"):
        store.write(event(card, 1, "b"), "hash-2", unlocking=False)
    with refused(Conflict, "secret_changed_meanwhile"):
        store.write(event(card, 2, "a"), "hash-2", unlocking=False)
    store.keep(event(card, 2, "c"))
    store.write(event(card, 3, "d"), None, unlocking=True)
    row = store.find(PIN, card)
    assert row is not None
    assert (row.hash, row.version, row.unlocks) == (None, 3, 2)
    assert [done.event_id for done in store.events(PIN, card)] == ["a", "c", "d"]
    assert store.find_event(PIN, card, "c") == event(card, 2, "c")
    assert store.find_event(Purpose.ECARD_PASSWORD, card, "c") is None


def test_of_many_changes_at_once_one_is_made(store: SqlSecrets) -> None:
    card = ref()
    ended = race(*(lambda: store.write(event(card), "hash", unlocking=False) for _ in range(8)))
    assert ended == {"won": 1, "secret_changed_meanwhile": 7}
    assert len(store.events(PIN, card)) == 1


def test_a_thousand_guesses_at_once_get_no_more_comparisons_than_permitted(engine: Engine) -> None:
    card, hashing = ref(), CountingHash()
    store = SqlSecrets(engine)
    store.write(event(card), hashing.make(PIN, card, Secret("739184")), unlocking=False)
    desk = comparing(store, SqlGuesses(engine), hashing)

    def guess(number: int) -> str:
        try:
            desk.compare(PIN, card, Secret(f"{number:06}"), DESK, limit=LIMIT, now=NOW)
        except EcardError as error:
            return error.code
        return "right"

    with ThreadPoolExecutor(30) as pool:
        ended = Counter(pool.map(guess, range(1000)))
    # On SQLite writers that have waited too long are sent away without a comparison.
    assert set(ended) <= {"pin_wrong", "pin_locked", "register_unavailable"}
    assert hashing.comparisons == LIMIT
    assert ended["pin_wrong"] == LIMIT - 1
    row = store.find(PIN, card)
    assert row is not None
    assert row.locked(LIMIT)
    assert SqlGuesses(engine).wrong(DESK.name, NOW) == LIMIT


def _killed_while_comparing(url: str, card: str) -> None:
    """A process that is killed between taking a try and comparing."""
    child = os.fork()
    if child == 0:
        try:
            engine = make_engine(url)
            strike = CountingHash(before=lambda: os.kill(os.getpid(), signal.SIGKILL))
            Comparing(SqlSecrets(engine), SqlGuesses(engine), strike, GuessLimits()).compare(
                PIN, card, Secret("739184"), DESK, limit=LIMIT, now=NOW
            )
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL


def test_whoever_kills_the_process_while_it_compares_wins_no_try(engine: Engine) -> None:
    card = ref()
    url = engine.url.render_as_string(hide_password=False)
    for number in range(1, LIMIT + 1):
        _killed_while_comparing(url, card)
        row = SqlSecrets(engine).find(PIN, card)
        assert row is not None
        assert row.tries == number
    assert SqlSecrets(engine).take_try(PIN, card, LIMIT, NOW) is None


def test_wrong_guesses_are_counted_by_caller_and_hour(engine: Engine) -> None:
    guesses = SqlGuesses(engine)
    assert guesses.wrong("a", NOW) == 0
    assert [guesses.add("a", NOW) for _ in range(3)] == [1, 2, 3]
    assert guesses.add("b", NOW) == 1
    later = NOW + timedelta(hours=1)
    assert guesses.wrong("a", later) == 0
    assert guesses.add("a", later) == 1
    assert guesses.wrong("a", later) == 1
    ended = race(*(lambda: guesses.add("c", NOW) for _ in range(12)))
    assert (ended, guesses.wrong("c", NOW)) == ({"won": 12}, 12)
