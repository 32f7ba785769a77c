"""A card's bank account, its bank, and the port `AccountStore` of the register that keeps them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from ecard_card.errors import InvalidInput, RuleViolation
from ecard_issuer.rows import Grant
from ecard_issuer.states import AccountState

BANK_CODE: Final = re.compile(r"[A-Z0-9]{3,14}")  # a bank's own short code, or its CNAPS number
ACCOUNT_NUMBER: Final = re.compile(r"[0-9]{8,32}")

#: What each state may become. A bank may take back a loss; closing is final.
NEXT: Final = {
    AccountState.NOT_ACTIVATED: frozenset({AccountState.ACTIVE, AccountState.LOST, AccountState.CLOSED}),
    AccountState.ACTIVE: frozenset({AccountState.LOST, AccountState.CLOSED}),
    AccountState.LOST: frozenset({AccountState.ACTIVE, AccountState.CLOSED}),
    AccountState.CLOSED: frozenset[AccountState](),
}


@dataclass(frozen=True, slots=True)
class AccountNumber:
    """8 to 32 digits. Raises `InvalidInput` `bad_account_number`; `repr` shows nothing."""

    text: str = field(repr=False)

    def __post_init__(self) -> None:
        if not ACCOUNT_NUMBER.fullmatch(self.text) or not self.text.isascii():
            raise InvalidInput("bad_account_number", "an account number is 8 to 32 digits")


@dataclass(frozen=True, slots=True)
class PartnerBank:
    """A bank that loads its accounts on cards; `caller` is the name that it calls by. Raises `InvalidInput`
    `bad_partner_bank`."""

    bank_code: str
    caller: str
    name_zh: str
    name_en: str

    def __post_init__(self) -> None:
        names = (self.name_zh, self.name_en)
        if not BANK_CODE.fullmatch(self.bank_code) or not all(0 < len(name) <= 100 for name in names):
            raise InvalidInput("bad_partner_bank", "a bank has a code of 3 to 14 capitals or digits, and two names")

    def to_json(self) -> dict[str, object]:
        return {
            "bank_code": self.bank_code,
            "caller": self.caller,
            "names": {"zh": self.name_zh, "en": self.name_en},
        }


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account as kept. `number` is that of its last change."""

    card_ref: str
    bank_code: str
    number_mac: str
    sealed: bytes = field(repr=False)
    state: AccountState
    number: int
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class AccountChangeRow:
    """One change of an account's state; `changed_by` is a caller."""

    card_ref: str
    number: int
    event_id: str
    state: AccountState
    changed_by: str
    changed_at: datetime


def require_change(state: AccountState, wanted: AccountState) -> None:
    """Raises `RuleViolation` `account_change_impossible`."""
    if wanted not in NEXT[state]:
        raise RuleViolation("account_change_impossible", f"an account that is {state.value} cannot become that")


class AccountStore(Protocol):
    """Each verb is one transaction, and raises `Unavailable` where the register does not answer."""

    def save_bank(self, bank: PartnerBank, changed_by: str, now: datetime, *, grant: Grant | None = None) -> None: ...

    def find_bank(self, bank_code: str) -> PartnerBank | None: ...

    def list_banks(self) -> tuple[PartnerBank, ...]:
        """In order of their codes."""

    def open_account(self, account: AccountRow, event_id: str, changed_by: str) -> AccountRow:
        """Store a card's account with its first change, or return the same one that is there already.

        `Conflict` `account_exists` (the card has another one that is not closed), `account_of_other_card`. One that
        is closed is replaced: its changes stay."""

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
        """The account as it is after the change, and whether this call made it: an event is applied once.

        `NotFound` `account_unknown` (also where it is another one than `number_mac` names); `Conflict`
        `account_event_differs`; `RuleViolation` `account_change_impossible`."""

    def account_of_card(self, card_ref: str) -> AccountRow | None: ...

    def card_of_account(self, number_mac: str) -> str | None: ...

    def account_changes(self, card_ref: str) -> tuple[AccountChangeRow, ...]:
        """In order of their numbers."""
