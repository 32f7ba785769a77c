"""The changes that news are made from, read from the register: port `NewsSource`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import literal, select, tuple_

from ecard_issuer.partners.store import FeedPlace
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, many, one
from ecard_issuer.rows import OutboxRow
from ecard_verifier.feed import STREAM

_feed, _outbox, _card, _event = tables.feed, tables.outbox, tables.card, tables.card_event


class SqlNewsSource(Store):
    def head(self) -> int:
        with self._reading() as connection:
            return connection.scalar(select(tables.feed_head.c.seq).where(tables.feed_head.c.stream == STREAM)) or 0

    def places(self, after: int, limit: int) -> tuple[FeedPlace, ...]:
        chosen = (
            select(_feed.c.seq, _feed.c.card_ref, _feed.c.outbox_id)
            .where(_feed.c.stream == STREAM, _feed.c.seq > after, _feed.c.part == 0)
            .order_by(_feed.c.seq)
            .limit(limit)
        )
        with self._reading() as connection:
            return tuple(FeedPlace(seq, ref or "", outbox_id) for seq, ref, outbox_id in connection.execute(chosen))

    def rows(self, places: Sequence[FeedPlace]) -> Mapping[str, OutboxRow]:
        if not places:
            return {}
        named = tuple_(_outbox.c.card_ref, _outbox.c.outbox_id).in_(
            [(item.card_ref, item.outbox_id) for item in places]
        )
        with self._reading() as connection:
            return {row.outbox_id: row for row in many(connection, OutboxRow, select(_outbox).where(named))}

    def row(self, card_ref: str, outbox_id: str) -> OutboxRow | None:
        this = select(_outbox).where(_outbox.c.card_ref == card_ref, _outbox.c.outbox_id == outbox_id)
        with self._reading() as connection:
            return one(connection, OutboxRow, this)

    def regions(self, card_refs: Collection[str]) -> Mapping[str, str]:
        if not card_refs:
            return {}
        chosen = select(_card.c.card_ref, _card.c.region).where(_card.c.card_ref.in_(sorted(card_refs)))
        with self._reading() as connection:
            return {card_ref: region for card_ref, region in connection.execute(chosen)}

    def successor(self, card_ref: str, sequence: int) -> str | None:
        chosen = select(_event.c.successor).where(_event.c.card_ref == card_ref, _event.c.sequence == sequence)
        with self._reading() as connection:
            return connection.scalar(chosen)

    def on_its_way(self, card_ref: str) -> bool:
        """Whether something that is told of a card is not in the feed yet."""
        waiting = select(literal(1)).where(_outbox.c.card_ref == card_ref, _outbox.c.dispatched_at.is_(None))
        with self._reading() as connection:
            return connection.scalar(waiting.limit(1)) is not None

    def card_of_credential(self, credential_id: bytes) -> str | None:
        directory = tables.credential_directory
        with self._reading() as connection:
            return connection.scalar(select(directory.c.card_ref).where(directory.c.credential_id == credential_id))
