"""`WalletStore` and `IssuingMany` on both engines: once, by locked rows and keys of the store."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, event

from ecard_card.errors import EcardError
from ecard_issuer.wallets.sql import SqlWallets
from ecard_issuer.wallets.sql_sessions import in_one
from ecard_issuer.wallets.sql_together import Keys, add_batches
from ecard_issuer.wallets.values import (
    BatchRow,
    BatchState,
    OfferRow,
    OfferState,
    RequestRow,
    RequestState,
    SessionRow,
    WalletClient,
    WalletEvent,
    WantedKey,
)
from tests.contracts.register_world import LATER, NOW
from tests.issuer.register.test_relying_store import outcomes

OFFER = OfferRow("0f" * 16, "e1", None, None, False, "desk", NOW, NOW + timedelta(minutes=5))
REQUEST = RequestRow(
    "7e" * 16,
    "wallet-1",
    "https://w.example/cb",
    "c" * 43,
    None,
    None,
    OFFER.offer_id,
    False,
    NOW + timedelta(minutes=9),
)
SESSION = SessionRow(OFFER.offer_id, "h", None, None, "e1", None, None, False, False, NOW + timedelta(minutes=5))
BATCH = BatchRow("b1" * 16, SESSION.session_id, "r", (WantedKey("04" * 65, "e1"),), BatchState.GRANTED, NOW, LATER)


class StoreContract:
    @pytest.fixture
    def store(self, engine: Engine) -> SqlWallets:
        return SqlWallets(engine)

    def test_an_offer_is_redeemed_once_however_many_ask_at_once(self, store: SqlWallets) -> None:
        assert store.add_offer(OFFER) == OFFER
        assert store.add_offer(replace(OFFER, made_by="another")) == OFFER
        took: list[OfferState | None] = []

        def redeem(number: int) -> None:
            found = store.redeem_offer(OFFER.offer_id, True, lambda offer: SESSION, NOW)
            took.append(None if found is None else found.state)

        assert outcomes(redeem) == ["ok"] * 8
        assert sorted(took, key=str) == [None] * 7 + [OfferState.TAKEN]
        assert store.find_session(SESSION.session_id) == SESSION

    def test_of_many_wrong_guesses_at_once_each_counts(self, store: SqlWallets) -> None:
        store.add_offer(OFFER)
        outcomes(lambda number: store.redeem_offer(OFFER.offer_id, False, lambda offer: SESSION, NOW))
        found = store.find_offer(OFFER.offer_id)
        assert found is not None
        assert (found.tries, found.state) == (5, OfferState.DEAD)
        assert store.redeem_offer(OFFER.offer_id, True, lambda offer: SESSION, NOW) is None
        assert store.find_session(SESSION.session_id) is None
        assert store.redeem_offer("00" * 16, True, lambda offer: SESSION, NOW) is None

    def test_an_offer_that_is_over_is_no_more(self, store: SqlWallets) -> None:
        store.add_offer(OFFER)
        assert store.redeem_offer(OFFER.offer_id, True, lambda offer: SESSION, OFFER.expires_at) is None

    def test_a_request_is_one_browser_s_and_granted_and_redeemed_once(self, store: SqlWallets) -> None:
        store.add_offer(OFFER)
        store.add_request(REQUEST)
        browsers: list[bool] = []
        outcomes(lambda number: browsers.append(store.open_request(REQUEST.request_id, f"browser {number}")))
        assert browsers.count(True) == 1
        granted = replace(REQUEST, enrolment_id="e1", expires_at=NOW + timedelta(minutes=1))
        got: list[bool] = []
        outcomes(lambda number: got.append(store.grant_request(granted, True, NOW)))
        assert got.count(True) == 1
        found = store.find_request(REQUEST.request_id)
        assert found is not None
        assert (found.state, found.enrolment_id) == (RequestState.GRANTED, "e1")
        session = replace(SESSION, session_id=REQUEST.request_id)
        assert not store.redeem_request(REQUEST.request_id, session, NOW + timedelta(minutes=1))
        got = []
        outcomes(lambda number: got.append(store.redeem_request(REQUEST.request_id, session, NOW)))
        assert got.count(True) == 1

    def test_tries_at_a_page_are_counted_and_a_refusal_stays(self, store: SqlWallets) -> None:
        store.add_request(REQUEST)
        took: list[bool] = []
        outcomes(lambda number: took.append(store.take_request_try(REQUEST.request_id, 5, NOW)))
        assert took.count(True) == 5
        assert not store.grant_request(replace(REQUEST, offer_id=None), False, NOW)
        assert store.refuse_request(REQUEST.request_id)
        assert not store.refuse_request(REQUEST.request_id)
        assert not store.grant_request(replace(REQUEST, offer_id=None), True, NOW)

    def test_a_nonce_is_one_batch_s_and_a_session_has_so_many_keys(self, store: SqlWallets) -> None:
        store.add_offer(OFFER)
        store.redeem_offer(OFFER.offer_id, True, lambda offer: SESSION, NOW)
        assert store.add_batch(BATCH, 0, 2) == BATCH
        assert store.add_batch(replace(BATCH, request_hash="other"), 1, 2) == BATCH
        second = replace(BATCH, batch_id="b2" * 16)
        assert store.add_batch(second, 0, 2) is None  # meanwhile there is one key
        assert store.add_batch(replace(second, keys=BATCH.keys * 2), 1, 2) is None  # too many
        assert store.find_batch(second.batch_id) is None
        kept: list[BatchRow | None] = []
        outcomes(lambda number: kept.append(store.add_batch(replace(second, batch_id=f"{number:032x}"), 1, 9)))
        assert len([one for one in kept if one is not None]) == 1
        found = store.find_session(SESSION.session_id)
        assert found is not None
        assert found.taken == 2

    def test_a_waiting_batch_is_decided_once_and_keeps_its_session(self, store: SqlWallets) -> None:
        store.add_offer(OFFER)
        store.redeem_offer(OFFER.offer_id, True, lambda offer: SESSION, NOW)
        waiting = replace(BATCH, state=BatchState.WAITING, expires_at=NOW + timedelta(days=7))
        assert store.add_batch(waiting, 0, 9) == waiting
        session = store.find_session(SESSION.session_id)
        assert session is not None
        assert session.expires_at == waiting.expires_at
        assert store.waiting_batches(NOW) == (waiting,)
        assert store.waiting_batches(NOW, after=waiting.batch_id) == ()
        assert store.decide_batch(waiting.batch_id, BatchState.GRANTED, "ben", "", waiting.expires_at) is None
        decided = store.decide_batch(waiting.batch_id, BatchState.REFUSED, "ben", "odd", LATER)
        assert decided is not None
        assert (decided.state, decided.decided_by, decided.reason) == (BatchState.REFUSED, "ben", "odd")
        assert store.decide_batch(waiting.batch_id, BatchState.GRANTED, "eve", "", LATER) == decided
        store.note_event(waiting.batch_id, WalletEvent.ACCEPTED)
        found = store.find_batch(waiting.batch_id)
        assert found is not None
        assert found.event is WalletEvent.ACCEPTED
        assert store.waiting_batches(NOW) == ()

    def test_the_registry_keeps_the_newest(self, store: SqlWallets) -> None:
        first = WalletClient("a-1", "A", ("https://a.example/cb", "a:/cb"), "anna", NOW)
        for client in (first, replace(first, client_id="b-1"), replace(first, name="A2", ended_at=LATER, ended_by="b")):
            store.save_client(client)
        assert [one.name for one in store.list_clients()] == ["A2", "A"]
        assert store.find_client("a-1") == replace(first, name="A2", ended_at=LATER, ended_by="b")
        assert store.list_clients(after="a-1", limit=1) == (replace(first, client_id="b-1"),)
        assert store.find_client("nobody") is None

    def test_what_is_over_goes_in_portions(self, store: SqlWallets) -> None:
        for number in range(3):
            store.add_offer(replace(OFFER, offer_id=f"{number:032x}"))
        store.add_request(REQUEST)
        assert store.purge(NOW, 2) == 0
        assert store.purge(NOW + timedelta(hours=1), 2) == 3
        assert store.purge(NOW + timedelta(hours=1), 2) == 1
        assert store.find_request(REQUEST.request_id) is None


class TestOnSqlite(StoreContract):
    @pytest.fixture
    def engine(self, sqlite_engine: Engine) -> Engine:
        return sqlite_engine


@pytest.mark.postgres
class TestOnPostgres(StoreContract):
    @pytest.fixture
    def engine(self, postgres_engine: Engine) -> Engine:
        return postgres_engine

    def test_two_processes_that_count_crosswise_do_not_wait_for_each_other(self, postgres_engine: Engine) -> None:
        """Sessions that had as many keys before are counted by one statement: those of one are the other's second."""
        store = SqlWallets(postgres_engine)
        sessions = [replace(SESSION, session_id=f"{number:032x}") for number in range(2)]
        for session in sessions:
            store.add_offer(replace(OFFER, offer_id=session.session_id))
            store.redeem_offer(session.session_id, True, lambda offer, opened=session: opened, NOW)  # type: ignore[misc]
        both = threading.Barrier(2)

        def pause(conn: object, cursor: object, statement: str, *rest: object) -> None:
            if statement.startswith("UPDATE wallet_session"):
                with contextlib.suppress(threading.BrokenBarrierError):
                    both.wait(0.3)

        def keep(way: int) -> str:
            asked = [
                Keys(replace(BATCH, batch_id=f"{way}{n}" * 16, session_id=one.session_id, keys=BATCH.keys * many), 0, 9)
                for n, one in enumerate(sessions)
                for many in [1 + (n + way) % 2]
            ]
            try:
                in_one(store._writing, add_batches)(asked)
            except EcardError as error:
                return error.code
            return "ok"

        event.listen(postgres_engine, "after_cursor_execute", pause)
        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(keep, range(2))) == ["ok", "ok"]
