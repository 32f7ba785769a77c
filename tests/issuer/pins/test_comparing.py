"""Who may compare, how often, and how many at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Event

import pytest

from ecard_card.errors import CheckFailed, Conflict, NotAllowed, Unavailable
from ecard_issuer.pins.comparing import Comparing, GuessLimits
from ecard_issuer.pins.hashing import HashCost, SecretHash
from ecard_issuer.pins.secret import Purpose, Secret, SecretAct, SecretEvent, SecretRow
from ecard_issuer.pins.slots import Slots
from ecard_issuer.pins.sql import SqlGuesses, SqlSecrets
from tests.contracts.register_world import NOW, ref, refused
from tests.issuer.holding import APP, DESK, HOSPITAL, CountingHash, PlainPepper, comparing
from tests.issuer.service import Service

PIN = Purpose.CARD_PIN
INITIAL, WRONG = Secret("123456"), Secret("739184")


@pytest.fixture
def store(service: Service) -> SqlSecrets:
    return SqlSecrets(service.issuer.engine)


@pytest.fixture
def guesses(service: Service) -> SqlGuesses:
    return SqlGuesses(service.issuer.engine)


def test_one_guess_at_many_cards_ends_for_this_caller_and_for_this_hour(store: SqlSecrets, guesses: SqlGuesses) -> None:
    hashing = CountingHash()
    desk = comparing(store, guesses, hashing, GuessLimits(most=20, channel=30))
    for _ in range(20):
        with refused(CheckFailed, "pin_wrong"):
            desk.compare(PIN, ref(), WRONG, HOSPITAL, limit=3, now=NOW)
    fresh = ref()
    with refused(NotAllowed, "secret_guesses_used_up"):
        desk.compare(PIN, fresh, INITIAL, HOSPITAL, limit=3, now=NOW)
    assert store.find(PIN, fresh) is None  # the card lost no try by it
    assert hashing.comparisons == 20
    desk.compare(PIN, fresh, INITIAL, DESK, limit=3, now=NOW)  # others go on
    desk.compare(PIN, fresh, INITIAL, HOSPITAL, limit=3, now=NOW + timedelta(hours=1))
    for _ in range(30):
        with refused(CheckFailed, "pin_wrong"):
            desk.compare(PIN, ref(), WRONG, APP, limit=3, now=NOW)
    with refused(NotAllowed, "secret_guesses_used_up"):
        desk.compare(PIN, ref(), INITIAL, APP, limit=3, now=NOW)


def test_right_ones_use_nothing_up(store: SqlSecrets, guesses: SqlGuesses) -> None:
    card, desk = ref(), comparing(store, guesses, CountingHash(), GuessLimits(most=2))
    for _ in range(10):
        desk.compare(PIN, card, INITIAL, DESK, limit=1, now=NOW)
    assert guesses.wrong(DESK.name, NOW) == 0


def test_a_secret_changed_while_it_is_compared_is_not_cleared(store: SqlSecrets, guesses: SqlGuesses) -> None:
    card = ref()

    def change() -> None:
        event = SecretEvent(card, PIN, 1, ref(), SecretAct.CHANGE, NOW, "outlet 1", "own", None)
        store.write(event, "another", unlocking=False)
        store.take_try(PIN, card, 3, NOW)

    with refused(Conflict, "secret_changed_meanwhile"):
        comparing(store, guesses, CountingHash(change)).compare(PIN, card, INITIAL, DESK, limit=3, now=NOW)
    row = store.find(PIN, card)
    assert row is not None
    assert (row.hash, row.tries) == ("another", 1)


def test_a_right_one_is_hashed_anew_where_settings_have_risen(store: SqlSecrets, guesses: SqlGuesses) -> None:
    card = ref()
    weak, strong = SecretHash(PlainPepper(), HashCost()), SecretHash(PlainPepper(), HashCost(rounds=3))
    event = SecretEvent(card, PIN, 1, ref(), SecretAct.CHANGE, NOW, "outlet 1", "own", None)
    store.write(event, weak.make(PIN, card, WRONG), unlocking=False)
    desk = Comparing(store, guesses, strong, GuessLimits())
    with refused(CheckFailed, "pin_wrong"):
        desk.compare(PIN, card, INITIAL, DESK, limit=3, now=NOW)
    assert ",t=2," in (getattr(store.find(PIN, card), "hash", None) or "")
    desk.compare(PIN, card, WRONG, DESK, limit=3, now=NOW)
    assert ",t=3," in (getattr(store.find(PIN, card), "hash", None) or "")
    desk.compare(PIN, card, WRONG, DESK, limit=3, now=NOW)


def test_more_than_may_wait_are_sent_away_at_once_and_lose_no_try(store: SqlSecrets, guesses: SqlGuesses) -> None:
    card, entered, go_on = ref(), Event(), Event()

    def stay() -> None:
        entered.set()
        assert go_on.wait(10)

    slow = Comparing(store, guesses, CountingHash(stay), GuessLimits(), Slots(at_once=1, waiting=0))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(slow.compare, PIN, card, INITIAL, DESK, limit=3, now=NOW)
        assert entered.wait(10)
        with refused(Unavailable, "secrets_busy"):
            slow.compare(PIN, card, INITIAL, DESK, limit=3, now=NOW)
        row = store.find(PIN, card)
        assert row is not None
        assert row.tries == 1
        store.find(PIN, card)  # nobody holds the register's lock meanwhile
        assert store.take_try(PIN, ref(), 3, NOW) is not None
        go_on.set()
        first.result(10)


def test_who_waits_too_long_for_a_core_is_sent_away() -> None:
    slots = Slots(at_once=1, waiting=1, seconds=0.01)
    with slots.slot(), refused(Unavailable, "secrets_busy"), slots.slot():
        pytest.fail("two at once")
    with slots.slot():
        pass  # and everything was given back


class Failing(SqlSecrets):
    """A register whose primary is lost in the moment of the commit: the try may or may not be written."""

    def take_try(self, purpose: Purpose, subject: str, limit: int, now: datetime) -> SecretRow | None:
        super().take_try(purpose, subject, limit, now)
        raise Unavailable("outcome_unknown", "the connection failed while committing")


class FailingGuesses(SqlGuesses):
    def add(self, caller: str, now: datetime) -> int:
        raise Unavailable("register_unavailable", "the database did not answer")


def test_what_is_not_known_to_be_written_down_is_not_compared_or_not_told(
    service: Service, store: SqlSecrets, guesses: SqlGuesses
) -> None:
    engine, card, hashing = service.issuer.engine, ref(), CountingHash()
    with refused(Unavailable, "outcome_unknown"):
        comparing(Failing(engine), guesses, hashing).compare(PIN, card, INITIAL, DESK, limit=3, now=NOW)
    assert hashing.comparisons == 0
    with refused(Unavailable, "register_unavailable"):  # and not `pin_wrong`
        comparing(store, FailingGuesses(engine), hashing).compare(PIN, card, WRONG, DESK, limit=3, now=NOW)
    row = store.find(PIN, card)
    assert row is not None
    assert row.tries == 2
