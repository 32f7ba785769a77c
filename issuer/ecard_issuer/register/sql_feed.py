"""The outbox and the streams that verifiers follow: port `Feed`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, exists, or_, select, update

from ecard_card.errors import Conflict
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, insert_new, many
from ecard_issuer.register.sql_rows import insert_rows
from ecard_issuer.rows import FeedEntry, FeedRow, OutboxRow

_outbox, _feed, _head = tables.outbox, tables.feed, tables.feed_head


class SqlFeed(Store):
    def claim_outbox(self, now: datetime, *, lease: timedelta, limit: int = 100) -> tuple[OutboxRow, ...]:
        earlier = _outbox.alias("earlier")
        first_of_card = ~exists().where(
            earlier.c.card_ref == _outbox.c.card_ref,
            earlier.c.dispatched_at.is_(None),
            earlier.c.ordinal < _outbox.c.ordinal,
        )
        unclaimed = or_(_outbox.c.claimed_until.is_(None), _outbox.c.claimed_until <= now)
        waiting = (
            select(_outbox)
            .where(_outbox.c.dispatched_at.is_(None), unclaimed, first_of_card)
            .order_by(_outbox.c.outbox_id)
            .limit(limit)
            .with_for_update(of=_outbox, skip_locked=True)
        )
        with self._writing() as connection:
            claimed = many(connection, OutboxRow, waiting)
            if claimed:
                these = _these((row.card_ref, row.outbox_id) for row in claimed)
                connection.execute(update(_outbox).where(*these).values(claimed_until=now + lease))
        return claimed

    def oldest_pending(self) -> datetime | None:
        waiting = select(_outbox.c.created_at).where(_outbox.c.dispatched_at.is_(None))
        with self._reading() as connection:
            return connection.scalar(waiting.order_by(_outbox.c.outbox_id).limit(1))

    def append_feed(self, stream: str, after: int, entries: Sequence[FeedEntry], now: datetime) -> tuple[FeedRow, ...]:
        parts: dict[tuple[str, str], int] = {}
        rows, values = [], []
        for seq, entry in enumerate(entries, start=after + 1):
            source = (entry.card_ref, entry.outbox_id)
            parts[source] = part = parts.get(source, -1) + 1
            rows.append(FeedRow(stream, seq, entry.outbox_id, entry.token, now, entry.card_ref))
            values.append(
                {
                    "stream": stream,
                    "seq": seq,
                    "outbox_id": entry.outbox_id,
                    "part": part,
                    "token": entry.token,
                    "created_at": now,
                    "card_ref": entry.card_ref,
                }
            )
        if not rows:
            return ()
        with self._writing() as connection:
            insert_new(connection, _head, stream=stream, seq=0)
            # The head's lock makes the order of numbers the order of commits: a reader never sees a gap fill up.
            head = connection.execute(
                select(_head.c.seq).where(_head.c.stream == stream).with_for_update()
            ).scalar_one()
            if head != after:
                raise Conflict("feed_moved", "the stream's head is not where these events begin")
            settled = connection.execute(
                update(_outbox).where(*_these(parts), _outbox.c.dispatched_at.is_(None)).values(dispatched_at=now)
            )
            if settled.rowcount != len(parts):
                raise Conflict("outbox_settled", "another worker has dispatched this already")
            insert_rows(connection, _feed, values)
            connection.execute(update(_head).where(_head.c.stream == stream).values(seq=rows[-1].seq))
        return tuple(rows)

    def read_feed(self, stream: str, after: int = 0, limit: int = 1000) -> tuple[FeedRow, ...]:
        if after >= 2**63:
            return ()
        with self._reading() as connection:
            return many(
                connection,
                FeedRow,
                select(_feed).where(_feed.c.stream == stream, _feed.c.seq > after).order_by(_feed.c.seq).limit(limit),
            )

    def feed_head(self, stream: str) -> int:
        with self._reading() as connection:
            return connection.scalar(select(_head.c.seq).where(_head.c.stream == stream)) or 0


def _these(rows: Iterable[tuple[str, str]]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Outbox rows by card and id. An id is one row's: the cards only lead to where it is kept."""
    refs, ids = zip(*rows, strict=True)
    return _outbox.c.card_ref.in_(sorted(set(refs))), _outbox.c.outbox_id.in_(ids)
