"""What happens to a card after it was registered: port `Changes`.

One transaction moves the card, derives the status entries of its credentials, and writes the outbox row. The card's
row lock puts its changes in one order (`ecard_issuer.change_order`); the event table remembers what was applied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, and_, delete, func, select, update

from ecard_card.errors import Conflict, RuleViolation
from ecard_card.status import ALLOWED_CHANGES, CardChange, CardStatus, EcardStatus
from ecard_issuer.change_order import OWN, Past, Reported, card_after, is_echo, next_event
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, fixed, insert_new, lock_card, many, one, set_entries
from ecard_issuer.register.sql_enrolments import proven_enrolment
from ecard_issuer.rows import BindingRow, CardEventRow, CardRow, ChangeResult, CredentialRow, EntryChange
from ecard_issuer.states import BindingState, CredentialState, OutboxKind

#: What a change may alter of a card's row.
CHANGING = ("status", "sequence", "updated_at", "holder_locked", "consented", "replacing")

_events, _binding, _directory = tables.card_event, tables.binding, tables.ecard_binding


class SqlChanges(Store):
    def apply_change(
        self,
        card_ref: str,
        change: CardChange,
        *,
        event_id: str,
        occurred_at: datetime,
        now: datetime,
        source: str = OWN,
        sequence: int | None = None,
        reason: str = "",
    ) -> ChangeResult:
        if change is CardChange.REPLACE:
            raise RuleViolation("replacement_needs_new_card", "say which card takes its place")
        reported = Reported(change, event_id, occurred_at, source, sequence, reason)
        with self._writing() as connection:
            return self._apply(connection, lock_card(connection, card_ref), reported, now)

    def replace_card(
        self,
        old_ref: str,
        new_ref: str,
        *,
        event_id: str,
        occurred_at: datetime,
        now: datetime,
        source: str = OWN,
        sequence: int | None = None,
        reason: str = "",
        enrolment_id: str | None = None,
    ) -> ChangeResult:
        if old_ref == new_ref:
            raise RuleViolation("replacement_needs_new_card", "a card cannot take its own place")
        reported = Reported(CardChange.REPLACE, event_id, occurred_at, source, sequence, reason, new_ref)
        with self._writing() as connection:
            # In one order always, so that two replacements never wait for each other.
            cards = {ref: lock_card(connection, ref) for ref in sorted((old_ref, new_ref))}
            old, new = cards[old_ref], cards[new_ref]
            return self._replace(connection, old, new, reported, enrolment_id, now)

    def _apply(self, connection: Connection, card: CardRow, reported: Reported, now: datetime) -> ChangeResult:
        """Apply a change to a locked card."""
        event = next_event(card, reported, _past(connection, card.card_ref, reported), now)
        if isinstance(event, ChangeResult):
            return event
        result = self._record(connection, card, event, now)
        if event.status is CardStatus.CANCELLED and not card.replacing:
            end_binding(connection, card.card_ref, now)
        return result

    def _replace(
        self,
        connection: Connection,
        old: CardRow,
        new: CardRow,
        reported: Reported,
        enrolment_id: str | None,
        now: datetime,
        *,
        new_holder: str | None = None,
    ) -> ChangeResult:
        """Replace a locked card by another locked one, of the same holder or of `new_holder`."""
        event = next_event(old, reported, _past(connection, old.card_ref, reported), now)
        if isinstance(event, ChangeResult):
            return event
        if is_echo(old, event):
            return self._record(connection, old, event, now)
        if new.holder_ref != (new_holder or old.holder_ref):
            raise RuleViolation("replacement_of_other_holder", "the new card belongs to another person")
        if new.status is CardStatus.CANCELLED:
            raise RuleViolation("replacement_by_cancelled_card", "the new card is cancelled")
        result = self._record(connection, old, event, now)
        ended = end_binding(connection, old.card_ref, now)
        if ended is not None:
            self._rebind(connection, ended, new.card_ref, enrolment_id, now)
            if old.holder_locked:  # it is the e-card that they shut
                moved = tables.card.c.card_ref == new.card_ref
                connection.execute(update(tables.card).where(moved).values(holder_locked=True))
        return result

    def _record(self, connection: Connection, card: CardRow, event: CardEventRow, now: datetime) -> ChangeResult:
        """Apply an event to the card: its row, its credentials' entries, its history, its outbox."""
        cards, credential = tables.card, tables.credential
        after = card_after(card, event)
        changes = {name: getattr(after, name) for name in CHANGING}
        connection.execute(update(cards).where(cards.c.card_ref == card.card_ref).values(changes))
        connection.execute(_events.insert().values(columns(event)))
        of_card = (credential.c.card_ref == card.card_ref, credential.c.state == fixed(CredentialState.LIVE))
        live = many(connection, CredentialRow, select(credential).where(*of_card))
        value = self._effect(after, now)
        wanted = [] if is_echo(card, event) else [EntryChange(item.list_id, item.index, value) for item in live]
        changed = set_entries(connection, wanted)
        if value is EcardStatus.INVALID:
            connection.execute(update(credential).where(*of_card).values(state=CredentialState.ENDED))
        ids = {(item.list_id, item.index): item.credential_id.hex() for item in live}
        body = status_body(event, changed, ids, value)
        self._post(connection, card.card_ref, OutboxKind.STATUS, body, now)
        return ChangeResult(applied=True, event=event, entries=changed)

    def _rebind(
        self, connection: Connection, ended: BindingRow, new_ref: str, enrolment_id: str | None, now: datetime
    ) -> None:
        """Move an e-card to its new chip: live with a proof of that chip, else awaiting one."""
        moved = replace(ended, card_ref=new_ref, state=BindingState.AWAITING, plan_id=None, created_at=now)
        if enrolment_id is not None:
            proof = proven_enrolment(connection, enrolment_id, new_ref, now)
            if proof.assurance is not None and proof.evidence is not None:
                moved = replace(moved, state=BindingState.LIVE, assurance=proof.assurance, evidence=proof.evidence)
        if not insert_new(connection, _binding, **columns(moved)):
            raise Conflict("chip_already_bound", "the new chip has an e-card")
        connection.execute(
            update(_directory)
            .where(_directory.c.ecard_id == ended.ecard_id, _directory.c.card_ref == ended.card_ref)
            .values(card_ref=new_ref)
        )
        body = {"ecard_id": ended.ecard_id, "state": moved.state.value}
        self._post(connection, new_ref, OutboxKind.REBOUND, body, now)


