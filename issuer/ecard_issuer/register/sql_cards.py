"""Cards, holders, and what is known about a card: port `Cards`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select, update

from ecard_card.errors import Conflict, NotFound
from ecard_card.status import EcardStatus
from ecard_issuer.privacy.values import key_mark
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, insert_new, load_credential, many, one, take_chip_key
from ecard_issuer.rows import BindingRow, CardEventRow, CardRow, CredentialRow, EndedBindingRow, HolderRow


class SqlCards(Store):
    def add_card(self, card: CardRow, holder: HolderRow) -> None:
        if card.holder_ref != holder.holder_ref:
            raise Conflict("holder_differs", "the card names another holder")
        with self._writing() as connection:
            _enter(connection, holder)
            # Shared with others who enter cards, and not with whoever erases the person.
            stored = connection.scalar(
                select(tables.holder.c.wrapped_data_key)
                .where(tables.holder.c.holder_ref == holder.holder_ref)
                .with_for_update(read=True)
            )
            if stored != holder.wrapped_data_key:
                raise Conflict("holder_exists", "the holder is stored under another data key, or was erased just now")
            if not insert_new(connection, tables.card, **columns(card), outbox_count=0, expiry_due=card.expires_on):
                raise Conflict("card_exists", "this card is in the register already")
            if card.chip_key_ref is not None:
                take_chip_key(connection, card.chip_key_ref, card.card_ref)

    def add_holder(self, holder: HolderRow) -> HolderRow:
        of_person = select(tables.holder).where(tables.holder.c.holder_ref == holder.holder_ref)
        with self._writing() as connection:
            _enter(connection, holder)
            (stored,) = many(connection, HolderRow, of_person)
        return stored

    def correct_holder(self, holder: HolderRow) -> None:
        with self._writing() as connection:
            correct(connection, holder)

    def get_card(self, card_ref: str) -> CardRow:
        with self._reading() as connection:
            card = one(connection, CardRow, select(tables.card).where(tables.card.c.card_ref == card_ref))
        if card is None:
            raise NotFound("card_unknown", "no such card in the register")
        return card

    def effect_of(self, card: CardRow, now: datetime) -> EcardStatus:
        return self._effect(card, now)

    def cards_by_number(self, number_mac: str) -> tuple[CardRow, ...]:
        with self._reading() as connection:
            return many(connection, CardRow, select(tables.card).where(tables.card.c.number_mac == number_mac))

    def cards_of_holder(self, holder_ref: str) -> tuple[CardRow, ...]:
        with self._reading() as connection:
            return many(connection, CardRow, select(tables.card).where(tables.card.c.holder_ref == holder_ref))

    def find_holder(self, holder_ref: str) -> HolderRow | None:
        with self._reading() as connection:
            return one(connection, HolderRow, select(tables.holder).where(tables.holder.c.holder_ref == holder_ref))

    def card_of_chip_key(self, chip_key_ref: str) -> str | None:
        keys = tables.chip_key
        with self._reading() as connection:
            return connection.scalar(select(keys.c.card_ref).where(keys.c.chip_key_ref == chip_key_ref))

    def find_binding(self, card_ref: str) -> BindingRow | None:
        with self._reading() as connection:
            return one(connection, BindingRow, select(tables.binding).where(tables.binding.c.card_ref == card_ref))

    def card_of_ecard(self, ecard_id: str) -> str | None:
        directory = tables.ecard_binding
        with self._reading() as connection:
            return connection.scalar(select(directory.c.card_ref).where(directory.c.ecard_id == ecard_id))

    def ended_bindings(self, card_ref: str) -> tuple[EndedBindingRow, ...]:
        history = tables.binding_history
        with self._reading() as connection:
            return many(connection, EndedBindingRow, select(history).where(history.c.card_ref == card_ref))

    def credentials_of(self, card_ref: str) -> tuple[CredentialRow, ...]:
        credential = tables.credential
        with self._reading() as connection:
            return many(
                connection,
                CredentialRow,
                select(credential).where(credential.c.card_ref == card_ref).order_by(credential.c.issued_at),
            )

    def find_credential(self, credential_id: bytes) -> CredentialRow | None:
        with self._reading() as connection:
            return load_credential(connection, credential_id)

    def events_of(self, card_ref: str) -> tuple[CardEventRow, ...]:
        events = tables.card_event
        with self._reading() as connection:
            return many(
                connection,
                CardEventRow,
                select(events).where(events.c.card_ref == card_ref).order_by(events.c.sequence),
            )


def _enter(connection: Connection, holder: HolderRow) -> None:
    """Store a person unless they are. Raises `Conflict` `holder_erased` where that would bring a destroyed data key
    back."""
    erased = tables.erased_person
    if not insert_new(connection, tables.holder, **columns(holder)):
        return
    mark = key_mark(holder.wrapped_data_key)
    if connection.scalar(
        select(erased.c.former_ref).where(erased.c.former_ref == holder.holder_ref, erased.c.key_mark == mark)
    ):
        raise Conflict("holder_erased", "this person was erased a moment ago: seal under a new data key")


def correct(connection: Connection, holder: HolderRow) -> None:
    """Store a person anew. Raises `Conflict` `holder_differs` if their data key is no longer the one they had."""
    rows = tables.holder
    same = (rows.c.holder_ref == holder.holder_ref, rows.c.wrapped_data_key == holder.wrapped_data_key)
    if connection.execute(update(rows).where(*same).values(sealed=holder.sealed)).rowcount != 1:
        raise Conflict("holder_differs", "not the person, or not the data key, that is stored")
