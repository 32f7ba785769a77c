"""Reading the truth behind status entries page by page, and setting one right. Port `Truth` of `rebuild`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, select, tuple_, update

from ecard_card.errors import NotFound
from ecard_card.status import CardChange, EcardStatus
from ecard_issuer.publishing.truth import Entry, Owner, worth
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, insert_new, lock_card, many, one, set_entries
from ecard_issuer.rows import CardRow, EntryChange
from ecard_issuer.states import CredentialState, OutboxKind, PlanState

_entries, _plans, _credentials, _cards = tables.status_entry, tables.plan, tables.credential, tables.card
#: What a verifier is told of a repaired entry: the change that leads there.
_CHANGE = {
    EcardStatus.VALID: CardChange.RELEASE,
    EcardStatus.SUSPENDED: CardChange.LOCK,
    EcardStatus.INVALID: CardChange.CANCEL,
}


class SqlTruth(Store):
    """Implements `Truth`."""

    def entries(self, list_id: int, after: int, limit: int) -> tuple[Entry, ...]:
        page = select(_entries).where(_entries.c.list_id == list_id, _entries.c.index > after)
        with self._reading() as connection:
            return many(connection, Entry, page.order_by(_entries.c.index).limit(limit))

    def worth_of(self, entries: Sequence[Entry], now: datetime) -> list[EcardStatus]:
        with self._reading() as connection:
            return self._worth(connection, entries, now)

    def lost_entries(self, after: tuple[str, str], limit: int) -> tuple[tuple[Entry, ...], tuple[str, str] | None]:
        page = (
            select(_plans.c.card_ref, _plans.c.plan_id, _plans.c.list_id, _plans.c.index)
            .where(tuple_(_plans.c.card_ref, _plans.c.plan_id) > after)
            .order_by(_plans.c.card_ref, _plans.c.plan_id)
            .limit(limit)
        )
        with self._reading() as connection:
            plans = [Entry(place, index, card, plan, None) for card, plan, place, index in connection.execute(page)]
            held = set[Entry]()
            for list_id in sorted({plan.list_id for plan in plans}):
                found = connection.execute(
                    select(_entries.c.index, _entries.c.card_ref, _entries.c.plan_id).where(
                        _entries.c.list_id == list_id,
                        _entries.c.index.in_([plan.index for plan in plans if plan.list_id == list_id]),
                    )
                )
                held |= {Entry(list_id, index, card, plan, None) for index, card, plan in found}
        lost = tuple(plan for plan in plans if plan not in held)
        return lost, (plans[-1].card_ref, plans[-1].plan_id) if len(plans) == limit else None

    def looked_at_again(self, entry: Entry, now: datetime, *, repair: bool) -> tuple[EcardStatus | None, EcardStatus]:
        with self._writing() as connection:
            has_card = self._lock(connection, entry)
            stored = one(
                connection,
                Entry,
                select(_entries).where(_entries.c.list_id == entry.list_id, _entries.c.index == entry.index),
            )
            current = replace(entry, value=None) if stored is None else stored
            (value,) = self._worth(connection, [current], now)
            found = current.value
            own = (current.card_ref, current.plan_id) == (entry.card_ref, entry.plan_id)
            if repair and own and found != value and found is not EcardStatus.INVALID:
                self._repair(connection, current, value, has_card, now)
            return found, value

    def _repair(self, connection: Connection, entry: Entry, value: EcardStatus, has_card: bool, now: datetime) -> None:
        if entry.value is None:
            insert_new(
                connection,
                _entries,
                list_id=entry.list_id,
                index=entry.index,
                card_ref=entry.card_ref,
                plan_id=entry.plan_id,
                credential_id=None,
                value=EcardStatus.VALID,
            )
        set_entries(connection, [EntryChange(entry.list_id, entry.index, value)])
        lists = tables.status_list
        version = connection.execute(
            update(lists)
            .where(lists.c.list_id == entry.list_id)
            .values(version=lists.c.version + 1)
            .returning(lists.c.version)
        ).scalar_one()
        place = {"list_id": entry.list_id, "index": entry.index, "value": int(value)}
        body = {"change": _CHANGE[value].value, "sequence": 0, "entries": [place]}
        if has_card:
            self._post(connection, entry.card_ref, OutboxKind.STATUS, body, now)
        else:
            self._put_outbox(connection, f"repair/{entry.list_id}", version, OutboxKind.STATUS, body, now)

    @staticmethod
    def _lock(connection: Connection, entry: Entry) -> bool:
        """Whether there is a card, which nobody else changes now."""
        try:
            lock_card(connection, entry.card_ref)
        except NotFound:
            return False
        return True

    def _worth(self, connection: Connection, entries: Sequence[Entry], now: datetime) -> list[EcardStatus]:
        refs = sorted({entry.card_ref for entry in entries if not entry.is_decoy})
        plans: dict[tuple[str, str, int, int], PlanState] = {
            (card, plan, list_id, index): state
            for card, plan, list_id, index, state in connection.execute(
                select(_plans.c.card_ref, _plans.c.plan_id, _plans.c.list_id, _plans.c.index, _plans.c.state).where(
                    _plans.c.card_ref.in_(refs)
                )
            )
        }
        credentials: dict[tuple[str, int, int], CredentialState] = {
            (card, list_id, index): state
            for card, list_id, index, state in connection.execute(
                select(
                    _credentials.c.card_ref, _credentials.c.list_id, _credentials.c.index, _credentials.c.state
                ).where(_credentials.c.card_ref.in_(refs))
            )
        }
        cards = {
            row.card_ref: row for row in many(connection, CardRow, select(_cards).where(_cards.c.card_ref.in_(refs)))
        }
        return [
            worth(
                entry,
                Owner(
                    plans.get((entry.card_ref, entry.plan_id, entry.list_id, entry.index)),
                    credentials.get((entry.card_ref, entry.list_id, entry.index)),
                    cards.get(entry.card_ref),
                ),
                self._policy_of,
                now,
            )
            for entry in entries
        ]
