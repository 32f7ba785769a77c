"""What happens to a card after it was registered: port `Changes`.

One transaction moves the card, derives the status entries of its credentials, and writes the outbox row. The card's
row lock puts its changes in one order; the event table remembers what was applied.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from ecard_card.effective import effective_status
from ecard_card.errors import Conflict, InvalidInput, RuleViolation
from ecard_card.status import CardChange, CardStatus, EcardStatus, apply_change
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, fixed, insert_new, lock_card, many, one, set_entries
from ecard_issuer.register.sql_enrolments import proven_enrolment
from ecard_issuer.rows import BindingRow, CardEventRow, CardRow, ChangeResult, CredentialRow, EntryChange
from ecard_issuer.states import BindingState, CredentialState, OutboxKind

#: The largest per-card sequence number taken from a sender: exact in every JSON library.
MAX_SEQUENCE = 2**53 - 1
#: A sender that skips more numbers than this has lost count: taken at its word, it would shut out every later change.
MAX_MISSED = 1_000_000

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
        sequence: int | None = None,
        reason: str = "",
    ) -> ChangeResult:
        if change is CardChange.REPLACE:
            raise RuleViolation("replacement_needs_new_card", "say which card takes its place")
        with self._writing() as connection:
            card = lock_card(connection, card_ref)
            event = _next_event(connection, card, change, None, event_id, sequence, occurred_at, now, reason)
            if isinstance(event, ChangeResult):
                return event
            result = self._record(connection, card, event, now)
            if event.status is CardStatus.CANCELLED:
                _end_binding(connection, card_ref, now)
            return result

    def replace_card(
        self,
        old_ref: str,
        new_ref: str,
        *,
        event_id: str,
        occurred_at: datetime,
        now: datetime,
        sequence: int | None = None,
        reason: str = "",
        enrolment_id: str | None = None,
    ) -> ChangeResult:
        if old_ref == new_ref:
            raise RuleViolation("replacement_needs_new_card", "a card cannot take its own place")
        with self._writing() as connection:
            # In one order always, so that two replacements never wait for each other.
            cards = {ref: lock_card(connection, ref) for ref in sorted((old_ref, new_ref))}
            old, new = cards[old_ref], cards[new_ref]
            change = CardChange.REPLACE
            event = _next_event(connection, old, change, new_ref, event_id, sequence, occurred_at, now, reason)
            if isinstance(event, ChangeResult):
                return event
            if new.holder_ref != old.holder_ref:
                raise RuleViolation("replacement_of_other_holder", "the new card belongs to another person")
            if new.status is CardStatus.CANCELLED:
                raise RuleViolation("replacement_by_cancelled_card", "the new card is cancelled")
            result = self._record(connection, old, event, now)
            ended = _end_binding(connection, old_ref, now)
            if ended is not None:
                self._rebind(connection, ended, new_ref, enrolment_id, now)
            return result

    def _record(self, connection: Connection, card: CardRow, event: CardEventRow, now: datetime) -> ChangeResult:
        """Apply an event to the card: its row, its credentials' entries, its history, its outbox."""
        cards, credential = tables.card, tables.credential
        connection.execute(
            update(cards)
            .where(cards.c.card_ref == card.card_ref)
            .values(status=event.status, sequence=event.sequence, updated_at=now)
        )
        connection.execute(_events.insert().values(columns(event)))
        of_card = (credential.c.card_ref == card.card_ref, credential.c.state == fixed(CredentialState.LIVE))
        live = many(connection, CredentialRow, select(credential).where(*of_card))
        value = effective_status(event.status, policy=self._policy_of(card.region))
        changed = set_entries(connection, [EntryChange(item.list_id, item.index, value) for item in live])
        if value is EcardStatus.INVALID:
            connection.execute(update(credential).where(*of_card).values(state=CredentialState.ENDED))
        ids = {(item.list_id, item.index): item.credential_id.hex() for item in live}
        body = {
            "change": event.change.value,
            "previous": int(event.previous),
            "status": int(event.status),
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


def _next_event(
    connection: Connection,
    card: CardRow,
    change: CardChange,
    successor: str | None,
    event_id: str,
    sequence: int | None,
    occurred_at: datetime,
    now: datetime,
    reason: str,
) -> CardEventRow | ChangeResult:
    """The event to apply, or the result of the one that is repeated; raises as `Changes.apply_change` says."""
    if sequence is not None and not 1 <= sequence <= MAX_SEQUENCE:
        raise InvalidInput("bad_card_sequence", "a card's sequence number is at least 1 and below 2^53")
    of_card = select(_events).where(_events.c.card_ref == card.card_ref)
    before = one(connection, CardEventRow, of_card.where(_events.c.event_id == event_id))
    if before is None and sequence is not None:
        before = one(connection, CardEventRow, of_card.where(_events.c.sequence == sequence))
    if before is not None:
        same = (before.change, before.successor) == (change, successor) and sequence in (None, before.sequence)
        if not same:
            raise Conflict("card_event_differs", "this event id or sequence number was used for something else")
        return ChangeResult(applied=False, event=before)
    if sequence is None:
        sequence = card.sequence + 1
    elif sequence <= card.sequence:
        raise RuleViolation("card_change_superseded", "a newer change of this card was applied before")
    if sequence - card.sequence > MAX_MISSED or sequence > MAX_SEQUENCE:
        raise InvalidInput("bad_card_sequence", "the sequence number is too far ahead of the card's last one")
    return CardEventRow(
        card_ref=card.card_ref,
        sequence=sequence,
        event_id=event_id,
        change=change,
        previous=card.status,
        status=apply_change(card.status, change),
        missed=sequence - card.sequence - 1,
        occurred_at=occurred_at,
        recorded_at=now,
        reason=reason,
        successor=successor,
    )


def _end_binding(connection: Connection, card_ref: str, now: datetime) -> BindingRow | None:
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
