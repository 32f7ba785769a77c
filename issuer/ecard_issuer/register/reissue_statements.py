"""The statements of a re-issue, each for a whole batch whose cards are locked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, bindparam, update

from ecard_card.errors import Conflict
from ecard_card.status import EcardStatus
from ecard_issuer.register import tables
from ecard_issuer.register.sql import columns
from ecard_issuer.register.sql_rows import insert_free
from ecard_issuer.rows import CredentialRow, EntryChange, PlanRow, Successor
from ecard_issuer.states import BindingState, CredentialState, OutboxKind, PlanState

#: One outbox row to be: whose, of which kind, with which body.
News = tuple[str, OutboxKind, Mapping[str, object]]

_credentials, _plans = tables.credential, tables.plan


def proven_body(ecard_id: str) -> Mapping[str, object]:
    """Of a `REBOUND` row: the chip that an e-card had moved to was proven, so it can be shown again."""
    return {"ecard_id": ecard_id, "state": BindingState.LIVE.value, "proven": True}


def take_entries(connection: Connection, plans: Sequence[PlanRow]) -> None:
    """Take the status entries of all plans, or raise `Conflict` `status_index_taken` for the whole batch."""
    rows = [
        {
            "list_id": plan.list_id,
            "index": plan.index,
            "card_ref": plan.card_ref,
            "plan_id": plan.plan_id,
            "credential_id": None,
            "value": EcardStatus.VALID,
        }
        for plan in sorted(plans, key=lambda plan: (plan.list_id, plan.index))
    ]
    if len(insert_free(connection, tables.status_entry, rows)) != len(rows):
        raise Conflict("status_index_taken", "a status index of this batch was given out before")


def store(connection: Connection, kept: Sequence[Successor]) -> None:
    """Plans kept, credentials live, entries named, the old ones told of their successors."""
    entries = tables.status_entry
    connection.execute(
        update(_plans)
        .where(_plans.c.card_ref == bindparam("of_card"), _plans.c.plan_id == bindparam("of_plan"))
        .values(state=PlanState.COMMITTED),
        [{"of_card": item.plan.card_ref, "of_plan": item.plan.plan_id} for item in kept],
    )
    connection.execute(
        tables.credential_directory.insert(),
        [{"credential_id": item.plan.credential_id, "card_ref": item.plan.card_ref} for item in kept],
    )
    connection.execute(_credentials.insert(), [columns(item.credential) for item in kept])
    connection.execute(
        update(entries)
        .where(entries.c.list_id == bindparam("of_list"), entries.c.index == bindparam("of_index"))
        .values(credential_id=bindparam("new")),
        [{"of_list": item.plan.list_id, "of_index": item.plan.index, "new": item.plan.credential_id} for item in kept],
    )
    connection.execute(
        update(_credentials)
        .where(_credentials.c.card_ref == bindparam("of_card"), _credentials.c.credential_id == bindparam("of_old"))
        .values(replaced_by=bindparam("new")),
        [
            {"of_card": item.plan.card_ref, "of_old": item.plan.replaces, "new": item.plan.credential_id}
            for item in kept
        ],
    )


def end(connection: Connection, rows: Sequence[CredentialRow]) -> Sequence[CredentialRow]:
    """End them; what the status list and the followers are told of it is `ended_entries` and `ended_news`."""
    connection.execute(
        update(_credentials)
        .where(_credentials.c.card_ref == bindparam("of_card"), _credentials.c.credential_id == bindparam("of_old"))
        .values(state=CredentialState.ENDED),
        [{"of_card": row.card_ref, "of_old": row.credential_id} for row in rows],
    )
    return rows


def ended_entries(rows: Sequence[CredentialRow]) -> list[EntryChange]:
    """INVALID, for ever."""
    return [EntryChange(row.list_id, row.index, EcardStatus.INVALID) for row in rows]


def ended_news(rows: Sequence[CredentialRow]) -> list[News]:
    """One `ended` outbox row each."""
    value = int(EcardStatus.INVALID)
    return [
        (
            row.card_ref,
            OutboxKind.ENDED,
            {"credential_id": row.credential_id.hex(), "list_id": row.list_id, "index": row.index, "value": value},
        )
        for row in rows
    ]
