"""Status lists and their entries."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary

from ecard_card.status import EcardStatus
from ecard_issuer.register.columns import IntCode, TextCode, UtcDateTime
from ecard_issuer.register.schema import key, needed, one_of, partial_index, table, texts
from ecard_issuer.states import ListState

status_list = table(
    "status_list",
    key("list_id", Integer),
    needed("size", Integer),
    needed("state", TextCode(ListState)),
    needed("version", BigInteger),
    needed("created_at", UtcDateTime),
    Column("ends_at", UtcDateTime),  # by then every credential on a full list has expired
    Column("decoy_every", BigInteger),  # seconds between two decoys on the average; nobody outside knows
    Column("next_decoy_at", UtcDateTime),
    one_of("state", ListState),
    spread_by="list_id",
)

Index(None, status_list.c.next_decoy_at)

partial_index("ix_status_list_open", status_list.c.list_id, where="state = 'open'")

status_entry = table(
    "status_entry",
    key("list_id", Integer, ForeignKey("status_list.list_id")),
    key("index", Integer),
    *texts("card_ref", "plan_id"),
    Column("credential_id", LargeBinary),
    needed("value", IntCode(EcardStatus)),
    spread_by="list_id",
)

partial_index(
    "ix_status_entry_not_valid", status_entry.c.list_id, status_entry.c.index, status_entry.c.value, where="value <> 0"
)
