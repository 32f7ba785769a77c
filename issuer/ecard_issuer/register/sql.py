"""What the SQL adapters of the register share: rows to values and back, and the statements that several verbs need."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Insert,
    Select,
    Table,
    bindparam,
    delete,
    literal,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import BindParameter

from ecard_card.errors import Conflict, NotFound, RuleViolation
from ecard_card.status import EcardStatus
from ecard_issuer.card_effect import PolicyOf, card_effect, strict_everywhere
from ecard_issuer.register import tables
from ecard_issuer.register.engine import reading, writing
from ecard_issuer.rows import CardRow, CredentialRow, EntryChange, Grant
from ecard_issuer.states import ApprovalState, OutboxKind

Row = TypeVar("Row")


class Store:
    """An engine and the outside facts that verbs need: region policies, the size of new lists and how many are filled
    at once, the longest life of a credential, a random source."""

    def __init__(
        self,
        engine: Engine,
        *,
        policy_of: PolicyOf = strict_everywhere,
        list_size: int = 1 << 20,
        open_lists: int = 4,
        longest_life: timedelta = timedelta(days=3650),
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._engine = engine
        self._policy_of = policy_of
        self._list_size = list_size
        self._open_lists = open_lists
        self._longest_life = longest_life
        self._random = random

    @property
    def policy_of(self) -> PolicyOf:
        """The policy of a region at a time."""
        return self._policy_of

    def _reading(self) -> AbstractContextManager[Connection]:
        return reading(self._engine)

    def _writing(self) -> AbstractContextManager[Connection]:
        return writing(self._engine)

    def _effect(self, card: CardRow, now: datetime) -> EcardStatus:
        return card_effect(card, self._policy_of(card.region, now), now)

    def _post(
        self, connection: Connection, card_ref: str, kind: OutboxKind, body: Mapping[str, object], now: datetime
    ) -> None:
        """Write an outbox row of a card; its ordinal comes from the card's own row, which this locks."""
        ordinal = connection.execute(
            update(tables.card)
            .where(tables.card.c.card_ref == card_ref)
            .values(outbox_count=tables.card.c.outbox_count + 1)
            .returning(tables.card.c.outbox_count)
        ).scalar_one()
        self._put_outbox(connection, card_ref, ordinal, kind, body, now)

    def _put_outbox(
        self,
        connection: Connection,
        card_ref: str,
        ordinal: int,
        kind: OutboxKind,
        body: Mapping[str, object],
        now: datetime,
    ) -> None:
        connection.execute(
            tables.outbox.insert().values(
                card_ref=card_ref,
                outbox_id=f"{int(now.timestamp() * 1000):012x}{self._random(10).hex()}",
                ordinal=ordinal,
                kind=kind,
                body=dict(body),
                created_at=now,
            )
        )


def use_grant(connection: Connection, grant: Grant | None, now: datetime) -> None:
    """Use an approval up, in the transaction of the change that it was given for; without one nothing happens.

    Of two that hold the same approval one waits for the other here. Raises `RuleViolation` `approval_not_usable`.
    """
    if grant is None:
        return
    approval, directory = tables.approval, tables.open_approval
    used = connection.execute(
        update(approval)
        .where(
            approval.c.request_id == grant.request_id,
            approval.c.change_hash == grant.change_hash,
            approval.c.state == fixed(ApprovalState.APPROVED),
            approval.c.expires_at > now,
        )
        .values(state=ApprovalState.USED, closed_at=now)
    )
    if used.rowcount != 1:
        raise RuleViolation("approval_not_usable", "not approved, over, used before, or for another change")
    connection.execute(
        delete(directory).where(
            directory.c.change_hash == grant.change_hash, directory.c.request_id == grant.request_id
        )
    )


def fixed(value: StrEnum) -> BindParameter[StrEnum]:
    """A constant written into the statement, so that the planner can match a partial index."""
    return literal(value, literal_execute=True)


def columns(row: object) -> dict[str, Any]:
    """A frozen row as column values."""
    return {name: getattr(row, name) for name in _names(type(row))}  # type: ignore[arg-type]


def as_row(kind: type[Row], mapping: Mapping[Any, Any]) -> Row:
    """The columns of one result as a frozen row."""
    return kind(**{name: mapping[name] for name in _names(kind)})  # type: ignore[arg-type]


