"""Streams, their subjects and leases: the first half of port `PartnerStore`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from sqlalchemy import and_, case, delete, not_, or_, select, update

from ecard_card.errors import Conflict
from ecard_issuer.partners.sql_statements import (
    WAITING,
    add_subject,
    count_waiting,
    file_news,
    locked,
    next_due,
)
from ecard_issuer.partners.store import Due, Newcomer, Subject
from ecard_issuer.partners.streams import (
    MAX_STREAMS,
    News,
    Stream,
    StreamStatus,
)
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, insert_new, many, one

_stream, _place, _subject = tables.partner_stream, tables.partner_place, tables.partner_subject
_reference, _delivery = tables.partner_reference, tables.partner_delivery
_BATCH = 1000


class SqlStreams(Store):
    def add_stream(self, stream: Stream) -> None:
        with self._writing() as connection:
            if not insert_new(connection, _stream, **columns(stream)):
                return
            for place in range(MAX_STREAMS):
                if insert_new(connection, _place, partner=stream.partner, place=place, stream_id=stream.stream_id):
                    return
            raise Conflict("partner_streams_full", "delete a stream first")

    def find_stream(self, stream_id: str) -> Stream | None:
        with self._reading() as connection:
            return one(connection, Stream, select(_stream).where(_stream.c.stream_id == stream_id))

    def streams_of(self, partner: str) -> tuple[Stream, ...]:
        with self._reading() as connection:
            ids = connection.scalars(select(_place.c.stream_id).where(_place.c.partner == partner)).all()
            chosen = select(_stream).where(_stream.c.stream_id.in_(ids)).order_by(_stream.c.created_at)
            return many(connection, Stream, chosen)

    def all_streams(self, after: str = "", limit: int = 1000) -> tuple[Stream, ...]:
        chosen = select(_stream).where(_stream.c.stream_id > after).order_by(_stream.c.stream_id).limit(limit)
        with self._reading() as connection:
            return many(connection, Stream, chosen)

    def change_stream(self, stream_id: str, now: datetime, changes: Mapping[str, object], news: News | None) -> Stream:
        with self._writing() as connection:
            before = locked(connection, stream_id)
            values = {**changes, "updated_at": now}
            if changes.get("status") is StreamStatus.ENABLED and before.status is not StreamStatus.ENABLED:
                values |= {"failures": 0, "next_at": now, "hold_until": None}
                connection.execute(
                    update(_delivery).where(_delivery.c.stream_id == stream_id, WAITING).values(next_at=now, attempts=0)
                )
            connection.execute(update(_stream).where(_stream.c.stream_id == stream_id).values(values))
            if news is not None:
                file_news(connection, stream_id, [news], now)
                connection.execute(update(_stream).where(_stream.c.stream_id == stream_id).values(next_at=now))
            return locked(connection, stream_id)

    def delete_stream(self, stream_id: str) -> None:
        with self._writing() as connection:
            stream = locked(connection, stream_id)
            connection.execute(
                update(_stream)
                .where(_stream.c.stream_id == stream_id)
                .values(status=StreamStatus.DISABLED, next_at=None)
            )
        for table, column in ((_subject, _subject.c.card_ref), (_delivery, _delivery.c.number)):
            while True:
                some = select(column).where(table.c.stream_id == stream_id).limit(_BATCH)
                with self._writing() as connection:
                    gone = connection.execute(delete(table).where(table.c.stream_id == stream_id, column.in_(some)))
                if gone.rowcount < _BATCH:
                    break
        with self._writing() as connection:
            connection.execute(
                delete(_place).where(_place.c.partner == stream.partner, _place.c.stream_id == stream_id)
            )
            connection.execute(delete(_stream).where(_stream.c.stream_id == stream_id))

    def add_subject(self, stream: Stream, card_ref: str, reference: str, since: int, now: datetime) -> bool:
        with self._writing() as connection:
            return add_subject(connection, stream, Newcomer(card_ref, reference), since, now)

    def remove_subject(self, stream_id: str, card_ref: str) -> bool:
        with self._writing() as connection:
            gone = connection.execute(
                delete(_subject).where(_subject.c.card_ref == card_ref, _subject.c.stream_id == stream_id)
            )
            return gone.rowcount > 0

    def card_called(self, partner: str, reference: str) -> str | None:
        chosen = select(_reference.c.card_ref).where(
            _reference.c.reference == reference, _reference.c.partner == partner
        )
        with self._reading() as connection:
            return connection.scalar(chosen)

    def subjects_of_card(self, card_ref: str) -> tuple[Subject, ...]:
        chosen = select(_subject).where(_subject.c.card_ref == card_ref).order_by(_subject.c.stream_id)
        with self._reading() as connection:
            return many(connection, Subject, chosen)

    def subjects_among(self, stream_id: str, card_refs: Collection[str]) -> Mapping[str, int]:
        if not card_refs:
            return {}
        chosen = select(_subject.c.card_ref, _subject.c.since).where(
            _subject.c.card_ref.in_(sorted(card_refs)), _subject.c.stream_id == stream_id
        )
        with self._reading() as connection:
            return {card_ref: since for card_ref, since in connection.execute(chosen)}

    def due(self, now: datetime, head: int) -> tuple[Due, ...]:
        enabled = _stream.c.status == StreamStatus.ENABLED
        of_feed = _stream.c.of_channel.is_(None)
        to_file = and_(enabled, of_feed, _stream.c.cursor < head, not_(_stream.c.full))
        to_send = and_(_stream.c.next_at <= now, or_(_stream.c.hold_until.is_(None), _stream.c.hold_until <= now))
        chosen = (
            select(_stream.c.stream_id, _stream.c.cursor, case((to_send, 1), else_=0))
            .where(
                or_(_stream.c.leased_until.is_(None), _stream.c.leased_until <= now),
                or_(to_send, to_file),
            )
            .order_by(_stream.c.updated_at, _stream.c.stream_id)
            .limit(_BATCH)
        )
        with self._reading() as connection:
            return tuple(
                Due(stream_id, cursor, bool(to_send)) for stream_id, cursor, to_send in connection.execute(chosen)
            )

    def claim(self, stream_id: str, owner: str, now: datetime, lease: timedelta) -> Stream | None:
        free = or_(_stream.c.leased_until.is_(None), _stream.c.leased_until <= now, _stream.c.lease_owner == owner)
        with self._writing() as connection:
            taken = connection.execute(
                update(_stream)
                .where(_stream.c.stream_id == stream_id, free)
                .values(leased_until=now + lease, lease_owner=owner)
            )
            return locked(connection, stream_id) if taken.rowcount else None

    def release(self, stream_id: str, owner: str, now: datetime, *, full_at: int | None) -> None:
        with self._writing() as connection:
            stream = one(connection, Stream, select(_stream).where(_stream.c.stream_id == stream_id).with_for_update())
            if stream is None or stream.lease_owner != owner:
                return
            next_at = next_due(connection, stream)
            full = full_at is not None and count_waiting(connection, stream_id, full_at) >= full_at
            connection.execute(
                update(_stream)
                .where(_stream.c.stream_id == stream_id)
                .values(leased_until=None, lease_owner=None, next_at=next_at, full=full, updated_at=now)
            )
