"""Erasing people, recording exports, and what hangs on a card, on SQL: ports `Erasures`, `Exports`, `CardPapers`.

An erasure is one transaction. It locks the person's row, so that no card can be entered for them meanwhile, and all
their cards. A table that is spread by the reference has its rows copied and deleted, for a row cannot change its place
in a distributed database; elsewhere the reference is changed.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from sqlalchemy import ColumnElement, Connection, Engine, Table, delete, exc, exists, literal, or_, select, text, update

from ecard_card.errors import Conflict, RuleViolation
from ecard_card.status import CardStatus
from ecard_issuer.privacy.belongings import Belongings, belongings_of, end_links
from ecard_issuer.privacy.inventory import HOLDER_REFERENCES, INVENTORY, Kept
from ecard_issuer.privacy.values import ErasedPerson, ErasureRow, ExportRow, key_mark
from ecard_issuer.register import tables
from ecard_issuer.register.schema import metadata
from ecard_issuer.register.sql import Store, columns, fixed, insert_new, lock_card, many, one, use_grant
from ecard_issuer.rows import EnrolmentRow, Grant, HolderRow, PlanRow
from ecard_issuer.states import PlanState

_holder, _card, _plan, _enrolment = tables.holder, tables.card, tables.plan, tables.enrolment
_erasure, _erased, _export = tables.erasure, tables.erased_person, tables.subject_export
#: What PostgreSQL is asked to clean at once where somebody asks; else it does so in its own time.
_CLEANED: Final = tuple(name for name, kept in INVENTORY.items() if kept.sealed or kept.forgotten or kept.goes)


class SqlErasures(Store):
    """`inventory` and `references` are those of `ecard_issuer.privacy.inventory`."""

    def __init__(
        self,
        engine: Engine,
        inventory: Mapping[str, Kept] = INVENTORY,
        references: Collection[str] = HOLDER_REFERENCES,
    ) -> None:
        super().__init__(engine)
        self._inventory = inventory
        self._references = sorted(references)

    def find(self, erasure_id: str) -> ErasureRow | None:
        with self._reading() as connection:
            return one(connection, ErasureRow, select(_erasure).where(_erasure.c.erasure_id == erasure_id))

    def hindrance(self, holder_ref: str) -> str | None:
        with self._reading() as connection:
            return _hindrance(connection, _cards_of(connection, holder_ref), holder_ref)

    def erase(self, holder: HolderRow, tombstone_ref: str, row: ErasureRow, *, grant: Grant | None = None) -> None:
        person = ErasedPerson(holder.holder_ref, key_mark(holder.wrapped_data_key), row.erased_at)
        own = _holder.c.holder_ref == holder.holder_ref
        with self._writing() as connection:
            use_grant(connection, grant, row.erased_at)
            if not insert_new(connection, _erasure, **columns(row)):
                raise Conflict("erasure_id_taken", "an erasure of this id was done before")
            held = connection.scalar(select(_holder.c.wrapped_data_key).where(own).with_for_update())
            if held != holder.wrapped_data_key:
                raise Conflict("holder_changed", "erased in this moment, or stored anew")
            cards = _cards_of(connection, holder.holder_ref)
            for card_ref in cards:
                lock_card(connection, card_ref)
            match _hindrance(connection, cards, holder.holder_ref):
                case "cards":
                    raise RuleViolation("erasure_card_live", "a card of this person is not cancelled")
                case str(what):
                    raise RuleViolation("erasure_business_open", what)
            insert_new(connection, _erased, **columns(person))
            connection.execute(_holder.insert().values(holder_ref=tombstone_ref, wrapped_data_key=b"", sealed=b""))
            self._empty(connection, belongings_of(connection, holder.holder_ref, cards))
            end_links(connection, holder.holder_ref, row.erased_at)
            for card_ref in cards:  # the number on a card leads to nobody any more, and to no card
                forgotten = update(_card).where(_card.c.card_ref == card_ref)
                connection.execute(forgotten.values(number_mac=secrets.token_hex(16)))
            self._move(connection, holder.holder_ref, tombstone_ref)
            connection.execute(delete(_holder).where(own))

    def _empty(self, connection: Connection, belongings: Belongings) -> None:
        """Empty every sealed column of the person and their cards: nothing is left for a key that somebody kept. What
        goes and does not name the person goes now, while their cards are still theirs."""
        for table in reversed(metadata.sorted_tables):
            kept = self._inventory.get(table.name)
            mine = None if kept is None or table is _holder else belongings.rows(table, kept)
            if kept is None or mine is None:
                continue
            if kept.goes and not set(self._references) & set(table.c.keys()):
                connection.execute(delete(table).where(mine))
                continue
            for column in kept.sealed:
                sealed = table.c[column]
                connection.execute(update(table).where(mine, sealed.is_not(None)).values({column: b""}))
            if kept.forgotten:
                connection.execute(update(table).where(mine).values(dict.fromkeys(kept.forgotten, "")))

    def _move(self, connection: Connection, former: str, tombstone: str) -> None:
        """Let all that names the person name the tombstone, or go."""
        old: list[tuple[Table, ColumnElement[bool]]] = []
        for table in metadata.sorted_tables:
            kept = self._inventory.get(table.name)
            for name in self._references if table is not _holder else ():
                if name not in table.c:
                    continue
                mine = table.c[name] == former
                if kept is not None and kept.goes:
                    old.append((table, mine))
                elif table.info["distribution"] != name:
                    forgotten = dict.fromkeys(kept.forgotten if kept is not None else (), "")
                    connection.execute(update(table).where(mine).values({name: tombstone, **forgotten}))
                else:
                    values = [literal(tombstone) if column.name == name else column for column in table.c]
                    moved = select(*values).where(mine)
                    connection.execute(table.insert().from_select([column.name for column in table.c], moved))
                    old.append((table, mine))
        for table, mine in reversed(old):
            connection.execute(delete(table).where(mine))

    def scrub(self, *, whole: bool = False) -> bool:
        try:
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                if self._engine.dialect.name != "sqlite":
                    return whole and _vacuum(connection)
                raw = connection.connection.cursor()
                if whole:
                    raw.execute("VACUUM")
                busy, *_ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                return not busy
        except (exc.SQLAlchemyError, sqlite3.Error):
            return False  # what was to be done is done: only its traces are not gone yet

    def erased(self) -> tuple[ErasedPerson, ...]:
        with self._reading() as connection:
            return many(
                connection,
                ErasedPerson,
                select(_erased).where(_erased.c.former_ref > "").order_by(_erased.c.former_ref),
            )


class SqlExports(Store):
    def record(self, row: ExportRow) -> ExportRow:
        this = (_export.c.holder_ref == row.holder_ref, _export.c.export_id == row.export_id)
        with self._writing() as connection:
            insert_new(connection, _export, **columns(row))
            (stored,) = many(connection, ExportRow, select(_export).where(*this))
        return stored

    def of(self, holder_ref: str) -> tuple[ExportRow, ...]:
        own = select(_export).where(_export.c.holder_ref == holder_ref)
        with self._reading() as connection:
            return many(connection, ExportRow, own.order_by(_export.c.made_at, _export.c.export_id))


class SqlCardPapers(Store):
    def plans_of(self, card_ref: str) -> tuple[PlanRow, ...]:
        own = select(_plan).where(_plan.c.card_ref == card_ref)
        with self._reading() as connection:
            return many(connection, PlanRow, own.order_by(_plan.c.created_at, _plan.c.plan_id))

    def enrolments_of(self, card_ref: str) -> tuple[EnrolmentRow, ...]:
        own = select(_enrolment).where(_enrolment.c.card_ref == card_ref)
        with self._reading() as connection:
            return many(connection, EnrolmentRow, own.order_by(_enrolment.c.expires_at, _enrolment.c.enrolment_id))


def _vacuum(connection: Connection) -> bool:
    connection.execute(text("SET statement_timeout = 0"))  # of this connection, and not for others after us
    try:
        for name in _CLEANED:
            connection.execute(text(f"VACUUM {name}"))
    finally:
        connection.execute(text("RESET statement_timeout"))
    return True


def _cards_of(connection: Connection, holder_ref: str) -> list[str]:
    own = select(_card.c.card_ref).where(_card.c.holder_ref == holder_ref)
    return list(connection.scalars(own.order_by(_card.c.card_ref)))


def _hindrance(connection: Connection, cards: Sequence[str], holder_ref: str) -> str | None:
    unfinished = or_(_card.c.status != CardStatus.CANCELLED, _card.c.replacing)  # or a new one is being made
    live = exists().where(_card.c.holder_ref == holder_ref, unfinished)
    if connection.scalar(select(literal(1)).where(live)):
        return "cards"
    planned = exists().where(_plan.c.card_ref.in_(cards), _plan.c.state == fixed(PlanState.PLANNED))
    return "issuing" if connection.scalar(select(literal(1)).where(planned)) else None
