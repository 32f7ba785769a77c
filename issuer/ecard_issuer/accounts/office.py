"""What happens to bank accounts: loaded and changed by their bank, activated in person, told to who may know.

The status of a card plays no part in here: its loss, lock or cancellation is about the social security function, and
the account is the bank's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ecard_card.acting import Act, Acting
from ecard_card.card import CardNumber, IdNumber
from ecard_card.errors import InvalidInput, NotAllowed, NotFound
from ecard_issuer.accounts.values import AccountNumber, AccountRow, AccountStore, PartnerBank
from ecard_issuer.acting_rules import ActingRules
from ecard_issuer.approvals import Approvals, Change
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.chosen_ids import CHOSEN_ID
from ecard_issuer.people import People, Seal
from ecard_issuer.ports import Cards
from ecard_issuer.rows import CardRow, HolderRow
from ecard_issuer.states import AccountState
from ecard_verifier.callers import CALLER_NAME, Caller, Role
from ecard_verifier.verdict import rfc3339

#: Which of a person's accounts is told where they have several.
_PREFERENCE: Final = (AccountState.ACTIVE, AccountState.NOT_ACTIVATED, AccountState.LOST, AccountState.CLOSED)
#: Why there is none to pay to.
_REASONS: Final = {
    AccountState.NOT_ACTIVATED: "bank_account_not_activated",
    AccountState.LOST: "bank_account_lost",
    AccountState.CLOSED: "bank_account_closed",
}


@dataclass(frozen=True, slots=True)
class OpenedAccount:
    """An account with its number, opened for one use."""

    row: AccountRow
    number: AccountNumber = field(repr=False)


class Accounts:
    """The use case."""

    def __init__(
        self,
        store: AccountStore,
        register: Cards,
        cards: CardDesk,
        rules: ActingRules,
        approvals: Approvals,
    ) -> None:
        self._store = store
        self._register = register
        self._cards = cards
        self._people: People = cards.people
        self._rules = rules
        self._approvals = approvals

    def save_bank(self, bank: PartnerBank, actor: str, now: datetime) -> PartnerBank:
        """Register a partner bank, or change it; the same again changes nothing. Takes the agreement of others.

        Raises `InvalidInput` `bad_partner_bank`, `ApprovalNeeded` `approval_needed`."""
        if not CALLER_NAME.fullmatch(bank.caller):
            raise InvalidInput("bad_partner_bank", "a bank calls by the name of a caller")
        if self._store.find_bank(bank.bank_code) != bank:
            grant = self._approvals.require(Change("bank.set", bank.bank_code, bank.to_json()), actor, now)
            self._store.save_bank(bank, actor, now, grant=grant)
        return bank

    def banks(self) -> tuple[PartnerBank, ...]:
        return self._store.list_banks()

    def load(
        self,
        caller: Caller,
        bank_code: str,
        card_number: CardNumber,
        id_number: IdNumber,
        number: AccountNumber,
        event_id: str,
        now: datetime,
    ) -> AccountRow:
        """A bank loads an account on a card of one of its customers; not activated. The same again changes nothing.

        Raises `NotAllowed` `not_this_bank`; `NotFound` `card_unknown`; `Conflict` `account_exists`,
        `account_of_other_card`; `InvalidInput` `bad_account_event`."""
        self._require_bank(caller, bank_code)
        _require_event(event_id)
        holder_ref = self._people.references.holder(id_number)
        card = next((card for card in self._cards.cards_numbered(card_number) if card.holder_ref == holder_ref), None)
        if card is None:
            raise NotFound("card_unknown", "no card of this number and person")
        sealed = self._seal(card).seal(number.text.encode(), _context(card.card_ref))
        mac = self._people.references.bank_account(bank_code, number.text)
        row = AccountRow(card.card_ref, bank_code, mac, sealed, AccountState.NOT_ACTIVATED, 1, now)
        return self._store.open_account(row, event_id, caller.name)

    def change(
        self,
        caller: Caller,
        bank_code: str,
        number: AccountNumber,
        state: AccountState,
        event_id: str,
        now: datetime,
    ) -> tuple[AccountRow, bool]:
        """The bank says what became of its account. The same event again changes nothing, however late.

        Raises `NotAllowed` `not_this_bank`, and as `AccountStore.change_account`."""
        self._require_bank(caller, bank_code)
        _require_event(event_id)
        mac = self._people.references.bank_account(bank_code, number.text)
        card_ref = self._store.card_of_account(mac)
        if card_ref is None:
            raise NotFound("account_unknown", "no such account")
        return self._store.change_account(
            card_ref, state, event_id=event_id, changed_by=caller.name, now=now, number_mac=mac
        )

    def activate(
        self, caller: Caller, card_ref: str, acting: Acting, event_id: str, now: datetime
    ) -> tuple[AccountRow, bool]:
        """Activation in person at a desk: by the holder or a guardian, never by an agent.

        Raises what `ActingRules.require` raises, `NotFound` `card_unknown`, and as `AccountStore.change_account`."""
        _require_event(event_id)
        card = self._register.get_card(card_ref)
        self._rules.require(acting, card.holder_ref, Act.ACTIVATE_BANK_ACCOUNT, now)
        return self._store.change_account(
            card_ref, AccountState.ACTIVE, event_id=event_id, changed_by=caller.name, now=now
        )

    def of_card(self, card_ref: str) -> AccountRow:
        """Raises `NotFound` `account_unknown`."""
        row = self._store.account_of_card(card_ref)
        if row is None:
            raise NotFound("account_unknown", "the card has no bank account")
        return row

    def of_holder(self, holder_ref: str) -> OpenedAccount | None:
        """The account of a person: an active one before others, then that of the newest card. Whatever became of the
        cards themselves plays no part."""
        found = []
        for card in self._register.cards_of_holder(holder_ref):
            row = self._store.account_of_card(card.card_ref)
            if row is not None:
                found.append((_PREFERENCE.index(row.state), -card.created_at.timestamp(), card.card_ref, card, row))
        if not found:
            return None
        *_, card, row = min(found, key=lambda item: item[:3])
        return self._opened(card, row)

    def _opened(self, card: CardRow, row: AccountRow) -> OpenedAccount:
        number = self._seal(card).open(row.sealed, _context(card.card_ref)).decode()
        return OpenedAccount(row, AccountNumber(number))

    def _seal(self, card: CardRow) -> Seal:
        return self._people.seal_of(self._people.get(card.holder_ref))

    def _require_bank(self, caller: Caller, bank_code: str) -> None:
        bank = self._store.find_bank(bank_code)
        if caller.role is not Role.PARTNER or bank is None or bank.caller != caller.name:
            raise NotAllowed("not_this_bank", "only the bank itself says what becomes of its accounts")


def why_unpayable(account: OpenedAccount | None) -> str | None:
    """The code that says why nothing can be paid to it; None where it can."""
    return "bank_account_missing" if account is None else _REASONS.get(account.row.state)


class AccountData:
    """`SubjectData`: a person's bank accounts as known here."""

    section = "bank_accounts"

    def __init__(self, store: AccountStore, register: Cards) -> None:
        self._store = store
        self._register = register

    def of_holder(self, holder: HolderRow, seal: Seal) -> Sequence[Mapping[str, object]]:
        """See `SubjectData.of_holder`."""
        found: list[Mapping[str, object]] = []
        for card in self._register.cards_of_holder(holder.holder_ref):
            row = self._store.account_of_card(card.card_ref)
            if row is not None:
                changes = self._store.account_changes(card.card_ref)
                found.append(
                    {
                        "card_ref": card.card_ref,
                        "bank_code": row.bank_code,
                        "number": seal.open(row.sealed, _context(card.card_ref)).decode(),
                        "state": row.state.value,
                        "changes": [
                            {"state": change.state.value, "by": change.changed_by, "at": rfc3339(change.changed_at)}
                            for change in changes
                        ],
                    }
                )
        return found


def _context(card_ref: str) -> str:
    return f"bank_account/{card_ref}"


def _require_event(event_id: str) -> None:
    if not CHOSEN_ID.fullmatch(event_id):
        raise InvalidInput("bad_account_event", "an event id is 1 to 64 letters, digits and . _ : -")
