"""Many cards or changes in one transaction, with the checkpoint of their file: port `Bulk`.

Statements carry many rows; what a row may and may not do is decided by the same keys and rules as one at a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, Final, TypeVar

from sqlalchemy import Column, Connection, Table, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ecard_card.errors import EcardError
from ecard_issuer.change_order import Past, Reported, next_event
from ecard_issuer.intake.ports import CheckpointOf
from ecard_issuer.intake.sql_records import put_run
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, fixed, many
from ecard_issuer.rows import CardEventRow, CardRow, ChangeResult, HolderRow
from ecard_issuer.states import CredentialState, OutboxKind

#: Keys in one statement: below the fewest parameters that SQLite takes.
_SLICE: Final = 900
_PAGE: Final = 5000
_R = TypeVar("_R")


class SqlBulk(Store):
    def known_cards(self, card_refs: Sequence[str]) -> Mapping[str, CardRow]:
        with self._reading() as connection:
            found = _by_key(connection, CardRow, tables.card, tables.card.c.card_ref, card_refs)
        return {card.card_ref: card for card in found}

    def all_cards(self) -> Iterator[CardRow]:
        last = ""
        while True:
            with self._reading() as connection:
                card = tables.card
                page = many(
                    connection,
                    CardRow,
                    select(card).where(card.c.card_ref > last).order_by(card.c.card_ref).limit(_PAGE),
                )
            if not page:
                return
            yield from page
            last = page[-1].card_ref

    def known_holders(self, holder_refs: Sequence[str]) -> Mapping[str, HolderRow]:
        with self._reading() as connection:
            found = _by_key(connection, HolderRow, tables.holder, tables.holder.c.holder_ref, holder_refs)
        return {holder.holder_ref: holder for holder in found}

    def known_numbers(self, number_macs: Sequence[str]) -> Mapping[str, tuple[CardRow, ...]]:
        with self._reading() as connection:
            found = _by_key(connection, CardRow, tables.card, tables.card.c.number_mac, number_macs)
        cards: defaultdict[str, tuple[CardRow, ...]] = defaultdict(tuple)
        for card in found:
            cards[card.number_mac] += (card,)
        return cards

    def add_cards(
        self,
        batch: Sequence[tuple[CardRow, HolderRow, CardEventRow | None]],
        checkpoint: CheckpointOf = lambda outcomes: None,
    ) -> tuple[str, ...]:
        with self._writing() as connection:
            own_key = _take_holders(connection, {holder.holder_ref: holder for _, holder, _ in batch})
            usable = [
                (card, base) for card, holder, base in batch if own_key[card.holder_ref] == holder.wrapped_data_key
            ]
            # In the order of keys: two batches never wait for each other, and neighbours go into one page.
            rows = sorted((columns(card) | {"outbox_count": 0} for card, _ in usable), key=itemgetter("card_ref"))
            new = _insert_new(connection, tables.card, rows, tables.card.c.card_ref)
            robbed = _take_keys(connection, [card for card, _ in usable if card.card_ref in new])
            bases = [columns(base) for _, base in usable if base and base.card_ref in new - robbed]
            if bases:
                connection.execute(tables.card_event.insert(), bases)
            outcomes: list[str] = []
            seen: set[str] = set()
            for card, holder, _ in batch:
                if own_key[card.holder_ref] != holder.wrapped_data_key:
                    outcomes.append("holder_exists")
                elif card.card_ref not in new or card.card_ref in seen:
                    outcomes.append("card_exists")
                else:
                    outcomes.append("chip_key_taken" if card.card_ref in robbed else "registered")
                    seen.add(card.card_ref)
            if (run := checkpoint(outcomes)) is not None:
                put_run(connection, run)
        return tuple(outcomes)

    def apply_changes(
        self,
        batch: Sequence[tuple[str, Reported]],
        now: datetime,
        checkpoint: CheckpointOf = lambda outcomes: None,
    ) -> tuple[ChangeResult | EcardError | None, ...]:
        refs = sorted({card_ref for card_ref, _ in batch})
        if len(refs) != len(batch):
            raise ValueError("one change for each card")
        with self._writing() as connection:
            cards = {card.card_ref: card for card in _locked(connection, refs)}
            told = _with_credentials(connection, refs)
            past = _events(connection, refs)
            outcomes: list[ChangeResult | EcardError | None] = []
            for card_ref, reported in batch:
                card = cards.get(card_ref)
                if card is None or card_ref in told:
                    outcomes.append(None)
                    continue
                try:
                    event = next_event(card, reported, _past(past[card_ref], reported), now)
                except EcardError as refused:
                    outcomes.append(refused)
                else:
                    outcomes.append(event if isinstance(event, ChangeResult) else ChangeResult(True, event))
            self._record_all(connection, [item.event for item in outcomes if _applied(item)], now)  # type: ignore[union-attr]
            if (run := checkpoint(outcomes)) is not None:
                put_run(connection, run)
        return tuple(outcomes)

    def _record_all(self, connection: Connection, events: Sequence[CardEventRow], now: datetime) -> None:
        """Cards, history and outbox, each in one statement for all. None of these cards has a credential."""
        if not events:
            return
        cards = tables.card
        connection.execute(
            update(cards)
            .where(cards.c.card_ref == bindparam("of_card"))
            .values(
                status=bindparam("new_status"),
                sequence=bindparam("new_sequence"),
                updated_at=now,
                outbox_count=cards.c.outbox_count + 1,
            ),
            [{"of_card": e.card_ref, "new_status": e.status, "new_sequence": e.sequence} for e in events],
        )
        connection.execute(tables.card_event.insert(), [columns(event) for event in events])
        ordinals = _ordinals(connection, [event.card_ref for event in events])
        stamp = f"{int(now.timestamp() * 1000):012x}"
        connection.execute(
            tables.outbox.insert(),
            [
                {
                    "card_ref": event.card_ref,
                    "outbox_id": f"{stamp}{self._random(10).hex()}",
                    "ordinal": ordinals[event.card_ref],
                    "kind": OutboxKind.STATUS,
                    "body": {
                        "change": event.change.value,
                        "previous": int(event.previous),
                        "status": int(event.status),
                        "sequence": event.sequence,
                        "occurred_at": int(event.occurred_at.timestamp()),
                        "entries": [],
                    },
                    "created_at": now,
                }
                for event in events
            ],
        )


def _applied(item: object) -> bool:
    return isinstance(item, ChangeResult) and item.applied


def _slices(keys: Sequence[str]) -> Iterable[Sequence[str]]:
    return (keys[start : start + _SLICE] for start in range(0, len(keys), _SLICE))


def _by_key(connection: Connection, kind: type[_R], table: Table, column: Column[Any], keys: Sequence[str]) -> list[_R]:
    return [row for part in _slices(keys) for row in many(connection, kind, select(table).where(column.in_(part)))]


def _insert_new(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, object]], key: Column[Any]
) -> set[str]:
    """Insert those whose keys are free; the keys of those that were inserted."""
    if not rows:
        return set()
    kind = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = kind(table).on_conflict_do_nothing().returning(key)
    return set(connection.scalars(statement, [dict(row) for row in rows]))


def _take_holders(connection: Connection, holders: Mapping[str, HolderRow]) -> dict[str, bytes]:
    """Insert those that are new; the data key, wrapped, under which each of them now stands."""
    refs = sorted(holders)  # in one order, so that two batches never wait for each other
    new = _insert_new(connection, tables.holder, [columns(holders[ref]) for ref in refs], tables.holder.c.holder_ref)
    known = [ref for ref in refs if ref not in new]
    stored = _by_key(connection, HolderRow, tables.holder, tables.holder.c.holder_ref, known)
    return {ref: holders[ref].wrapped_data_key for ref in new} | {
        row.holder_ref: row.wrapped_data_key for row in stored
    }


def _take_keys(connection: Connection, cards: Sequence[CardRow]) -> set[str]:
    """Enter the chips' keys; cards whose key belongs to another card are taken out again and named."""
    keys = tables.chip_key
    wanted = {card.chip_key_ref: card.card_ref for card in reversed(cards) if card.chip_key_ref is not None}
    rows = [{"chip_key_ref": key, "card_ref": wanted[key]} for key in sorted(wanted)]
    taken = _insert_new(connection, keys, rows, keys.c.chip_key_ref)
    robbed = [
        card.card_ref
        for card in cards
        if card.chip_key_ref is not None
        and (card.chip_key_ref not in taken or wanted[card.chip_key_ref] != card.card_ref)
    ]
    for part in _slices(robbed):
        connection.execute(delete(tables.card).where(tables.card.c.card_ref.in_(part)))
    return set(robbed)


