"""Streams, subjects and deliveries in the register's database: port `PartnerStore`.

The stream's row is the lock: whoever numbers a delivery, moves the cursor or changes the stream updates that row
first. Leases are columns of it, so that workers of several processes share the streams.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, case, delete, exists, func, not_, or_, select, update

from ecard_card.errors import Conflict, NotFound, RuleViolation
from ecard_issuer.partners.store import Attempt, Due, Newcomer, Subject
from ecard_issuer.partners.streams import (
    MAX_STREAMS,
    OF_STREAM,
    VERIFICATION_INTERVAL,
    Backlog,
    Delivery,
    DeliveryState,
    Method,
    News,
    NewsKind,
    Stream,
    StreamStatus,
)
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, fixed, insert_new, many, one

_stream, _place, _subject = tables.partner_stream, tables.partner_place, tables.partner_subject
_reference, _delivery = tables.partner_reference, tables.partner_delivery
_WAITING = _delivery.c.state == fixed(DeliveryState.WAITING)
_BATCH = 1000


class SqlPartners(Store):
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
            before = _locked(connection, stream_id)
            values = {**changes, "updated_at": now}
            if changes.get("status") is StreamStatus.ENABLED and before.status is not StreamStatus.ENABLED:
                values |= {"failures": 0, "next_at": now, "hold_until": None}
                connection.execute(
                    update(_delivery)
                    .where(_delivery.c.stream_id == stream_id, _WAITING)
                    .values(next_at=now, attempts=0)
                )
            connection.execute(update(_stream).where(_stream.c.stream_id == stream_id).values(values))
            if news is not None:
                _file(connection, stream_id, [news], now)
                connection.execute(update(_stream).where(_stream.c.stream_id == stream_id).values(next_at=now))
            return _locked(connection, stream_id)

    def delete_stream(self, stream_id: str) -> None:
        with self._writing() as connection:
            stream = _locked(connection, stream_id)
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
            return _add_subject(connection, stream, Newcomer(card_ref, reference), since, now)

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
            return _locked(connection, stream_id) if taken.rowcount else None

    def release(self, stream_id: str, owner: str, now: datetime, *, full_at: int | None) -> None:
        with self._writing() as connection:
            stream = one(connection, Stream, select(_stream).where(_stream.c.stream_id == stream_id).with_for_update())
            if stream is None or stream.lease_owner != owner:
                return
            next_at = _next_due(connection, stream)
            full = full_at is not None and _count_waiting(connection, stream_id, full_at) >= full_at
            connection.execute(
                update(_stream)
                .where(_stream.c.stream_id == stream_id)
                .values(leased_until=None, lease_owner=None, next_at=next_at, full=full, updated_at=now)
            )

    def file(
        self, stream: Stream, cursor: int, news: Sequence[News], successor: Newcomer | None, now: datetime
    ) -> None:
        with self._writing() as connection:
            moved = connection.execute(
                update(_stream)
                .where(_stream.c.stream_id == stream.stream_id, _stream.c.cursor == stream.cursor)
                .values({"cursor": cursor} | ({"next_at": now} if news else {}))  # due, whoever is there to send it
            )
            if moved.rowcount != 1:
                raise Conflict("partner_stream_moved", "another worker moved the cursor, or the stream is gone")
            _file(connection, stream.stream_id, news, now)
            if successor is not None:
                _add_subject(connection, stream, successor, cursor, now)

    def post(self, stream_id: str, news: News, now: datetime) -> None:
        with self._writing() as connection:
            stream = _locked(connection, stream_id)
            values: dict[str, Any] = {"next_at": now, "hold_until": None}
            if news.kind is NewsKind.VERIFICATION:
                if stream.asked_at is not None and now - stream.asked_at < VERIFICATION_INTERVAL:
                    raise RuleViolation("partner_verification_too_soon", "at most one verification in ten seconds")
                values["asked_at"] = now
            _file(connection, stream_id, [news], now)
            connection.execute(update(_stream).where(_stream.c.stream_id == stream_id).values(values))

    def ready(
        self, stream_id: str, now: datetime, *, limit: int, only_stream: bool = False, untried: bool = False
    ) -> tuple[Delivery, ...]:
        chosen = _first_of_cards(stream_id).where(_delivery.c.next_at <= now)
        if only_stream:
            chosen = chosen.where(_delivery.c.kind.in_(sorted(OF_STREAM)))
        order = (_delivery.c.result != "", _delivery.c.updated_at) if untried else ()
        with self._reading() as connection:
            return many(connection, Delivery, chosen.order_by(*order, _delivery.c.number).limit(limit))

    def count_waiting(self, stream_id: str, most: int) -> int:
        with self._reading() as connection:
            return _count_waiting(connection, stream_id, most)

    def record(
        self, delivery: Delivery, owner: str, attempt: Attempt, news: News | None, now: datetime, lease: timedelta
    ) -> None:
        values: dict[str, Any] = {
            "failures": attempt.failures,
            "hold_until": attempt.hold_until,
            "leased_until": now + lease,
        }
        if attempt.status is not None:
            values |= {"status": attempt.status, "reason": attempt.reason, "next_at": None}
        with self._writing() as connection:
            stream = _locked(connection, delivery.stream_id)
            if stream.lease_owner != owner:
                raise Conflict("partner_lease_lost", "another worker has this stream")
            connection.execute(update(_stream).where(_stream.c.stream_id == stream.stream_id).values(values))
            connection.execute(
                update(_delivery)
                .where(_delivery.c.stream_id == stream.stream_id, _delivery.c.number == delivery.number)
                .values(
                    state=attempt.state,
                    attempts=_delivery.c.attempts + int(attempt.counts),
                    next_at=attempt.next_at,
                    result=attempt.result,
                    updated_at=now,
                )
            )
            if attempt.recovered:
                connection.execute(
                    update(_delivery)
                    .where(_delivery.c.stream_id == stream.stream_id, _WAITING, _delivery.c.result != "")
                    .where(_delivery.c.number != delivery.number)
                    .values(next_at=now)
                )
            if news is not None:
                _file(connection, stream.stream_id, [news], now)

    def waiting(self, stream_id: str, limit: int) -> tuple[Delivery, ...]:
        chosen = select(_delivery).where(_delivery.c.stream_id == stream_id, _WAITING)
        with self._reading() as connection:
            return many(connection, Delivery, chosen.order_by(_delivery.c.number).limit(limit))

    def settle(self, stream_id: str, results: Mapping[str, tuple[DeliveryState, str]], now: datetime) -> int:
        groups: dict[tuple[DeliveryState, str], list[str]] = {}
        for event_id, outcome in results.items():
            groups.setdefault(outcome, []).append(event_id)
        settled = 0
        with self._writing() as connection:
            _locked(connection, stream_id)
            for (state, result), event_ids in groups.items():
                this = (_delivery.c.stream_id == stream_id, _delivery.c.event_id.in_(event_ids), _WAITING)
                values = {"state": state, "result": result, "next_at": None, "updated_at": now}
                settled += connection.execute(
                    update(_delivery).where(*this).values(**values, attempts=_delivery.c.attempts + 1)
                ).rowcount
            if settled:
                connection.execute(update(_stream).where(_stream.c.stream_id == stream_id).values(full=False))
        return settled

    def since(self, stream_id: str, after: int, limit: int) -> tuple[Delivery, ...]:
        chosen = select(_delivery).where(_delivery.c.stream_id == stream_id, _delivery.c.number > after)
        with self._reading() as connection:
            return many(connection, Delivery, chosen.order_by(_delivery.c.number).limit(limit))

    def log(self, stream_id: str, limit: int, state: DeliveryState | None = None) -> tuple[Delivery, ...]:
        chosen = select(_delivery).where(_delivery.c.stream_id == stream_id)
        if state is not None:
            chosen = chosen.where(_delivery.c.state == state)
        with self._reading() as connection:
            return many(connection, Delivery, chosen.order_by(_delivery.c.number.desc()).limit(limit))

    def resend(self, stream_id: str, number: int, now: datetime) -> Delivery:
        this = (_delivery.c.stream_id == stream_id, _delivery.c.number == number)
        with self._writing() as connection:
            _locked(connection, stream_id)
            connection.execute(
                update(_delivery)
                .where(*this)
                .values(state=DeliveryState.WAITING, attempts=0, next_at=now, updated_at=now)
            )
            connection.execute(update(_stream).where(_stream.c.stream_id == stream_id).values(next_at=now))
            found = one(connection, Delivery, select(_delivery).where(*this))
            if found is None:
                raise NotFound("partner_delivery_unknown", "this stream has no delivery of that number")
            return found

    def numbered(self, stream_id: str, event_id: str) -> int | None:
        this = select(_delivery.c.number).where(_delivery.c.stream_id == stream_id, _delivery.c.event_id == event_id)
        with self._reading() as connection:
            return connection.scalar(this)

    def purge(self, before: datetime, limit: int) -> int:
        over = and_(_delivery.c.state != fixed(DeliveryState.WAITING), _delivery.c.updated_at < before)
        chosen = select(_delivery.c.stream_id, _delivery.c.number).where(over).order_by(_delivery.c.updated_at)
        with self._writing() as connection:
            places = connection.execute(chosen.limit(limit)).all()
            for stream_id, number in places:
                connection.execute(
                    delete(_delivery).where(_delivery.c.stream_id == stream_id, _delivery.c.number == number)
                )
        return len(places)

    def needed_from(self) -> int | None:
        live = and_(_stream.c.status != StreamStatus.DISABLED, _stream.c.of_channel.is_(None))
        kept = _stream.alias("kept")
        of_live = exists().where(
            kept.c.stream_id == _delivery.c.stream_id,
            kept.c.status != StreamStatus.DISABLED,
            kept.c.of_channel.is_(None),
        )
        with self._reading() as connection:
            cursor = connection.scalar(select(func.min(_stream.c.cursor)).where(live))
            waiting = connection.scalar(select(func.min(_delivery.c.seq)).where(_WAITING, _delivery.c.seq > 0, of_live))
        wanted = [place for place in (None if cursor is None else cursor + 1, waiting) if place is not None]
        return min(wanted, default=None)

    def overview(self, head: int) -> tuple[Backlog, ...]:
        counts: dict[tuple[str, DeliveryState], tuple[int, datetime]] = {}
        with self._reading() as connection:
            streams = many(connection, Stream, select(_stream).order_by(_stream.c.stream_id))
            for state in (DeliveryState.WAITING, DeliveryState.DEAD):  # each has an index of its own
                counted = select(_delivery.c.stream_id, func.count(), func.min(_delivery.c.created_at)).where(
                    _delivery.c.state == fixed(state)
                )
                for stream_id, count, oldest in connection.execute(counted.group_by(_delivery.c.stream_id)):
                    counts[stream_id, state] = count, oldest
        return tuple(_backlog(stream, counts, head) for stream in streams)


def _backlog(stream: Stream, counts: Mapping[tuple[str, DeliveryState], tuple[int, datetime]], head: int) -> Backlog:
    waiting = counts.get((stream.stream_id, DeliveryState.WAITING))
    dead = counts.get((stream.stream_id, DeliveryState.DEAD))
    return Backlog(
        stream_id=stream.stream_id,
        partner=stream.partner,
        method=stream.method,
        status=stream.status,
        waiting=waiting[0] if waiting else 0,
        oldest=waiting[1] if waiting else None,
        dead=dead[0] if dead else 0,
        lag=0 if stream.of_channel else max(0, head - stream.cursor),
    )


def _locked(connection: Connection, stream_id: str) -> Stream:
    stream = one(connection, Stream, select(_stream).where(_stream.c.stream_id == stream_id).with_for_update())
    if stream is None:
        raise NotFound("partner_stream_unknown", "no such stream")
    return stream


def _count_waiting(connection: Connection, stream_id: str, most: int) -> int:
    some = select(_delivery.c.number).where(_delivery.c.stream_id == stream_id, _WAITING).limit(most).subquery()
    return connection.scalar(select(func.count()).select_from(some)) or 0


def _first_of_cards(stream_id: str) -> Any:
    earlier = _delivery.alias("earlier")
    return select(_delivery).where(
        _delivery.c.stream_id == stream_id,
        _WAITING,
        ~exists().where(
            earlier.c.stream_id == _delivery.c.stream_id,
            earlier.c.card_ref == _delivery.c.card_ref,
            earlier.c.state == fixed(DeliveryState.WAITING),
            earlier.c.number < _delivery.c.number,
        ),
    )


def _next_due(connection: Connection, stream: Stream) -> datetime | None:
    if stream.method is Method.POLL or stream.status is not StreamStatus.ENABLED:
        return None
    first = _first_of_cards(stream.stream_id).subquery()
    return connection.scalar(select(func.min(first.c.next_at)))


def _file(connection: Connection, stream_id: str, news: Sequence[News], now: datetime) -> None:
    """Number what is new; what was filed before waits once more. The stream's row is locked."""
    if not news:
        return
    ids = [item.event_id for item in news]
    again = connection.scalars(
        update(_delivery)
        .where(_delivery.c.stream_id == stream_id, _delivery.c.event_id.in_(ids))
        .values(state=DeliveryState.WAITING, attempts=0, next_at=now, updated_at=now)
        .returning(_delivery.c.event_id)
    ).all()
    fresh = [item for item in news if item.event_id not in set(again)]
    if not fresh:
        return
    last = connection.execute(
        update(_stream)
        .where(_stream.c.stream_id == stream_id)
        .values(numbered=_stream.c.numbered + len(fresh))
        .returning(_stream.c.numbered)
    ).scalar_one()
    rows = [
        columns(item)
        | {
            "stream_id": stream_id,
            "number": last - len(fresh) + place,
            "state": DeliveryState.WAITING,
            "attempts": 0,
            "next_at": now,
            "result": "",
            "created_at": now,
            "updated_at": now,
        }
        for place, item in enumerate(fresh, 1)
    ]
    connection.execute(_delivery.insert(), rows)


def _add_subject(connection: Connection, stream: Stream, card: Newcomer, since: int, now: datetime) -> bool:
    insert_new(connection, _reference, reference=card.reference, partner=stream.partner, card_ref=card.card_ref)
    named = {"card_ref": card.card_ref, "stream_id": stream.stream_id}
    return insert_new(connection, _subject, **named, added_at=now, since=since)
