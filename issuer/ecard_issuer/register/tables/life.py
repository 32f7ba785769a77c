"""What was asked about a card: losses, releases, replacements, cancellations, the holder's own words."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, LargeBinary, String

from ecard_card.acting import Channel, Ground
from ecard_card.region_policy import LossEnd
from ecard_issuer.life.values import CaseKind, CaseState
from ecard_issuer.register.columns import TextCode, TextTuple, UtcDateTime
from ecard_issuer.register.schema import card_key, key, needed, one_of, partial_index, table, text_column, texts

card_case = table(
    "card_case",
    card_key(),
    key("case_id"),
    needed("kind", TextCode(CaseKind)),
    needed("state", TextCode(CaseState)),
    *texts("why", "fingerprint", "caller"),
    needed("channel", TextCode(Channel)),
    needed("ground", TextCode(Ground)),
    Column("mandate_id", String),
    needed("applied", Boolean),
    needed("opened_at", UtcDateTime),
    needed("changed_at", UtcDateTime),
    Column("due_at", UtcDateTime),
    Column("due_end", TextCode(LossEnd)),
    Column("new_card_ref", String),
    Column("new_holder_ref", String),
    needed("steps", JSON),
    Column("sealed", LargeBinary),
    one_of("kind", CaseKind),
    one_of("state", CaseState),
    spread_by="card_ref",
)

partial_index("ix_card_case_due_at", card_case.c.due_at, where="due_at IS NOT NULL")

#: A card has one replacement on its way.
partial_index(
    "uq_card_case_replacement",
    card_case.c.card_ref,
    where="kind = 'replacement' AND state IN ('ordered', 'made', 'ready')",
    unique=True,
)

partial_index("ix_card_case_new_holder_ref", card_case.c.new_holder_ref, where="new_holder_ref IS NOT NULL")

card_case_directory = table("card_case_directory", key("case_id"), text_column("card_ref"), spread_by="case_id")

policy_review = table(
    "policy_review",
    key("scope"),
    needed("since", UtcDateTime),
    Column("until", UtcDateTime),
    needed("regions", TextTuple),
    *texts("after_region", "after_card"),
    spread_by="scope",
)
