"""The tables of the register.

Each table names its distribution column in `info`: the column by which a distributed PostgreSQL spreads its rows.
Every primary key and unique constraint includes that column, no foreign key crosses it, and no number comes from a
sequence shared by all. What must be unique across cards therefore has a directory table of its own, keyed by the
thing that must be unique (`chip_key`, `ecard_binding`, `credential_directory`; `open_approval` for changes).

Rules that no key can express are triggers, written down in the migrations: a key that live credentials name is not
retired, and what was decided about an approval stays decided.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
)

from ecard_card.card import ChipAssurance
from ecard_card.status import CardChange, CardStatus, EcardStatus
from ecard_issuer.register.columns import IntCode, Seconds, TextCode, TextTuple, UtcDateTime
from ecard_issuer.register.schema import card_key, key, needed, one_of, partial_index, table, text_column, texts
from ecard_issuer.states import (
    ApprovalState,
    BindingState,
    CredentialState,
    EnrolmentState,
    ListState,
    OutboxKind,
    PlanState,
)

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
    spread_by="card_ref",
)
Index(None, card.c.number_mac)
Index(None, card.c.holder_ref)

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
    one_of("state", EnrolmentState),
    spread_by="enrolment_id",
)

plan = table(
    "plan",
    card_key(),
    key("plan_id"),
    *texts("enrolment_id", "ecard_id"),
    needed("card_status", IntCode(CardStatus)),
    *texts("profile", "profile_hash"),
    needed("list_id", Integer),
    needed("index", Integer),
    needed("credential_id", LargeBinary),
    needed("draft_hashes", TextTuple),
    text_column("key_id"),
    needed("device_key_thumbprint", LargeBinary),
    text_column("owner"),
    needed("expires_at", UtcDateTime),
    needed("created_at", UtcDateTime),
    needed("renewal", Boolean),
    needed("state", TextCode(PlanState)),
    Column("replaces", LargeBinary),
    one_of("state", PlanState),
    spread_by="card_ref",
)
partial_index(
    "uq_plan_replaces",
    plan.c.card_ref,
    plan.c.replaces,
    where="state = 'planned' AND replaces IS NOT NULL",
    unique=True,
)
for _column in (plan.c.expires_at, plan.c.owner, plan.c.key_id):
    partial_index(f"ix_plan_planned_{_column.name}", _column, where="state = 'planned'")

credential = table(
    "credential",
    card_key(),
    key("credential_id", LargeBinary),
    text_column("ecard_id"),
    needed("list_id", Integer),
    needed("index", Integer),
    text_column("key_id"),
    needed("cwt", LargeBinary),
    needed("sealed_sd_jwt", LargeBinary),
    needed("assurance", IntCode(ChipAssurance)),
    needed("device_key_thumbprint", LargeBinary),
    needed("issued_at", UtcDateTime),
    needed("expires_at", UtcDateTime),
    needed("state", TextCode(CredentialState)),
    Column("replaced_by", LargeBinary),
    one_of("state", CredentialState),
    spread_by="card_ref",
)
partial_index(
    "ix_credential_reissue",
    credential.c.key_id,
    credential.c.card_ref,
    credential.c.credential_id,
    where="state = 'live' AND replaced_by IS NULL",
)
partial_index(
    "ix_credential_replaced",
    credential.c.key_id,
    credential.c.card_ref,
    where="state = 'live' AND replaced_by IS NOT NULL",
)
partial_index("ix_credential_live_key", credential.c.key_id, credential.c.expires_at, where="state = 'live'")

credential_directory = table(
    "credential_directory", key("credential_id", LargeBinary), text_column("card_ref"), spread_by="credential_id"
)

card_event = table(
    "card_event",
    card_key(),
    key("sequence", BigInteger),
    text_column("event_id"),
    needed("change", TextCode(CardChange)),
    needed("previous", IntCode(CardStatus)),
    needed("status", IntCode(CardStatus)),
    needed("missed", BigInteger),
    needed("occurred_at", UtcDateTime),
    needed("recorded_at", UtcDateTime),
    text_column("reason"),
    Column("successor", String),
    UniqueConstraint("card_ref", "event_id"),
    spread_by="card_ref",
)

status_list = table(
    "status_list",
    key("list_id", Integer),
    needed("size", Integer),
    needed("state", TextCode(ListState)),
    needed("version", BigInteger),
    needed("created_at", UtcDateTime),
    one_of("state", ListState),
    spread_by="list_id",
)
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

outbox = table(
    "outbox",
    key("card_ref"),
    key("outbox_id"),
    needed("ordinal", BigInteger),
    needed("kind", TextCode(OutboxKind)),
    needed("body", JSON),
    needed("created_at", UtcDateTime),
    Column("claimed_until", UtcDateTime),
    Column("dispatched_at", UtcDateTime),
    UniqueConstraint("card_ref", "ordinal"),
    spread_by="card_ref",
)
partial_index("ix_outbox_waiting", outbox.c.outbox_id, where="dispatched_at IS NULL")
partial_index("ix_outbox_waiting_card", outbox.c.card_ref, outbox.c.ordinal, where="dispatched_at IS NULL")

feed_head = table("feed_head", key("stream"), needed("seq", BigInteger), spread_by="stream")

feed = table(
    "feed",
    key("stream", String, ForeignKey("feed_head.stream")),
    key("seq", BigInteger),
    text_column("outbox_id"),
    needed("part", Integer),
    text_column("token"),
    needed("created_at", UtcDateTime),
    UniqueConstraint("stream", "outbox_id", "part"),
    spread_by="stream",
)

signing_key = table(
    "signing_key",
    key("purpose"),
    key("kid"),
    text_column("state"),
    needed("public", LargeBinary),
    *texts("algorithm", "home"),
    needed("created_at", UtcDateTime),
    Column("activated_at", UtcDateTime),
    Column("retired_from", UtcDateTime),
    Column("compromised_from", UtcDateTime),
    Column("user_id", LargeBinary),
    Column("published_at", UtcDateTime),
    Column("retired_at", UtcDateTime),
    Column("compromised_at", UtcDateTime),
    Column("destroyed_at", UtcDateTime),
    spread_by="purpose",
)
partial_index("uq_signing_key_active", signing_key.c.purpose, where="state = 'active'", unique=True)
partial_index("uq_signing_key_next", signing_key.c.purpose, where="state IN ('generated', 'next')", unique=True)

key_schedule = table(
    "key_schedule",
    key("purpose"),
    needed("every", Seconds),
    text_column("set_by"),
    needed("set_at", UtcDateTime),
    CheckConstraint("every > 0", name="every"),
    spread_by="purpose",
)

trust_list = table(
    "trust_list",
    key("version", BigInteger),
    needed("document", LargeBinary),
    needed("created_at", UtcDateTime),
    spread_by="version",
)

trust_root = table(
    "trust_root",
    key("version", BigInteger),
    needed("document", LargeBinary),
    needed("created_at", UtcDateTime),
    spread_by="version",
)

approval = table(
    "approval",
    key("request_id"),
    *texts("action", "subject"),
    needed("facts", JSON),
    *texts("change_hash", "requester", "requester_key"),
    needed("needed", Integer),
    needed("created_at", UtcDateTime),
    needed("expires_at", UtcDateTime),
    needed("state", TextCode(ApprovalState)),
    Column("closed_at", UtcDateTime),
    one_of("state", ApprovalState),
    CheckConstraint("needed > 0", name="needed"),
    UniqueConstraint("request_id", "requester_key"),
    spread_by="request_id",
)
Index(None, approval.c.created_at)

#: One open request for each change.
open_approval = table("open_approval", key("change_hash"), text_column("request_id"), spread_by="change_hash")

#: Each vote repeats who asked, so that the database itself refuses one's own.
approval_vote = table(
    "approval_vote",
    key("request_id"),
    key("approver_key"),
    *texts("approver", "requester_key"),
    needed("approve", Boolean),
    needed("voted_at", UtcDateTime),
    text_column("reason"),
    CheckConstraint("approver_key <> requester_key", name="not_own"),
    ForeignKeyConstraint(["request_id", "requester_key"], ["approval.request_id", "approval.requester_key"]),
    spread_by="request_id",
)

operator = table(
    "operator",
    key("token_hash"),
    *texts("name", "role"),
    needed("created_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    spread_by="token_hash",
)

reissue = table(
    "reissue",
    key("key_id"),
    needed("end_replaced", Boolean),
    text_column("opened_by"),
    needed("opened_at", UtcDateTime),
    spread_by="key_id",
)
