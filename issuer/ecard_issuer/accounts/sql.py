"""Bank accounts in the register: port `AccountStore`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from ecard_card.errors import Conflict, NotFound
from ecard_issuer.accounts.values import AccountChangeRow, AccountRow, PartnerBank, require_change
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, insert_new, lock_card, many, one, use_grant
from ecard_issuer.rows import Grant
from ecard_issuer.states import AccountState

_banks, _accounts = tables.partner_bank, tables.bank_account
_changes, _directory = tables.bank_account_change, tables.bank_account_directory


class SqlAccounts(Store):
    def save_bank(self, bank: PartnerBank, changed_by: str, now: datetime, *, grant: Grant | None = None) -> None:
        values = {
            "caller": bank.caller,
            "names": {"zh": bank.name_zh, "en": bank.name_en},
            "changed_by": changed_by,
            "changed_at": now,
        }
        with self._writing() as connection:
            use_grant(connection, grant, now)
            if not insert_new(connection, _banks, bank_code=bank.bank_code, **values):
                connection.execute(update(_banks).where(_banks.c.bank_code == bank.bank_code).values(values))

    def find_bank(self, bank_code: str) -> PartnerBank | None:
        with self._reading() as connection:
            row = connection.execute(select(_banks).where(_banks.c.bank_code == bank_code)).mappings().one_or_none()
        return None if row is None else PartnerBank(bank_code, row["caller"], row["names"]["zh"], row["names"]["en"])

    def list_banks(self) -> tuple[PartnerBank, ...]:
        every = select(_banks).where(_banks.c.bank_code > "").order_by(_banks.c.bank_code)
        with self._reading() as connection:
            rows = connection.execute(every).mappings().all()
        return tuple(
            PartnerBank(row["bank_code"], row["caller"], row["names"]["zh"], row["names"]["en"]) for row in rows
        )

    def open_account(self, account: AccountRow, event_id: str, changed_by: str) -> AccountRow:
        this = _accounts.c.card_ref == account.card_ref
        with self._writing() as connection:
            lock_card(connection, account.card_ref)
            present = _of_card(connection, account.card_ref)
            number = 1
            if present is not None:
                if (present.bank_code, present.number_mac) == (account.bank_code, account.number_mac):
                    return present
                if present.state is not AccountState.CLOSED:
                    raise Conflict("account_exists", "the card has another account, which is not closed")
                number = present.number + 1
                connection.execute(delete(_accounts).where(this))
            entry = {"number_mac": account.number_mac, "card_ref": account.card_ref}
            if not insert_new(connection, _directory, **entry) and _card_of(connection, account.number_mac) != (
                account.card_ref
            ):
                raise Conflict("account_of_other_card", "this account is loaded on another card")
            connection.execute(_accounts.insert().values(columns(account) | {"number": number}))
            _write_down(connection, account, number, event_id, changed_by)
            stored = _of_card(connection, account.card_ref)
        assert stored is not None  # noqa: S101 - this transaction put it there
        return stored

    def change_account(
        self,
        card_ref: str,
        state: AccountState,
        *,
        event_id: str,
        changed_by: str,
        now: datetime,
        number_mac: str | None = None,
    ) -> tuple[AccountRow, bool]:
        with self._writing() as connection:
            present = one(
                connection, AccountRow, select(_accounts).where(_accounts.c.card_ref == card_ref).with_for_update()
            )
            if present is None or (number_mac is not None and present.number_mac != number_mac):
                raise NotFound("account_unknown", "no such account")
            event = select(_changes.c.state).where(_changes.c.card_ref == card_ref, _changes.c.event_id == event_id)
            before = connection.scalar(event)
            if before is not None:
                if before is not state:
                    raise Conflict("account_event_differs", "this event id was used for another change")
                return present, False
            require_change(present.state, state)
            number = present.number + 1
            connection.execute(
                update(_accounts)
                .where(_accounts.c.card_ref == card_ref)
                .values(state=state, number=number, changed_at=now)
            )
            changed = AccountRow(card_ref, present.bank_code, present.number_mac, present.sealed, state, number, now)
            _write_down(connection, changed, number, event_id, changed_by)
        return changed, True

    def account_of_card(self, card_ref: str) -> AccountRow | None:
        with self._reading() as connection:
            return _of_card(connection, card_ref)

    def card_of_account(self, number_mac: str) -> str | None:
        with self._reading() as connection:
            return _card_of(connection, number_mac)

    def account_changes(self, card_ref: str) -> tuple[AccountChangeRow, ...]:
        of_card = select(_changes).where(_changes.c.card_ref == card_ref).order_by(_changes.c.number)
        with self._reading() as connection:
            return many(connection, AccountChangeRow, of_card)


def _of_card(connection: Connection, card_ref: str) -> AccountRow | None:
    return one(connection, AccountRow, select(_accounts).where(_accounts.c.card_ref == card_ref))


def _card_of(connection: Connection, number_mac: str) -> str | None:
    return connection.scalar(select(_directory.c.card_ref).where(_directory.c.number_mac == number_mac))


def _write_down(connection: Connection, account: AccountRow, number: int, event_id: str, changed_by: str) -> None:
    change = AccountChangeRow(account.card_ref, number, event_id, account.state, changed_by, account.changed_at)
    if not insert_new(connection, _changes, **columns(change)):
        raise Conflict("account_event_differs", "this event id was used for another change")
