"""The logs of channels in the register's database: port `EventLog`.

The row in `channel_log` is the lock of a channel's numbers; several channels are locked in the order of their ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, func, not_, select, update

from ecard_issuer.channel_events.values import ChannelEvent, Told
from ecard_issuer.partners.streams import Stream, StreamStatus
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, insert_new, many, one

_event, _log, _place, _stream = (
    tables.channel_event,
    tables.channel_log,
    tables.channel_feed_place,
    tables.partner_stream,
)
_FEED: Final = "feed"


class SqlEventLog(Store):
    def place(self, head: int) -> int:
        where = _place.c.name == _FEED
        with self._reading() as connection:
            found: int | None = connection.scalar(select(_place.c.cursor).where(where))
        if found is not None:
            return found
        with self._writing() as connection:
            insert_new(connection, _place, name=_FEED, cursor=head)
            settled: int = connection.execute(select(_place.c.cursor).where(where)).scalar_one()
            return settled

    def append(self, told: Sequence[Told], now: datetime, moved: tuple[int, int] | None) -> int | None:
        with self._writing() as connection:
            if moved is not None:
                before, after = moved
                this = (_place.c.name == _FEED, _place.c.cursor == before)
                if connection.execute(update(_place).where(*this).values(cursor=after)).rowcount != 1:
                    return None
            return sum(
                _append(connection, app_id, [item for item in told if item.app_id == app_id], now)
                for app_id in sorted({item.app_id for item in told})
            )

    def head(self, app_id: str) -> int:
        with self._reading() as connection:
            return connection.scalar(select(_log.c.numbered).where(_log.c.app_id == app_id)) or 0

    def since(self, app_id: str, after: int, limit: int) -> tuple[ChannelEvent, ...]:
        chosen = select(_event).where(_event.c.app_id == app_id, _event.c.number > after)
        with self._reading() as connection:
            return many(connection, ChannelEvent, chosen.order_by(_event.c.number).limit(limit))

    def event(self, app_id: str, number: int) -> ChannelEvent | None:
        this = select(_event).where(_event.c.app_id == app_id, _event.c.number == number)
        with self._reading() as connection:
            return one(connection, ChannelEvent, this)

    def called(self, app_id: str, event_id: str) -> ChannelEvent | None:
        this = select(_event).where(_event.c.app_id == app_id, _event.c.event_id == event_id)
        with self._reading() as connection:
            return one(connection, ChannelEvent, this)

    def oldest(self, app_id: str) -> int | None:
        with self._reading() as connection:
            first: int | None = connection.scalar(select(func.min(_event.c.number)).where(_event.c.app_id == app_id))
            return first

    def behind(self, limit: int) -> tuple[Stream, ...]:
        chosen = (
            select(_stream)
            .join(_log, _log.c.app_id == _stream.c.partner)
            .where(
                _stream.c.of_channel.is_not(None),
                _stream.c.status == StreamStatus.ENABLED,
                not_(_stream.c.full),
                _stream.c.cursor < _log.c.numbered,
            )
            .order_by(_stream.c.updated_at, _stream.c.stream_id)
            .limit(limit)
        )
        with self._reading() as connection:
            return many(connection, Stream, chosen)

    def purge(self, before: datetime, limit: int) -> int:
        old = select(_event.c.app_id, _event.c.number).where(_event.c.recorded_at < before)
        with self._writing() as connection:
            places = connection.execute(old.order_by(_event.c.recorded_at).limit(limit)).all()
            for app_id, number in places:
                connection.execute(delete(_event).where(_event.c.app_id == app_id, _event.c.number == number))
        return len(places)


def _append(connection: Connection, app_id: str, told: Sequence[Told], now: datetime) -> int:
    insert_new(connection, _log, app_id=app_id, numbered=0)
    where = _log.c.app_id == app_id
    last = connection.execute(select(_log.c.numbered).where(where).with_for_update()).scalar_one()
    ids = [item.event_id for item in told]
    known = set(
        connection.scalars(select(_event.c.event_id).where(_event.c.app_id == app_id, _event.c.event_id.in_(ids)))
    )
    fresh = list({item.event_id: item for item in told if item.event_id not in known}.values())
    if fresh:
        rows = [asdict(item) | {"number": number, "recorded_at": now} for number, item in enumerate(fresh, last + 1)]
        connection.execute(_event.insert(), rows)
        connection.execute(update(_log).where(where).values(numbered=last + len(fresh)))
    return len(fresh)
