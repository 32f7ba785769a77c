"""Bank accounts of cards: their bank's, with a state of their own."""

from __future__ import annotations

from sqlalchemy import JSON, Index, Integer, LargeBinary, UniqueConstraint

from ecard_issuer.register.columns import TextCode, UtcDateTime
from ecard_issuer.register.schema import card_key, key, needed, one_of, table, text_column, texts
from ecard_issuer.states import AccountState

partner_bank = table(
    "partner_bank",
    key("bank_code"),
    text_column("caller"),
    needed("names", JSON),
    text_column("changed_by"),
    needed("changed_at", UtcDateTime),
    spread_by="bank_code",
)

bank_account = table(
    "bank_account",
    card_key(),
    *texts("bank_code", "number_mac"),
    needed("sealed", LargeBinary),
    needed("state", TextCode(AccountState)),
    needed("number", Integer),  # of its last change
    needed("changed_at", UtcDateTime),
    one_of("state", AccountState),
    spread_by="card_ref",
)

bank_account_change = table(
    "bank_account_change",
    card_key(),
    key("number", Integer),
    text_column("event_id"),
    needed("state", TextCode(AccountState)),
    text_column("changed_by"),
    needed("changed_at", UtcDateTime),
    UniqueConstraint("card_ref", "event_id"),
    spread_by="card_ref",
)

#: One account belongs to one card.
bank_account_directory = table(
    "bank_account_directory", key("number_mac"), text_column("card_ref"), spread_by="number_mac"
)

Index(None, bank_account_directory.c.card_ref)
