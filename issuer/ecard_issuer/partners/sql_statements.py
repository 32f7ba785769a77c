"""The statements that streams and deliveries share, each within somebody's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, exists, func, select, update

from ecard_card.errors import NotFound
from ecard_issuer.partners.store import Newcomer
from ecard_issuer.partners.streams import (
    DeliveryState,
    Method,
    News,
    Stream,
    StreamStatus,
)
from ecard_issuer.register import tables
from ecard_issuer.register.sql import columns, fixed, insert_new, one

_stream, _subject = tables.partner_stream, tables.partner_subject
_reference, _delivery = tables.partner_reference, tables.partner_delivery
#: A delivery that was neither made nor given up.
WAITING = _delivery.c.state == fixed(DeliveryState.WAITING)


def locked(connection: Connection, stream_id: str) -> Stream:
    """The stream, which nobody else changes until this transaction ends. Raises `NotFound` `partner_stream_unknown`."""
    stream = one(connection, Stream, select(_stream).where(_stream.c.stream_id == stream_id).with_for_update())
    if stream is None:
        raise NotFound("partner_stream_unknown", "no such stream")
    return stream


def count_waiting(connection: Connection, stream_id: str, most: int) -> int:
    """How many deliveries wait, counted to `most`."""
    some = select(_delivery.c.number).where(_delivery.c.stream_id == stream_id, WAITING).limit(most).subquery()
    return connection.scalar(select(func.count()).select_from(some)) or 0


def first_of_cards(stream_id: str) -> Any:
    """A query of what may be sent: of each card the first that waits."""
    earlier = _delivery.alias("earlier")
    return select(_delivery).where(
        _delivery.c.stream_id == stream_id,
        WAITING,
        ~exists().where(
            earlier.c.stream_id == _delivery.c.stream_id,
            earlier.c.card_ref == _delivery.c.card_ref,
            earlier.c.state == fixed(DeliveryState.WAITING),
            earlier.c.number < _delivery.c.number,
        ),
    )


def next_due(connection: Connection, stream: Stream) -> datetime | None:
    """When the stream has something to send; None: never, as it is."""
    if stream.method is Method.POLL or stream.status is not StreamStatus.ENABLED:
        return None
    first = first_of_cards(stream.stream_id).subquery()
    return connection.scalar(select(func.min(first.c.next_at)))


def file_news(connection: Connection, stream_id: str, news: Sequence[News], now: datetime) -> None:
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


def add_subject(connection: Connection, stream: Stream, card: Newcomer, since: int, now: datetime) -> bool:
    """Let a stream hear of a card from place `since` of the feed on; False where it does already."""
    insert_new(connection, _reference, reference=card.reference, partner=stream.partner, card_ref=card.card_ref)
    named = {"card_ref": card.card_ref, "stream_id": stream.stream_id}
    return insert_new(connection, _subject, **named, added_at=now, since=since)