def _past(connection: Connection, card_ref: str, reported: Reported) -> Past:
    """What bears on a report, of a card that is locked: read by the event table's keys alone."""
    of_card = _events.c.card_ref == card_ref
    of_source = (of_card, _events.c.source == reported.source)
    numbers = _events.c.source_sequence
    same = one(connection, CardEventRow, select(_events).where(*of_source, _events.c.event_id == reported.event_id))
    last = 0
    if reported.sequence is not None:
        if same is None:
            numbered = select(_events).where(*of_source, numbers == reported.sequence)
            same = one(connection, CardEventRow, numbered)
        last = connection.scalar(select(func.max(numbers)).where(*of_source)) or 0
    others = and_(of_card, _events.c.change.in_(ALLOWED_CHANGES))
    if reported.sequence is not None:
        others = and_(others, _events.c.source != reported.source)
    return Past(
        same,
        last,
        connection.scalar(select(func.max(_events.c.occurred_at)).where(others)),
        connection.scalar(select(_events.c.successor).where(of_card, _events.c.successor.is_not(None)).limit(1)),
    )


def status_body(
    event: CardEventRow, changed: Iterable[EntryChange], ids: Mapping[tuple[int, int], str], ecard: EcardStatus
) -> dict[str, object]:
    """The body of a `status` outbox row. `ids` are credential ids by list and index; `ecard` is what the card makes of
    its e-card from now on, so that whoever is told later is told what was true then."""
    return {
        "change": event.change.value,
        "previous": int(event.previous),
        "status": int(event.status),
        "ecard_status": int(ecard),
        "sequence": event.sequence,
        "occurred_at": int(event.occurred_at.timestamp()),
        "entries": [
            {
                "credential_id": ids[entry.list_id, entry.index],
                "list_id": entry.list_id,
                "index": entry.index,
                "value": int(entry.value),
            }
            for entry in changed
        ],
    }


def end_binding(connection: Connection, card_ref: str, now: datetime) -> BindingRow | None:
    """Move a card's binding into history. A reserved one stays for its plan, which can now only be voided."""
    bound = one(connection, BindingRow, select(_binding).where(_binding.c.card_ref == card_ref))
    if bound is None or bound.state is BindingState.RESERVED:
        return None
    connection.execute(delete(_binding).where(_binding.c.card_ref == card_ref))
    connection.execute(
        tables.binding_history.insert().values(
            card_ref=card_ref,
            ecard_id=bound.ecard_id,
            ended_at=now,
            assurance=bound.assurance,
            evidence=bound.evidence,
            created_at=bound.created_at,
        )
    )
    return bound
