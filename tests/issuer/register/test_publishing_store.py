"""The tables of publishing on both engines: deltas are numbered once, decoys and cards keep off each other's places."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, func, select

from ecard_card.errors import Conflict
from ecard_card.status import EcardStatus
from ecard_issuer.publishing.ports import DeltaRow, SnapshotRow
from ecard_issuer.publishing.sql import SqlDecoys, SqlDeltas
from ecard_issuer.publishing.sql_snapshots import SqlSnapshots
from ecard_issuer.register import SqlRegister
from ecard_issuer.register.tables import feed_snapshot_chunk
from ecard_issuer.rows import FeedEntry
from ecard_issuer.states import OutboxKind
from ecard_verifier.feed import STREAM
from tests.contracts.register_contract import LIST_SIZE
from tests.contracts.register_world import NOW

ROW = DeltaRow(STREAM, 1, 0, 5, 1_795_428_000, "a.b.c", NOW)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest) -> Engine:
    name = "sqlite_engine" if request.param == "sqlite" else "postgres_engine"
    found: Engine = request.getfixturevalue(name)
    return found


def race(*work: Callable[[], bool]) -> list[bool]:
    with ThreadPoolExecutor(len(work)) as pool:
        return sorted(pool.map(lambda one: one(), work))


def test_deltas_are_kept_in_order_and_one_of_each_number(engine: Engine) -> None:
    store = SqlDeltas(engine)
    assert store.latest_delta() is None
    assert store.delta_number_at(9) is None
    rows = [
        replace(ROW, number=number, after=after, upto=upto, created_at=NOW + timedelta(minutes=number))
        for number, after, upto in ((1, 0, 5), (2, 5, 5), (3, 5, 5), (4, 5, 9))
    ]
    assert all(store.add_delta(row) for row in rows)
    assert not store.add_delta(replace(rows[3], token="x.y.z"))
    assert store.latest_delta() == rows[3]
    assert store.deltas(1, 2) == tuple(rows[1:3])
    assert store.deltas(4, 10) == store.deltas(2**63, 10) == ()
    assert [store.delta_number_at(position) for position in (0, 4, 5, 9, 100)] == [1, 1, 4, 4, 4]
    assert store.drop_deltas(NOW + timedelta(minutes=3)) == 2
    assert store.drop_deltas(NOW + timedelta(days=1)) == 1  # the latest stays: the next one follows it
    assert store.deltas(0, 10) == (rows[3],)


def test_of_many_makers_one_has_the_number(engine: Engine) -> None:
    stores = [SqlDeltas(engine) for _ in range(4)]
    results = race(
        *(lambda store=store, at=at: store.add_delta(replace(ROW, token=f"{at}")) for at, store in enumerate(stores))
    )
    assert results == [False, False, False, True]


def test_of_many_processes_one_makes_a_lists_decoy(engine: Engine) -> None:
    SqlRegister(engine, list_size=LIST_SIZE, open_lists=1).free_slot(NOW)
    stores = [SqlDecoys(engine) for _ in range(4)]
    assert stores[0].due_decoys(NOW, lambda every: (60, 1.0)) == ()
    later = NOW + timedelta(seconds=2)
    turns = race(*(lambda store=store: bool(store.due_decoys(later, lambda every: (60, 9.0))) for store in stores))
    assert turns == [False, False, False, True]


def test_a_place_is_a_decoys_or_a_cards_once(engine: Engine) -> None:
    register, store = SqlRegister(engine, list_size=LIST_SIZE, open_lists=1), SqlDecoys(engine)
    slot = register.free_slot(NOW)
    made = race(*(lambda: store.new_decoy(slot.list_id, slot.index, 2, "lock", 1, NOW) for _ in range(4)))
    assert made == [False, False, False, True]
    assert register.status_snapshot(slot.list_id).entries == ((slot.index, EcardStatus.SUSPENDED),)
    assert store.suspended_decoy(slot.list_id, 0) == slot.index
    assert store.suspended_decoy(slot.list_id, slot.index + 1) is None
    taken = {register.free_slot(NOW).index for _ in range(30)}
    assert slot.index not in taken
    rows = register.claim_outbox(NOW, lease=timedelta(seconds=3))
    assert [(row.card_ref, row.body["entries"]) for row in rows] == [
        ("decoy/1", [{"list_id": 1, "index": slot.index, "value": 2}])
    ]


def test_several_lists_are_open_and_a_full_one_is_replaced(engine: Engine) -> None:
    register = SqlRegister(engine, list_size=LIST_SIZE, open_lists=3)
    with ThreadPoolExecutor(4) as pool:
        slots = list(pool.map(lambda _: register.free_slot(NOW), range(24)))
    assert len(register.status_lists()) == 3
    assert len({slot.list_id for slot in slots}) > 1


DAY, LEASE = timedelta(days=1), timedelta(minutes=10)


def finished(store: SqlSnapshots, at: datetime, chunks: int = 2) -> SnapshotRow:
    number = store.begin_snapshot(at, timedelta(0), LEASE)
    assert number is not None
    for place in range(chunks):
        store.add_snapshot_chunk(number, place, bytes([number, place]), at)
    row = SnapshotRow(STREAM, number, 10 * number, "a.b.c", at)
    store.finish_snapshot(row, f"digest {number}")
    return row


def told(engine: Engine, now: datetime) -> list[object]:
    """What the outbox holds about snapshots, dispatched as the dispatcher would."""
    register = SqlRegister(engine)
    said = list[object]()
    while rows := register.claim_outbox(now, lease=LEASE):
        entries = [FeedEntry(row.card_ref, row.outbox_id, f"x.{row.ordinal}.y") for row in rows]
        register.append_feed(STREAM, register.feed_head(STREAM), entries, now)
        said += [(row.kind, row.body) for row in rows]
    return said


def test_a_snapshot_can_be_had_once_the_feed_has_named_it(engine: Engine) -> None:
    store = SqlSnapshots(engine)
    assert (store.latest_snapshot(), store.snapshot_chunk(1, 0)) == (None, None)
    number = store.begin_snapshot(NOW, DAY, LEASE)
    assert number == 1
    store.add_snapshot_chunk(1, 0, b"first", NOW)
    assert store.snapshot_chunk(1, 0) is None  # not whole yet
    row = SnapshotRow(STREAM, 1, 7, "a.b.c", NOW)
    store.finish_snapshot(row, "digest")
    assert store.latest_snapshot() is None
    assert told(engine, NOW) == [(OutboxKind.SNAPSHOT, {"number": 1, "digest": "digest"})]
    assert store.latest_snapshot() == row
    assert (store.snapshot_chunk(1, 0), store.snapshot_chunk(1, 1), store.snapshot_chunk(2, 0)) == (
        b"first",
        None,
        None,
    )
    later = finished(store, NOW + LEASE)
    assert store.latest_snapshot() == row  # until the feed has named the newer one too
    told(engine, NOW + LEASE)
    assert store.latest_snapshot() == later


def test_one_is_made_at_a_time_and_when_it_is_due(engine: Engine) -> None:
    store = SqlSnapshots(engine)
    finished(store, NOW)
    assert store.begin_snapshot(NOW + DAY - timedelta(seconds=1), DAY, LEASE) is None
    begun = store.begin_snapshot(NOW + DAY, DAY, LEASE)
    assert begun == 2
    store.renew_snapshot(2, NOW + DAY + timedelta(minutes=5))
    with pytest.raises(Conflict, match="feed_snapshot_being_made"):
        store.begin_snapshot(NOW + DAY + timedelta(minutes=14), timedelta(0), LEASE)
    assert store.begin_snapshot(NOW + DAY + timedelta(minutes=15), timedelta(0), LEASE) == 3
    with pytest.raises(Conflict, match="feed_snapshot_being_made"):
        store.renew_snapshot(2, NOW + DAY)
    with pytest.raises(Conflict, match="feed_snapshot_being_made"):
        store.add_snapshot_chunk(2, 0, b"x", NOW + DAY)
    with pytest.raises(Conflict, match="feed_snapshot_being_made"):
        store.finish_snapshot(SnapshotRow(STREAM, 2, 1, "a.b.c", NOW), "d")


def test_of_many_makers_one_begins(engine: Engine) -> None:
    def begins() -> bool:
        try:
            return SqlSnapshots(engine).begin_snapshot(NOW, DAY, LEASE) == 1
        except Conflict:
            return False

    assert race(*[begins] * 4) == [False, False, False, True]


def test_old_snapshots_go_with_their_chunks_and_numbers_go_on(engine: Engine) -> None:
    store = SqlSnapshots(engine)
    rows = [finished(store, NOW + timedelta(hours=hour), chunks=70) for hour in range(4)]
    told(engine, NOW)
    assert store.begin_snapshot(NOW + timedelta(hours=4), DAY / 24, LEASE) == 5  # and is never heard of again
    assert store.begin_snapshot(NOW + timedelta(hours=5), DAY / 24, LEASE) == 6
    store.add_snapshot_chunk(6, 0, b"x", NOW + timedelta(hours=5))
    store.drop_snapshots(2, NOW, 6)
    assert [store.snapshot_chunk(row.number, 0) is None for row in rows] == [True, True, False, False]
    assert store.latest_snapshot() == rows[3]
    store.renew_snapshot(6, NOW + timedelta(hours=5))  # what is being made stays
    store.drop_snapshots(2, NOW + 2 * DAY)
    assert (store.latest_snapshot(), store.snapshot_chunk(4, 0)) == (None, None)
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(feed_snapshot_chunk)) == 0
    assert store.begin_snapshot(NOW + 3 * DAY, DAY, LEASE) == 7
