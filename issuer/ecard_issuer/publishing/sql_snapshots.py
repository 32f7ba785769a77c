"""Snapshots of the feed on SQL. Port `SnapshotStore`."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select, update

from ecard_card.errors import Conflict
from ecard_issuer.publishing.ports import SnapshotRow
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, insert_new, many
from ecard_issuer.states import OutboxKind
from ecard_verifier.feed import STREAM

#: Chunks, of a megabyte each, deleted in one transaction.
_BATCH = 64
#: Where the outbox holds what the feed must say of them.
_QUEUE = "feed-snapshot"
_snapshots, _chunks, _outbox = tables.feed_snapshot, tables.feed_snapshot_chunk, tables.outbox


class SqlSnapshots(Store):
    """Implements `SnapshotStore`. A row without a manifest is one that is being made."""

    def begin_snapshot(self, now: datetime, every: timedelta, lease: timedelta) -> int | None:
        newest = select(_snapshots).where(_snapshots.c.stream == STREAM).order_by(_snapshots.c.number.desc()).limit(1)
        with self._writing() as connection:
            last = connection.execute(newest).one_or_none()
            if last is not None:
                age = now - (last.made_at or last.renewed_at)
                if last.made_at is None and timedelta(0) <= age < lease:
                    raise _other()
                if last.made_at is not None and timedelta(0) <= age < every:
                    return None
            number = 1 if last is None else int(last.number) + 1
            if not insert_new(connection, _snapshots, stream=STREAM, number=number, renewed_at=now):
                raise _other()
            return number

    def renew_snapshot(self, number: int, now: datetime) -> None:
        with self._writing() as connection:
            _renew(connection, number, now)

    def add_snapshot_chunk(self, number: int, place: int, data: bytes, now: datetime) -> None:
        with self._writing() as connection:
            _renew(connection, number, now)
            connection.execute(_chunks.insert().values(stream=STREAM, number=number, place=place, data=data))

    def finish_snapshot(self, row: SnapshotRow, digest: str) -> None:
        with self._writing() as connection:
            _renew(connection, row.number, row.made_at)
            connection.execute(
                update(_snapshots)
                .where(_snapshots.c.stream == STREAM, _snapshots.c.number == row.number)
                .values(upto=row.upto, manifest=row.manifest, made_at=row.made_at)
            )
            body = {"number": row.number, "digest": digest}
            self._put_outbox(connection, _QUEUE, row.number, OutboxKind.SNAPSHOT, body, row.made_at)

    def latest_snapshot(self) -> SnapshotRow | None:
        whole = select(_snapshots).where(_snapshots.c.stream == STREAM, _snapshots.c.made_at.is_not(None))
        told = select(_outbox.c.ordinal).where(_outbox.c.card_ref == _QUEUE, _outbox.c.dispatched_at.is_not(None))
        with self._reading() as connection:
            for row in many(connection, SnapshotRow, whole.order_by(_snapshots.c.number.desc())):
                if connection.scalar(told.where(_outbox.c.ordinal == row.number)) is not None:
                    return row
        return None

    def snapshot_chunk(self, number: int, place: int) -> bytes | None:
        data = (
            select(_chunks.c.data)
            .join(_snapshots, (_snapshots.c.stream == _chunks.c.stream) & (_snapshots.c.number == _chunks.c.number))
            .where(_chunks.c.stream == STREAM, _chunks.c.number == number, _chunks.c.place == place)
            .where(_snapshots.c.made_at.is_not(None))
        )
        with self._reading() as connection:
            found: bytes | None = connection.scalar(data)
            return found

    def drop_snapshots(self, keep: int, before: datetime, begun: int | None = None) -> None:
        with self._reading() as connection:
            rows = connection.execute(
                select(_snapshots.c.number, _snapshots.c.made_at)
                .where(_snapshots.c.stream == STREAM)
                .order_by(_snapshots.c.number.desc())
            ).all()
        whole = [row.number for row in rows if row.made_at is not None and row.made_at >= before]
        kept = {*whole[:keep], begun}
        for number in (row.number for row in rows if row.number not in kept):
            self._drop(number, before)

    def _drop(self, number: int, before: datetime) -> None:
        """First from sight, then its chunks, some at a time: all of them are more than one statement may take. Then its
        row, if it is not the newest: the next one goes on from that number."""
        this = (_snapshots.c.stream == STREAM, _snapshots.c.number == number)
        gone = {"made_at": None, "manifest": None, "upto": None, "renewed_at": before}
        with self._writing() as connection:
            connection.execute(update(_snapshots).where(*this).values(gone))
        places = select(_chunks.c.place).where(_chunks.c.stream == STREAM, _chunks.c.number == number).limit(_BATCH)
        while True:
            with self._writing() as connection:
                some = list(connection.scalars(places))
                if not some:
                    newer = select(_snapshots.c.number).where(_snapshots.c.stream == STREAM)
                    if connection.scalar(newer.where(_snapshots.c.number > number).limit(1)) is not None:
                        connection.execute(delete(_snapshots).where(*this))
                    return
                connection.execute(
                    delete(_chunks).where(
                        _chunks.c.stream == STREAM, _chunks.c.number == number, _chunks.c.place.in_(some)
                    )
                )


def _renew(connection: Connection, number: int, now: datetime) -> None:
    """Say that number `number` is still being made. Locks its row until the transaction ends."""
    alive = connection.execute(
        update(_snapshots)
        .where(_snapshots.c.stream == STREAM, _snapshots.c.number == number, _snapshots.c.made_at.is_(None))
        .values(renewed_at=now)
    )
    if alive.rowcount != 1:
        raise _other()
    newest = select(_snapshots.c.number).where(_snapshots.c.stream == STREAM).order_by(_snapshots.c.number.desc())
    if connection.scalar(newest.limit(1)) != number:
        raise _other()


def _other() -> Conflict:
    return Conflict("feed_snapshot_being_made", "another process makes a snapshot of the feed")
