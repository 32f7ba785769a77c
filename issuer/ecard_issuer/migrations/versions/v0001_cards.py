"""Cards, their holders, and the way from a proven chip to a stored credential."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _partial_index(name: str, table: str, columns: list[str], condition: str, *, unique: bool = False) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)


def upgrade() -> None:
    op.create_table(
        "holder",
        sa.Column("holder_ref", sa.String(), autoincrement=False, nullable=False),
        sa.Column("wrapped_data_key", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("holder_ref", name="pk_holder"),
    )
    op.create_table(
        "card",
        sa.Column("card_ref", sa.String(), autoincrement=False, nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("number_mac", sa.String(), nullable=False),
        sa.Column("holder_ref", sa.String(), nullable=False),
        sa.Column("chip_profile", sa.String(), nullable=False),
        sa.Column("chip_key_ref", sa.String(), nullable=True),
        sa.Column("sealed_identity", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outbox_count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("card_ref", name="pk_card"),
    )
    op.create_index("ix_card_holder_ref", "card", ["holder_ref"])
    op.create_index("ix_card_number_mac", "card", ["number_mac"])
    op.create_table(
        "chip_key",
        sa.Column("chip_key_ref", sa.String(), autoincrement=False, nullable=False),
        sa.Column("card_ref", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("chip_key_ref", name="pk_chip_key"),
    )
    op.create_table(
        "enrolment",
        sa.Column("enrolment_id", sa.String(), autoincrement=False, nullable=False),
        sa.Column("card_ref", sa.String(), nullable=True),
        sa.Column("terminal_id", sa.String(), nullable=False),
        sa.Column("challenge", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("assurance", sa.SmallInteger(), nullable=True),
        sa.Column("evidence", sa.LargeBinary(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("state IN ('open', 'proven', 'issued')", name=op.f("ck_enrolment_state")),
        sa.PrimaryKeyConstraint("enrolment_id", name="pk_enrolment"),
    )
    op.create_table(
        "binding",
        sa.Column("card_ref", sa.String(), autoincrement=False, nullable=False),
        sa.Column("ecard_id", sa.String(), nullable=False),
        sa.Column("assurance", sa.SmallInteger(), nullable=False),
        sa.Column("evidence", sa.LargeBinary(), nullable=False),
        sa.Column("plan_id", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('reserved', 'awaiting', 'live')", name=op.f("ck_binding_state")),
        sa.ForeignKeyConstraint(["card_ref"], ["card.card_ref"], name="fk_binding_card_ref_card"),
        sa.PrimaryKeyConstraint("card_ref", name="pk_binding"),
    )
    op.create_table(
        "ecard_binding",
        sa.Column("ecard_id", sa.String(), autoincrement=False, nullable=False),
        sa.Column("card_ref", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("ecard_id", name="pk_ecard_binding"),
    )
    op.create_table(
        "binding_history",
        sa.Column("card_ref", sa.String(), autoincrement=False, nullable=False),
        sa.Column("ecard_id", sa.String(), autoincrement=False, nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("assurance", sa.SmallInteger(), nullable=False),
        sa.Column("evidence", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["card_ref"], ["card.card_ref"], name="fk_binding_history_card_ref_card"),
        sa.PrimaryKeyConstraint("card_ref", "ecard_id", name="pk_binding_history"),
    )
    op.create_table(
        "plan",
        sa.Column("card_ref", sa.String(), autoincrement=False, nullable=False),
        sa.Column("plan_id", sa.String(), autoincrement=False, nullable=False),
        sa.Column("enrolment_id", sa.String(), nullable=False),
        sa.Column("ecard_id", sa.String(), nullable=False),
        sa.Column("card_status", sa.SmallInteger(), nullable=False),
        sa.Column("profile", sa.String(), nullable=False),
        sa.Column("profile_hash", sa.String(), nullable=False),
        sa.Column("list_id", sa.Integer(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("draft_hashes", sa.JSON(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("device_key_thumbprint", sa.LargeBinary(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("renewal", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.CheckConstraint("state IN ('planned', 'committed', 'voided')", name=op.f("ck_plan_state")),
        sa.ForeignKeyConstraint(["card_ref"], ["card.card_ref"], name="fk_plan_card_ref_card"),
        sa.PrimaryKeyConstraint("card_ref", "plan_id", name="pk_plan"),
    )
    _partial_index("ix_plan_planned_expires_at", "plan", ["expires_at"], "state = 'planned'")
    _partial_index("ix_plan_planned_key_id", "plan", ["key_id"], "state = 'planned'")
    _partial_index("ix_plan_planned_owner", "plan", ["owner"], "state = 'planned'")
    op.create_table(
        "credential",
        sa.Column("card_ref", sa.String(), autoincrement=False, nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), autoincrement=False, nullable=False),
        sa.Column("ecard_id", sa.String(), nullable=False),
        sa.Column("list_id", sa.Integer(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("cwt", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_sd_jwt", sa.LargeBinary(), nullable=False),
        sa.Column("assurance", sa.SmallInteger(), nullable=False),
        sa.Column("device_key_thumbprint", sa.LargeBinary(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.CheckConstraint("state IN ('live', 'ended')", name=op.f("ck_credential_state")),
        sa.ForeignKeyConstraint(["card_ref"], ["card.card_ref"], name="fk_credential_card_ref_card"),
        sa.PrimaryKeyConstraint("card_ref", "credential_id", name="pk_credential"),
    )
    _partial_index("ix_credential_live_key", "credential", ["key_id", "expires_at"], "state = 'live'")
    op.create_table(
        "credential_directory",
        sa.Column("credential_id", sa.LargeBinary(), autoincrement=False, nullable=False),
        sa.Column("card_ref", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("credential_id", name="pk_credential_directory"),
    )
    op.create_table(
        "card_event",
        sa.Column("card_ref", sa.String(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("change", sa.String(), nullable=False),
        sa.Column("previous", sa.SmallInteger(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("missed", sa.BigInteger(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("successor", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["card_ref"], ["card.card_ref"], name="fk_card_event_card_ref_card"),
        sa.PrimaryKeyConstraint("card_ref", "sequence", name="pk_card_event"),
        sa.UniqueConstraint("card_ref", "event_id", name="uq_card_event_card_ref_event_id"),
    )
