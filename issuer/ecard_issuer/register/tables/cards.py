"""Cards, holders, proofs of chips, and what binds a card to its e-card."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Date, Index, LargeBinary, String

from ecard_card.card import ChipAssurance, HolderProof
from ecard_card.status import CardStatus
from ecard_issuer.register.columns import Flag, IntCode, TextCode, UtcDateTime
from ecard_issuer.register.schema import card_key, key, needed, one_of, partial_index, table, text_column, texts
from ecard_issuer.states import BindingState, EnrolmentState

holder = table(
    "holder",
    key("holder_ref"),
    needed("wrapped_data_key", LargeBinary),
    needed("sealed", LargeBinary),
    spread_by="holder_ref",
)

card = table(
    "card",
    key("card_ref"),
    *texts("region", "number_mac", "holder_ref", "chip_profile"),
    Column("chip_key_ref", String),
    needed("sealed_identity", LargeBinary),
    needed("status", IntCode(CardStatus)),
    needed("sequence", BigInteger),
    needed("issued_on", Date),
    needed("expires_on", Date),
    needed("created_at", UtcDateTime),
    needed("updated_at", UtcDateTime),
    needed("outbox_count", BigInteger),  # numbers the card's outbox rows
    Column("holder_locked", Flag),
    Column("consented", Flag),
    Column("replacing", Flag),
    Column("expiry_due", Date),  # the card's last day, until its passing was acted upon
    spread_by="card_ref",
)

Index(None, card.c.number_mac)

Index(None, card.c.holder_ref)

Index(None, card.c.region, card.c.card_ref)

partial_index("ix_card_expiry_due", card.c.expiry_due, card.c.card_ref, where="expiry_due IS NOT NULL")

chip_key = table("chip_key", key("chip_key_ref"), text_column("card_ref"), spread_by="chip_key_ref")

binding = table(
    "binding",
    card_key(),
    text_column("ecard_id"),
    needed("assurance", IntCode(ChipAssurance)),
    needed("evidence", LargeBinary),
    Column("plan_id", String),
    needed("state", TextCode(BindingState)),
    needed("created_at", UtcDateTime),
    one_of("state", BindingState),
    spread_by="card_ref",
)

ecard_binding = table("ecard_binding", key("ecard_id"), text_column("card_ref"), spread_by="ecard_id")

binding_history = table(
    "binding_history",
    card_key(),
    key("ecard_id"),
    needed("ended_at", UtcDateTime),
    needed("assurance", IntCode(ChipAssurance)),
    needed("evidence", LargeBinary),
    needed("created_at", UtcDateTime),
    spread_by="card_ref",
)

partial_index(
    "ix_binding_history_evidence",
    binding_history.c.ended_at,
    binding_history.c.card_ref,
    binding_history.c.ecard_id,
    where="length(evidence) > 0",
)

enrolment = table(
    "enrolment",
    key("enrolment_id"),
    Column("card_ref", String),
    text_column("terminal_id"),
    needed("challenge", LargeBinary),
    needed("state", TextCode(EnrolmentState)),
    Column("assurance", IntCode(ChipAssurance)),
    Column("evidence", LargeBinary),
    needed("expires_at", UtcDateTime),
    Column("credential_id", LargeBinary),
    Column("holder_proof", IntCode(HolderProof)),
    one_of("state", EnrolmentState),
    spread_by="enrolment_id",
)

Index(None, enrolment.c.card_ref)

Index(None, enrolment.c.expires_at, enrolment.c.enrolment_id)
