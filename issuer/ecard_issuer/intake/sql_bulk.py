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
from ecard_card.status import ALLOWED_CHANGES, CardChange
from ecard_issuer.change_order import Past, Reported, card_after, next_event
from ecard_issuer.intake.ports import CheckpointOf
from ecard_issuer.intake.sql_records import put_run
from ecard_issuer.privacy.values import key_mark
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, fixed, many
from ecard_issuer.register.sql_changes import CHANGING, status_body
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
                (card, base) for card, holder, base in batch if own_key.get(card.holder_ref) == holder.wrapped_data_key
            ]
            # In the order of keys: two batches never wait for each other, and neighbours go into one page.
            rows = sorted(
                (columns(card) | {"outbox_count": 0, "expiry_due": card.expires_on} for card, _ in usable),
                key=itemgetter("card_ref"),
            )
            new = _insert_new(connection, tables.card, rows, tables.card.c.card_ref)
            robbed = _take_keys(connection, [card for card, _ in usable if card.card_ref in new])
            bases = [columns(base) for _, base in usable if base and base.card_ref in new - robbed]
            if bases:
                connection.execute(tables.card_event.insert(), bases)
            outcomes: list[str] = []
            seen: set[str] = set()
            for card, holder, _ in batch:
                if own_key.get(card.holder_ref) != holder.wrapped_data_key:
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
                if card is None or card_ref in told or reported.change is CardChange.REPLACE:
                    outcomes.append(None)
                    continue
                try:
                    event = next_event(card, reported, _past(past[card_ref], reported), now)
                except EcardError as refused:
                    outcomes.append(refused)
                else:
                    outcomes.append(event if isinstance(event, ChangeResult) else ChangeResult(True, event))
            applied = [item.event for item in outcomes if isinstance(item, ChangeResult) and item.applied]
            self._record_all(connection, [(card_after(cards[event.card_ref], event), event) for event in applied], now)
            if (run := checkpoint(outcomes)) is not None:
                put_run(connection, run)
        return tuple(outcomes)

    def _record_all(
        self, connection: Connection, applied: Sequence[tuple[CardRow, CardEventRow]], now: datetime
    ) -> None:
        """Cards as they are after their events, history and outbox, each in one statement for all. None of these cards
        has a credential."""
        if not applied:
            return
        cards = tables.card
        connection.execute(
            update(cards)
            .where(cards.c.card_ref == bindparam("of_card"))
            .values(
                {name: bindparam(f"new_{name}", type_=cards.c[name].type) for name in CHANGING}
                | {"outbox_count": cards.c.outbox_count + 1}
            ),
            [
                {"of_card": after.card_ref} | {f"new_{name}": getattr(after, name) for name in CHANGING}
                for after, _ in applied
            ],
        )
        connection.execute(tables.card_event.insert(), [columns(event) for _, event in applied])
        ordinals = _ordinals(connection, [event.card_ref for _, event in applied])
        stamp = f"{int(now.timestamp() * 1000):012x}"
        connection.execute(
            tables.outbox.insert(),
            [
                {
                    "card_ref": event.card_ref,
                    "outbox_id": f"{stamp}{self._random(10).hex()}",
                    "ordinal": ordinals[event.card_ref],
                    "kind": OutboxKind.STATUS,
                    "body": status_body(event, (), {}, self._effect(after, now)),
                    "created_at": now,
                }
                for after, event in applied
            ],
        )


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
    """Insert those that are new; the data key, wrapped, under which each of them now stands, empty for a key that was
    destroyed when the person was erased a moment ago."""
    refs = sorted(holders)  # in one order, so that two batches never wait for each other
    rows = tables.holder
    new = _insert_new(connection, tables.holder, [columns(holders[ref]) for ref in refs], tables.holder.c.holder_ref)
    destroyed = _destroyed(connection, {ref: key_mark(holders[ref].wrapped_data_key) for ref in new})
    for part in _slices(sorted(destroyed)):
        connection.execute(delete(rows).where(rows.c.holder_ref.in_(part)))
    keys = {ref: b"" if ref in destroyed else holders[ref].wrapped_data_key for ref in new}
    for part in _slices([ref for ref in refs if ref not in new]):
        stored = select(rows.c.holder_ref, rows.c.wrapped_data_key).where(rows.c.holder_ref.in_(part))
        # Shared with others who enter cards, and not with whoever erases a person.
        locked = stored.order_by(rows.c.holder_ref).with_for_update(read=True)
        keys.update({ref: key for ref, key in connection.execute(locked)})
    return keys


def _destroyed(connection: Connection, marks: Mapping[str, str]) -> set[str]:
    """Persons, by reference, whose data key of that mark was destroyed."""
    erased = tables.erased_person
    return {
        ref
        for part in _slices(sorted(marks))
        for ref, mark in connection.execute(
            select(erased.c.former_ref, erased.c.key_mark).where(erased.c.former_ref.in_(part))
        )
        if marks[ref] == mark
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
    last, others = 0, [event for event in events if event.change in ALLOWED_CHANGES]
    if reported.sequence is not None:
        same = same or next((event for event in own if event.source_sequence == reported.sequence), None)
        last = max((event.source_sequence or 0 for event in own), default=0)
        others = [event for event in others if event.source != reported.source]
    return Past(
        same,
        last,
        max((event.occurred_at for event in others), default=None),
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
