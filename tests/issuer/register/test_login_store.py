"""`LoginStore` on both engines: what can be had once is had once, however many ask at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from ecard_issuer.login.attempts import AttemptRow, AttemptState, LoginRow, QrRow, RequestRow
from ecard_issuer.login.sql import SqlLogins
from tests.contracts.register_world import NOW

MINUTE = timedelta(minutes=1)


def attempt(transaction_id: str = "t") -> AttemptRow:
    return AttemptRow(
        transaction_id=transaction_id,
        browser_hash="b",
        client_id="login.jobs",
        redirect_uri="https://jobs.example/",
        scopes=("openid",),
        oauth_state=None,
        nonce="n",
        challenge="c",
        acr="urn:ecard:acr:device",
        asked=(),
        region="unknown",
        address="unknown",
        device="unknown",
        language="zh",
        created_at=NOW,
        until=NOW + 5 * MINUTE,
        state=AttemptState.OPEN,
        turn=0,
        turned_at=NOW,
    )


def request(number: int = 0, transaction_id: str = "t") -> RequestRow:
    return RequestRow(f"r{number}", transaction_id, f"app{number}", "link", NOW + 2 * MINUTE)


def login(login_id: str = "l") -> LoginRow:
    return LoginRow(
        login_id=login_id,
        holder_ref="h",
        ecard_id="e",
        app_id="app0",
        link_id="link",
        service_id="jobs",
        client_id="login.jobs",
        redirect_uri="https://jobs.example/",
        challenge="c",
        nonce="n",
        scopes=("openid",),
        acr="urn:ecard:acr:chip",
        amr=("pop",),
        chip_assurance="challenge",
        at=NOW,
        until=NOW + 10 * MINUTE,
    )


def at_once(work: Callable[[int], object], people: int = 8) -> list[object]:
    with ThreadPoolExecutor(people) as pool:
        return list(pool.map(work, range(people)))


class StoreContract:
    def test_an_attempt_is_kept_and_shows_one_code_after_another(self, engine: Engine) -> None:
        store = SqlLogins(engine)
        assert store.attempt("t") is None
        store.begin(attempt())
        assert store.attempt("t") == attempt()
        shown = at_once(lambda n: store.turn(attempt(), QrRow(f"q{n}", "t", NOW + MINUTE), NOW))
        assert shown.count(True) == 1
        (winner,) = (n for n, won in enumerate(shown) if won)
        assert store.find_qr(f"q{winner}") == QrRow(f"q{winner}", "t", NOW + MINUTE)
        assert sum(store.find_qr(f"q{n}") is not None for n in range(8)) == 1
        assert store.attempt("t") == replace(attempt(), turn=1)

    def test_of_many_scans_one_wins(self, engine: Engine) -> None:
        store = SqlLogins(engine)
        store.begin(attempt())
        won = at_once(lambda n: store.scan(request(n), "47"))
        assert won.count(True) == 1
        (winner,) = (n for n, first in enumerate(won) if first)
        row = store.attempt("t")
        assert row is not None
        assert (row.state, row.request_id, row.app_id, row.number, row.until) == (
            AttemptState.SCANNED,
            f"r{winner}",
            f"app{winner}",
            "47",
            NOW + 2 * MINUTE,
        )
        assert [n for n in range(8) if store.find_request(f"r{n}") is not None] == [winner]

    def test_a_login_is_confirmed_collected_and_redeemed_once(self, engine: Engine) -> None:
        store = SqlLogins(engine)
        store.begin(attempt())
        assert not store.confirm(request(), login(), NOW)
        assert store.collect("t", "code", NOW + MINUTE) is None
        store.scan(request(), "47")
        confirmed = at_once(lambda n: store.confirm(request(), login(f"l{n}"), NOW + MINUTE))
        assert confirmed.count(True) == 1
        (winner,) = (f"l{n}" for n, first in enumerate(confirmed) if first)
        assert store.redeem(winner, "code", NOW) is None
        codes = at_once(lambda n: store.collect("t", f"code{n}", NOW + MINUTE))
        (given,) = (code for code in codes if isinstance(code, LoginRow))
        assert given.code_hash is not None
        assert given == store.find_login(winner)
        used = at_once(lambda n: store.redeem(winner, str(given.code_hash), NOW))
        assert sum(row is not None for row in used) == 1
        assert store.redeem(winner, "other", NOW) is None

    def test_a_code_that_comes_again_ends_its_token(self, engine: Engine) -> None:
        store = SqlLogins(engine)
        store.begin(attempt())
        store.scan(request(), "47")
        store.confirm(request(), login(), NOW + MINUTE)
        store.collect("t", "code", NOW + MINUTE)
        assert store.redeem("l", "code", NOW) is not None
        store.give_token("l", "token", NOW + 5 * MINUTE)
        row = store.find_login("l")
        assert row is not None
        assert (row.token_hash, row.token_until) == ("token", NOW + 5 * MINUTE)
        assert store.redeem("l", "code", NOW + MINUTE) is None
        row = store.find_login("l")
        assert row is not None
        assert row.token_until == NOW + MINUTE
        store.give_token("l", "later", NOW + 5 * MINUTE)  # one that was being made meanwhile
        assert store.find_login("l") == row

    def test_an_end_is_final_and_takes_the_login_along(self, engine: Engine) -> None:
        store = SqlLogins(engine)
        store.begin(attempt())
        store.scan(request(), "47")
        store.confirm(request(), login(), NOW + MINUTE)
        assert at_once(lambda n: store.end("t", AttemptState.KILLED)).count(True) == 1
        assert store.find_login("l") is None
        assert store.collect("t", "code", NOW) is None
        assert not store.end("t", AttemptState.DENIED)
        row = store.attempt("t")
        assert row is not None
        assert (row.state, row.number) == (AttemptState.KILLED, None)
        assert not store.scan(request(1), "47")

    def test_what_is_over_is_forgotten(self, engine: Engine) -> None:
        store = SqlLogins(engine)
        store.begin(attempt())
        store.turn(attempt(), QrRow("q", "t", NOW + MINUTE), NOW)
        store.scan(request(), "47")
        store.confirm(request(), login(), NOW + MINUTE)
        assert store.purge(NOW, 100) == 0
        assert store.purge(NOW + 11 * MINUTE, 1) == 4
        assert (store.attempt("t"), store.find_qr("q"), store.find_request("r0"), store.find_login("l")) == (None,) * 4


class TestSqlite(StoreContract):
    @pytest.fixture
    def engine(self, sqlite_engine: Engine) -> Engine:
        return sqlite_engine


@pytest.mark.postgres
class TestPostgresql(StoreContract):
    @pytest.fixture
    def engine(self, postgres_engine: Engine) -> Engine:
        return postgres_engine
