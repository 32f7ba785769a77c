"""Deliveries of streams: the second half of port `PartnerStore`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, exists, func, select, update

from ecard_card.errors import Conflict, NotFound, RuleViolation
from ecard_issuer.partners.sql_statements import (
    WAITING,
    add_subject,
    count_waiting,
    file_news,
    first_of_cards,
    locked,
)
from ecard_issuer.partners.store import Attempt, Newcomer
from ecard_issuer.partners.streams import (
    OF_STREAM,
    VERIFICATION_INTERVAL,
    Backlog,
    Delivery,
    DeliveryState,
    News,
    NewsKind,
    Stream,
    StreamStatus,
)
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, fixed, many, one

_stream, _delivery = tables.partner_stream, tables.partner_delivery


class SqlDeliveries(Store):
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
            file_news(connection, stream.stream_id, news, now)
            if successor is not None:
                add_subject(connection, stream, successor, cursor, now)

    def post(self, stream_id: str, news: News, now: datetime) -> None:
        with self._writing() as connection:
            stream = locked(connection, stream_id)
            values: dict[str, Any] = {"next_at": now, "hold_until": None}
            if news.kind is NewsKind.VERIFICATION:
                if stream.asked_at is not None and now - stream.asked_at < VERIFICATION_INTERVAL:
                    raise RuleViolation("partner_verification_too_soon", "at most one verification in ten seconds")
                values["asked_at"] = now
            file_news(connection, stream_id, [news], now)
            connection.execute(update(_stream).where(_stream.c.stream_id == stream_id).values(values))

    def ready(
        self, stream_id: str, now: datetime, *, limit: int, only_stream: bool = False, untried: bool = False
    ) -> tuple[Delivery, ...]:
        chosen = first_of_cards(stream_id).where(_delivery.c.next_at <= now)
        if only_stream:
            chosen = chosen.where(_delivery.c.kind.in_(sorted(OF_STREAM)))
        order = (_delivery.c.result != "", _delivery.c.updated_at) if untried else ()
        with self._reading() as connection:
            return many(connection, Delivery, chosen.order_by(*order, _delivery.c.number).limit(limit))

    def count_waiting(self, stream_id: str, most: int) -> int:
        with self._reading() as connection:
            return count_waiting(connection, stream_id, most)

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
            stream = locked(connection, delivery.stream_id)
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
                    .where(_delivery.c.stream_id == stream.stream_id, WAITING, _delivery.c.result != "")
                    .where(_delivery.c.number != delivery.number)
                    .values(next_at=now)
                )
            if news is not None:
                file_news(connection, stream.stream_id, [news], now)

    def waiting(self, stream_id: str, limit: int) -> tuple[Delivery, ...]:
        chosen = select(_delivery).where(_delivery.c.stream_id == stream_id, WAITING)
        with self._reading() as connection:
            return many(connection, Delivery, chosen.order_by(_delivery.c.number).limit(limit))

    def settle(self, stream_id: str, results: Mapping[str, tuple[DeliveryState, str]], now: datetime) -> int:
        groups: dict[tuple[DeliveryState, str], list[str]] = {}
        for event_id, outcome in results.items():
            groups.setdefault(outcome, []).append(event_id)
        settled = 0
        with self._writing() as connection:
            locked(connection, stream_id)
            for (state, result), event_ids in groups.items():
                this = (_delivery.c.stream_id == stream_id, _delivery.c.event_id.in_(event_ids), WAITING)
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
            locked(connection, stream_id)
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
            waiting = connection.scalar(select(func.min(_delivery.c.seq)).where(WAITING, _delivery.c.seq > 0, of_live))
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