def _locked(connection: Connection, refs: Sequence[str]) -> list[CardRow]:
    card = tables.card
    return [
        row
        for part in _slices(refs)
        for row in many(
            connection,
            CardRow,
            select(card).where(card.c.card_ref.in_(part)).order_by(card.c.card_ref).with_for_update(key_share=True),
        )
    ]


def _with_credentials(connection: Connection, refs: Sequence[str]) -> set[str]:
    """Cards whose change reaches further than the card: those with an e-card, or one in the making."""
    credential, binding = tables.credential, tables.binding
    found: set[str] = set()
    for part in _slices(refs):
        live = credential.c.state == fixed(CredentialState.LIVE)
        found.update(connection.scalars(select(credential.c.card_ref).where(credential.c.card_ref.in_(part), live)))
        found.update(connection.scalars(select(binding.c.card_ref).where(binding.c.card_ref.in_(part))))
    return found


def _events(connection: Connection, refs: Sequence[str]) -> defaultdict[str, list[CardEventRow]]:
    events: defaultdict[str, list[CardEventRow]] = defaultdict(list)
    for event in _by_key(connection, CardEventRow, tables.card_event, tables.card_event.c.card_ref, refs):
        events[event.card_ref].append(event)
    return events


def _past(events: Sequence[CardEventRow], reported: Reported) -> Past:
    """What bears on a report, of all that was recorded of its card."""
    own = [event for event in events if event.source == reported.source]
    same = next((event for event in own if event.event_id == reported.event_id), None)
    same = same or next((event for event in own if event.source_sequence == reported.sequence), None)
    return Past(
        same,
        max((event.source_sequence or 0 for event in own), default=0),
        max((event.occurred_at for event in events if event.source != reported.source), default=None),
        next((event.successor for event in events if event.successor is not None), None),
    )


def _ordinals(connection: Connection, refs: Sequence[str]) -> dict[str, int]:
    card = tables.card
    return {
        ref: count
        for part in _slices(refs)
        for ref, count in connection.execute(
            select(card.c.card_ref, card.c.outbox_count).where(card.c.card_ref.in_(part))
        )
    }
