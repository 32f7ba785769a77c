"""Plans of credentials, credentials, and the permission to make them anew."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Integer, LargeBinary

from ecard_card.card import ChipAssurance
from ecard_card.status import CardStatus
from ecard_issuer.register.columns import IntCode, TextCode, TextTuple, UtcDateTime
from ecard_issuer.register.schema import card_key, key, needed, one_of, partial_index, table, text_column, texts
from ecard_issuer.states import CredentialState, PlanState

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

reissue = table(
    "reissue",
    key("key_id"),
    needed("end_replaced", Boolean),
    text_column("opened_by"),
    needed("opened_at", UtcDateTime),
    spread_by="key_id",
)
