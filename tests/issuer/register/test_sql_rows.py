"""Many rows by one statement: each engine keeps the same values as one row at a time would."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, select

from ecard_card.china import CHINA
from ecard_card.errors import Conflict
from ecard_card.status import EcardStatus
from ecard_issuer.register import tables
from ecard_issuer.register.engine import reading, writing
from ecard_issuer.register.sql import columns, many
from ecard_issuer.register.sql_rows import insert_free, insert_rows, update_rows
from ecard_issuer.states import ListState
from ecard_issuer.wallets.values import OfferRow, OfferState

NOW = datetime(2026, 11, 30, 8, 0, 0, 123456, tzinfo=UTC)
_entries, _offers = tables.status_entry, tables.wallet_offer
OFFER = OfferRow(
    offer_id='it\'s \\ "é" 卡 %s :x',
    enrolment_id=None,
    app_id="",
    link_id="null",
    review=True,
    made_by="ben",
    created_at=NOW,
    expires_at=NOW.astimezone(CHINA) + timedelta(minutes=5),
    tries=3,
    state=OfferState.DEAD,
)
OTHER = replace(OFFER, offer_id="other", enrolment_id="e", review=False)


def entry(list_id: int, index: int, credential_id: bytes | None = None) -> dict[str, object]:
    value = EcardStatus.VALID
    return {"list_id": list_id, "index": index, "card_ref": "c", "plan_id": "p", "credential_id": credential_id} | {
        "value": value
    }


@pytest.fixture
def lists(engine: Engine) -> None:
    """Two status lists, for entries to be on."""
    shape = {"size": 64, "state": ListState.OPEN, "version": 0, "created_at": NOW}
    with writing(engine) as connection:
        insert_rows(connection, tables.status_list, [{"list_id": list_id} | shape for list_id in (11, 12)])


class RowsContract:
    def test_a_row_comes_back_as_it_went(self, engine: Engine) -> None:
        with writing(engine) as connection:
            insert_rows(connection, _offers, [columns(OFFER), columns(OTHER)])
        with reading(engine) as connection:
            assert many(connection, OfferRow, select(_offers).order_by(_offers.c.offer_id)) == (OFFER, OTHER)

    def test_a_taken_key_refuses_all_of_them(self, engine: Engine) -> None:
        with pytest.raises(Conflict, match="constraint"), writing(engine) as connection:
            insert_rows(connection, _offers, [columns(OTHER), columns(OFFER), columns(OFFER)])
        with reading(engine) as connection:
            assert many(connection, OfferRow, select(_offers)) == ()

    def test_the_free_ones_go_in_and_are_named(self, engine: Engine, lists: None) -> None:
        with writing(engine) as connection:
            assert insert_free(connection, _entries, []) == frozenset()
            assert insert_free(connection, _entries, [entry(11, 1), entry(11, 2)]) == {(11, 1), (11, 2)}
            assert insert_free(connection, _entries, [entry(11, 2, b"x"), entry(12, 1)]) == {(12, 1)}
            kept = connection.execute(select(_entries.c.list_id, _entries.c.index, _entries.c.credential_id)).all()
        assert sorted(map(tuple, kept)) == [(11, 1, None), (11, 2, None), (12, 1, None)]

    def test_each_row_is_given_its_own_by_all_of_its_key(self, engine: Engine, lists: None) -> None:
        with writing(engine) as connection:
            insert_rows(connection, _entries, [entry(11, 1), entry(11, 2), entry(12, 1), entry(12, 2, b"old")])
            given = [entry(11, 1, b"a"), entry(11, 2, b"b"), entry(12, 1, None), entry(9, 9, b"nobody")]
            names = ("list_id", "index", "credential_id")
            rows = [{name: row[name] for name in names} for row in given]
            update_rows(connection, _entries, rows, ("list_id", "index"))
            kept = connection.execute(select(_entries.c.list_id, _entries.c.index, _entries.c.credential_id)).all()
        assert sorted(map(tuple, kept)) == [(11, 1, b"a"), (11, 2, b"b"), (12, 1, None), (12, 2, b"old")]


class TestOnSqlite(RowsContract):
    @pytest.fixture
    def engine(self, sqlite_engine: Engine) -> Engine:
        return sqlite_engine


@pytest.mark.postgres
class TestOnPostgres(RowsContract):
    @pytest.fixture
    def engine(self, postgres_engine: Engine) -> Engine:
        return postgres_engine