@lru_cache(maxsize=256)  # as many as there are kinds of rows
def _names(kind: type) -> tuple[str, ...]:
    return tuple(item.name for item in fields(kind))


def one(connection: Connection, kind: type[Row], statement: Select[Any], **values: object) -> Row | None:
    mapping = connection.execute(statement, values).mappings().one_or_none()
    return None if mapping is None else as_row(kind, mapping)


def many(connection: Connection, kind: type[Row], statement: Select[Any], **values: object) -> tuple[Row, ...]:
    return tuple(as_row(kind, mapping) for mapping in connection.execute(statement, values).mappings())


def among(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """`column` is one of a list that is given under this name when the statement runs: a statement that is made once
    costs half of one that is made each time."""
    return column.in_(bindparam(name, expanding=True))


def insert_new(connection: Connection, table: Table, **values: object) -> bool:
    """Insert unless a primary key or unique constraint is taken; False where it is.

    On PostgreSQL this waits for a rival that holds the same key and has not ended yet.
    """
    statement: Insert
    if connection.dialect.name == "sqlite":
        statement = sqlite.insert(table).values(values).on_conflict_do_nothing()
    else:
        statement = postgresql.insert(table).values(values).on_conflict_do_nothing()
    return connection.execute(statement.execution_options(preserve_rowcount=True)).rowcount == 1


def insert_all_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> bool:
    """Insert all of `rows`, or say False where a key of one is taken; the caller then gives the transaction up."""
    kind = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = kind(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
    return connection.execute(statement, [dict(row) for row in rows]).rowcount == len(rows)


def lock_card(connection: Connection, card_ref: str) -> CardRow:
    """The card, locked until the transaction ends. Whatever changes a card, its binding or a plan does this first."""
    card = one(
        connection,
        CardRow,
        select(tables.card).where(tables.card.c.card_ref == card_ref).with_for_update(key_share=True),
    )
    if card is None:
        raise NotFound("card_unknown", "no such card in the register")
    return card


def load_credential(connection: Connection, credential_id: bytes) -> CredentialRow | None:
    """The credential of this id, on whichever card."""
    directory, credential = tables.credential_directory, tables.credential
    card_ref = connection.scalar(select(directory.c.card_ref).where(directory.c.credential_id == credential_id))
    if card_ref is None:
        return None
    this = (credential.c.card_ref == card_ref, credential.c.credential_id == credential_id)
    return one(connection, CredentialRow, select(credential).where(*this))


def take_chip_key(connection: Connection, chip_key_ref: str, card_ref: str) -> None:
    """Enter a chip's key into the directory: one key belongs to one card."""
    keys = tables.chip_key
    if insert_new(connection, keys, chip_key_ref=chip_key_ref, card_ref=card_ref):
        return
    owner = connection.execute(select(keys.c.card_ref).where(keys.c.chip_key_ref == chip_key_ref)).scalar_one()
    if owner != card_ref:
        raise Conflict("chip_key_taken", "this chip key belongs to another card")


def set_entries(connection: Connection, wanted: Iterable[EntryChange]) -> tuple[EntryChange, ...]:
    """Set status entries and raise their lists' versions; INVALID stays. Returns those that did change.

    Once in a transaction, with the cards of all entries locked: lists are locked in the order of their numbers.
    """
    entries, lists = tables.status_entry, tables.status_list
    places: dict[tuple[int, EcardStatus], list[int]] = {}
    for entry in wanted:
        places.setdefault((entry.list_id, entry.value), []).append(entry.index)
    changed: list[EntryChange] = []
    for (list_id, value), indexes in sorted(places.items()):
        set_now = connection.scalars(
            update(entries)
            .where(
                entries.c.list_id == list_id,
                entries.c.index.in_(sorted(indexes)),
                entries.c.value != value,
                entries.c.value != EcardStatus.INVALID,
            )
            .values(value=value)
            .returning(entries.c.index)
        )
        changed += [EntryChange(list_id, index, value) for index in set_now]
    for list_id in sorted({entry.list_id for entry in changed}):
        connection.execute(update(lists).where(lists.c.list_id == list_id).values(version=lists.c.version + 1))
    return tuple(sorted(changed, key=lambda entry: (entry.list_id, entry.index)))
