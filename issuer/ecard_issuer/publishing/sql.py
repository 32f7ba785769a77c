"""Publishing's own tables on SQL: deltas, and the decoys among the entries. Ports `DeltaStore` and `DecoyStore`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, delete, or_, select, update

from ecard_card.status import EcardStatus
from ecard_issuer.publishing.ports import DecoyTurn, DeltaRow
from ecard_issuer.publishing.truth import DECOY
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, insert_new, many, one
from ecard_issuer.states import OutboxKind
from ecard_verifier.feed import STREAM

_SUSPENDED, _INVALID = EcardStatus.SUSPENDED, EcardStatus.INVALID
_deltas, _lists, _entries = tables.status_delta, tables.status_list, tables.status_entry


class SqlDeltas(Store):
    """Implements `DeltaStore`."""

    def latest_delta(self) -> DeltaRow | None:
        newest = select(_deltas).where(_deltas.c.stream == STREAM).order_by(_deltas.c.number.desc()).limit(1)
        with self._reading() as connection:
            return one(connection, DeltaRow, newest)

    def deltas(self, after: int, limit: int) -> tuple[DeltaRow, ...]:
        if after >= 2**63 - 1:
            return ()
        later = select(_deltas).where(_deltas.c.stream == STREAM, _deltas.c.number > after)
        with self._reading() as connection:
            return many(connection, DeltaRow, later.order_by(_deltas.c.number).limit(limit))

    def delta_number_at(self, position: int) -> int | None:
        begun = select(_deltas.c.number).where(_deltas.c.stream == STREAM, _deltas.c.after <= position)
        with self._reading() as connection:
            return connection.scalar(begun.order_by(_deltas.c.after.desc(), _deltas.c.number.desc()).limit(1))

    def add_delta(self, row: DeltaRow) -> bool:
        with self._writing() as connection:
            return insert_new(connection, _deltas, **columns(row))

    def drop_deltas(self, before: datetime) -> int:
        with self._writing() as connection:
            newest = connection.scalar(
                select(_deltas.c.number).where(_deltas.c.stream == STREAM).order_by(_deltas.c.number.desc()).limit(1)
            )
            gone = delete(_deltas).where(
                _deltas.c.stream == STREAM, _deltas.c.created_at < before, _deltas.c.number < (newest or 0)
            )
            return connection.execute(gone).rowcount


class SqlDecoys(Store):
    """Implements `DecoyStore`. A decoy is an entry without a card: its key keeps cards off, and theirs keep it off."""

    def due_decoys(
        self, now: datetime, delay: Callable[[int | None], tuple[int, float]], limit: int = 100
    ) -> tuple[DecoyTurn, ...]:
        due = or_(_lists.c.next_decoy_at.is_(None), _lists.c.next_decoy_at <= now)
        lasting = or_(_lists.c.ends_at.is_(None), _lists.c.ends_at > now)
        wanted = select(_lists).where(due, lasting).order_by(_lists.c.list_id).limit(limit)
        turns: list[DecoyTurn] = []
        with self._writing() as connection:
            for row in connection.execute(wanted).all():
                every, seconds = delay(row.decoy_every)
                unchanged = (
                    _lists.c.next_decoy_at.is_(None)
                    if row.next_decoy_at is None
                    else _lists.c.next_decoy_at == row.next_decoy_at
                )
                taken = connection.execute(
                    update(_lists)
                    .where(and_(_lists.c.list_id == row.list_id, unchanged))
                    .values(decoy_every=every, next_decoy_at=now + timedelta(seconds=seconds))
                )
                if taken.rowcount == 1 and row.next_decoy_at is not None:
                    turns.append(DecoyTurn(row.list_id, row.size))
        return tuple(turns)

    def new_decoy(self, list_id: int, index: int, value: int, change: str, sequence: int, now: datetime) -> bool:
        with self._writing() as connection:
            made = insert_new(
                connection,
                _entries,
                list_id=list_id,
                index=index,
                card_ref=DECOY,
                plan_id=DECOY,
                credential_id=None,
                value=EcardStatus(value),
            )
            if made:
                self._tell(connection, list_id, index, value, change, sequence, now)
            return made

    def suspended_decoy(self, list_id: int, from_index: int) -> int | None:
        of_list = and_(
            _entries.c.list_id == list_id,
            _entries.c.index >= from_index,
            _entries.c.value == _SUSPENDED,
            _entries.c.card_ref == DECOY,
        )
        with self._reading() as connection:
            return connection.scalar(select(_entries.c.index).where(of_list).order_by(_entries.c.index).limit(1))

    def change_decoy(self, list_id: int, index: int, value: int, change: str, sequence: int, now: datetime) -> bool:
        this = and_(_entries.c.list_id == list_id, _entries.c.index == index, _entries.c.card_ref == DECOY)
        with self._writing() as connection:
            changed = connection.execute(
                update(_entries)
                .where(this, _entries.c.value != _INVALID, _entries.c.value != EcardStatus(value))
                .values(value=EcardStatus(value))
            )
            if changed.rowcount == 1:
                self._tell(connection, list_id, index, value, change, sequence, now)
            return changed.rowcount == 1

    def _tell(
        self, connection: Connection, list_id: int, index: int, value: int, change: str, sequence: int, now: datetime
    ) -> None:
        """A decoy goes the way of every change, so that feed, deltas and lists say the same of it."""
        version = connection.execute(
            update(_lists)
            .where(_lists.c.list_id == list_id)
            .values(version=_lists.c.version + 1)
            .returning(_lists.c.version)
        ).scalar_one()
        body = {
            "change": change,
            "sequence": sequence,
            "entries": [{"list_id": list_id, "index": index, "value": int(value)}],
        }
        self._put_outbox(connection, f"decoy/{list_id}", version, OutboxKind.STATUS, body, now)
