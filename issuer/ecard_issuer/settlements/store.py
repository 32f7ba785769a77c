"""Rows of payments, and the port of the register that keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ecard_issuer.settlements.states import PaymentState


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """One payment. `challenge` is the text that the counter shows; `amount` is in fen. What is None has not happened.

    `redeemed_for` is the payer's own id of the redemption, `voided_by` the service that took it back.
    """

    transaction_id: str
    service_id: str
    payer: str
    request_hash: str
    line: int
    challenge: str
    amount: int
    asked_at: datetime
    until: datetime
    state: PaymentState = PaymentState.ASKED
    holder_ref: str | None = None
    way: str | None = None
    redeemed_for: str | None = None
    voided_by: str | None = None
    authorized_at: datetime | None = None
    expires_at: datetime | None = None
    ended_at: datetime | None = None
    sealed: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Agreed:
    """What a holder's consent adds to a row."""

    holder_ref: str
    way: str
    authorized_at: datetime
    expires_at: datetime
    sealed: bytes = field(repr=False)


def context_of(transaction_id: str) -> str:
    """Under which words a row's authorization is sealed."""
    return f"settlement/{transaction_id}"


class PaymentStore(Protocol):
    """Each verb is one transaction, and raises `Unavailable` where the register does not answer. Those that move a row
    give it as it is then, moved or not: of any number at once one moves it."""

    def add(self, row: PaymentRow) -> PaymentRow:
        """Store it, or give the one that stands under its id."""
        ...

    def find(self, transaction_id: str) -> PaymentRow | None: ...

    def authorize(self, transaction_id: str, agreed: Agreed) -> PaymentRow:
        """Asked → authorized."""
        ...

    def redeem(self, transaction_id: str, redeemed_for: str, now: datetime) -> PaymentRow:
        """Authorized → redeemed."""
        ...

    def void(self, transaction_id: str, voided_by: str, states: tuple[PaymentState, ...], now: datetime) -> PaymentRow:
        """One of `states` → voided."""
        ...

    def of_holder(self, holder_ref: str) -> tuple[PaymentRow, ...]:
        """Oldest first."""
        ...

    def forget(self, asked_before: datetime, limit: int) -> int:
        """Delete at most `limit` that nobody agreed to, asked for before then; how many."""
        ...
