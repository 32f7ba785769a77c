"""Port `Cards`: cards, holders, bindings and credentials, as they are looked up."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from ecard_card.status import EcardStatus
from ecard_issuer.rows import BindingRow, CardEventRow, CardRow, CredentialRow, EndedBindingRow, HolderRow


class Cards(Protocol):
    def add_card(self, card: CardRow, holder: HolderRow) -> None:
        """Register a card, and its holder if new. `Conflict`: `card_exists`; `chip_key_taken` (another card's key);
        `holder_differs` (the card names another holder); `holder_exists` (this holder is stored under another data
        key: seal under that one and try again); `holder_erased` (under a data key that was destroyed)."""

    def add_holder(self, holder: HolderRow) -> HolderRow:
        """Store a person, and return them as stored: under the data key of whoever came first."""
        ...

    def correct_holder(self, holder: HolderRow) -> None:
        """Put a person's data anew under the same data key. `Conflict` `holder_differs`: unknown, or under another."""

    def get_card(self, card_ref: str) -> CardRow:
        """`NotFound` `card_unknown`."""

    def effect_of(self, card: CardRow, now: datetime) -> EcardStatus:
        """What the card makes of its e-card at `now`, under the policy that holds in its region then."""
        ...

    def cards_by_number(self, number_mac: str) -> tuple[CardRow, ...]: ...

    def cards_of_holder(self, holder_ref: str) -> tuple[CardRow, ...]: ...

    def find_holder(self, holder_ref: str) -> HolderRow | None: ...

    def card_of_chip_key(self, chip_key_ref: str) -> str | None:
        """The card that an on-chip public key belongs to."""

    def find_binding(self, card_ref: str) -> BindingRow | None: ...

    def card_of_ecard(self, ecard_id: str) -> str | None:
        """The card an e-card is, or was last, bound to. An ended e-card keeps its place: its id is never re-used."""

    def ended_bindings(self, card_ref: str) -> tuple[EndedBindingRow, ...]: ...

    def credentials_of(self, card_ref: str) -> tuple[CredentialRow, ...]:
        """All of them, ended ones too, oldest first."""

    def find_credential(self, credential_id: bytes) -> CredentialRow | None: ...

    def events_of(self, card_ref: str) -> tuple[CardEventRow, ...]:
        """In order of their sequence."""
