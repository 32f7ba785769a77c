"""Values taken once, access tokens and channels on both engines: by keys of the store, however many come at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, select

from ecard_card.errors import Conflict
from ecard_issuer.channels.sql import SqlChannels
from ecard_issuer.channels.states import ChannelState
from ecard_issuer.channels.values import Channel, registration_from_json
from ecard_issuer.oauth.access_token import SqlAccessTokens
from ecard_issuer.oauth.confirmation import Confirmation
from ecard_issuer.oauth.one_time import MARGIN, OnceOnly, SqlOneTime
from ecard_issuer.register import tables
from ecard_issuer.register.engine import reading
from ecard_keys.client_signer import ClientSigner
from tests.contracts.register_world import LATER, NOW
from tests.issuer.channel_kit import registration
from tests.issuer.register.conftest import postgres_engine, sqlite_engine

__all__ = ["postgres_engine", "sqlite_engine"]


def once(value: str, purpose: str = "proof", owner: str = "key") -> OnceOnly:
    return OnceOnly(purpose, owner, value, NOW)


class StoreContract:
    def test_a_value_is_taken_once_by_whoever_comes_first(self, engine: Engine) -> None:
        store = SqlOneTime(engine)
        with ThreadPoolExecutor(8) as pool:
            taken = list(pool.map(lambda _: store.take([once("same")]), range(16)))
        assert taken.count(None) == 1
        others = [once("same", "nonce"), once("same", owner="another"), once("other"), once("amesproof", "s")]
        assert [store.take([value]) for value in others] == [None] * 4

    def test_all_or_none(self, engine: Engine) -> None:
        store = SqlOneTime(engine)
        assert store.take([once("a"), once("b")]) is None
        assert store.take([once("c"), once("b")]) == once("b")
        assert store.take([once("c")]) is None
        assert store.take([]) is None
        with ThreadPoolExecutor(8) as pool:  # in either order: nobody waits for somebody who waits for them
            pairs = [[once("x"), once("y")], [once("y"), once("x")]] * 4
            assert list(pool.map(store.take, pairs)).count(None) == 1

    def test_what_is_over_is_forgotten_after_a_margin(self, engine: Engine) -> None:
        store = SqlOneTime(engine)
        store.take([once("old"), OnceOnly("proof", "key", "new", NOW + timedelta(hours=1))])
        assert store.purge(NOW + MARGIN) == 0
        assert store.purge(NOW + MARGIN + timedelta(seconds=1)) == 1
        assert store.take([once("old")]) is None

    def test_nothing_that_was_taken_can_be_read(self, engine: Engine) -> None:
        SqlOneTime(engine).take([once("secret-value", owner="somebody")])
        with reading(engine) as connection:
            rows = connection.execute(select(tables.one_time_value)).all()
        assert "secret-value" not in str(rows)
        assert "somebody" not in str(rows)

    def test_a_token_is_found_while_it_lives_and_where_it_belongs(self, engine: Engine) -> None:
        store = SqlAccessTokens(engine)
        token = store.issue("channel", "ek", ("a", "b"), Confirmation.DPOP, "thumb", NOW)
        assert token.startswith("ekat_")
        assert len(token) == 48
        row = store.find(token, "channel", NOW)
        assert row is not None
        assert (row.client_id, row.scopes, row.confirmation) == ("ek", ("a", "b"), Confirmation.DPOP)
        assert token not in repr(row)
        assert row.token_hash != token
        assert store.find(token, "channel", NOW + timedelta(seconds=299)) == row
        assert store.find(token, "channel", NOW + timedelta(seconds=300)) is None
        assert store.find(token, "wallet", NOW) is None
        for other in (token[:-1] + "A" if token[-1] != "A" else token[:-1] + "B", "", "x" * 5000, "ekat_é"):
            assert store.find(other, "channel", NOW) is None
        assert store.purge(NOW + timedelta(seconds=300)) == 0
        assert store.purge(NOW + timedelta(seconds=301)) == 1

    def test_channels_and_every_decision_about_them(self, engine: Engine) -> None:
        store, app_id = SqlChannels(engine), "ek_live_" + "b" * 24
        wanted = registration_from_json(registration(ClientSigner.generate("k")), test=False)
        applied = Channel(app_id, ChannelState.APPLIED, wanted, "digest", 1, NOW)
        assert store.find(app_id) is None
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: store.add(applied, "anna"), range(8)))
        assert found == [applied] * 8
        active = store.save(replace(applied, state=ChannelState.ACTIVE), "approved", "ben", "", LATER)
        assert store.find(app_id) == active
        assert [key.kid for key in active.registration.keys] == ["k"]
        with pytest.raises(Conflict, match="app_changed_meanwhile"):
            store.save(replace(applied, state=ChannelState.REFUSED), "refused", "eve", "", LATER)
        changes = store.changes(app_id)
        assert [(item.number, item.action, item.changed_by) for item in changes] == [
            (1, "applied", "anna"),
            (2, "approved", "ben"),
        ]
        other = replace(applied, app_id="ek_live_" + "c" * 24)
        store.add(other, "anna")
        assert store.list(None, "", 10) == (active, other)
        assert store.list(None, app_id, 10) == (other,)
        assert store.list(ChannelState.APPLIED, "", 10) == (other,)


class TestSqlite(StoreContract):
    @pytest.fixture
    def engine(self, sqlite_engine: Engine) -> Engine:
        return sqlite_engine


@pytest.mark.postgres
class TestPostgres(StoreContract):
    @pytest.fixture
    def engine(self, postgres_engine: Engine) -> Engine:
        return postgres_engine
