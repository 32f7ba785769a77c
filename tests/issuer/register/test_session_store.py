"""Port `SessionStore`, on both engines."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from ecard_issuer.tickets.sql import SqlSessions
from ecard_issuer.tickets.values import Ending, ShowSession
from tests.contracts.register_world import NOW

SOON = NOW + timedelta(seconds=30)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest) -> SqlSessions:
    engine: Engine = request.getfixturevalue(f"{request.param}_engine")
    return SqlSessions(engine)


def session(number: int) -> ShowSession:
    return ShowSession(f"{number:032x}", "ek_live_a", "link", "https://page.example", NOW, SOON)


def test_it_is_opened_once_by_however_many_at_once(store: SqlSessions) -> None:
    one = session(1)
    store.add(one)
    assert store.find(one.session_id) == one
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda number: store.open(one.session_id, f"hash {number}", NOW, SOON), range(6)))
    assert sorted(done) == [False] * 5 + [True]
    opened = store.find(one.session_id)
    assert opened is not None
    assert opened.token_hash == f"hash {done.index(True)}"
    assert opened.open(NOW)
    assert not opened.open(SOON)


def test_what_has_ended_stays_so_and_is_not_opened(store: SqlSessions) -> None:
    one = session(2)
    store.add(one)
    store.end(one.session_id, Ending.STRAY, NOW)
    store.end(one.session_id, Ending.REUSED, SOON)
    assert not store.open(one.session_id, "hash", NOW, SOON)
    ended = store.find(one.session_id)
    assert ended is not None
    assert (ended.ending, ended.ended_at, ended.opened_at) == (Ending.STRAY, NOW, None)


def test_it_remembers_what_is_shown_and_forgets_the_old(store: SqlSessions) -> None:
    for number in (3, 4, 5):
        store.add(session(number))
    store.shows(f"{3:032x}", "https://issuer.example/status-lists/1", 77)
    shown = store.find(f"{3:032x}")
    assert shown is not None
    assert (shown.status_uri, shown.status_index) == ("https://issuer.example/status-lists/1", 77)
    assert store.forget(NOW, 10) == 0
    assert store.forget(SOON, 2) == 2
    assert store.forget(SOON, 2) == 1
    assert store.find(f"{3:032x}") is None
