"""Applications for cards, agencies' batches, mandates to act for another, and what is known of people's lives."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ecard_issuer.register.columns import UtcDateTime

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    _mandates()
    _applications()


def _mandates() -> None:
    op.create_table(
        "holder_life",
        sa.Column("holder_ref", sa.String(), autoincrement=False, nullable=False),
        sa.Column("life", sa.String(), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("recorded_by", sa.String(), nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.CheckConstraint(
            "life IN ('normal', 'dead', 'imprisoned', 'missing', 'unknown', 'emigrated')",
            name=op.f("ck_holder_life_life"),
        ),
        sa.PrimaryKeyConstraint("holder_ref", name=op.f("pk_holder_life")),
    )
    op.create_table(
        "mandate",
        sa.Column("mandate_id", sa.String(), autoincrement=False, nullable=False),
        sa.Column("holder_ref", sa.String(), nullable=False),
        sa.Column("agent_ref", sa.String(), nullable=True),
        sa.Column("agency", sa.String(), nullable=True),
        sa.Column("ground", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("relation", sa.String(), nullable=False),
        sa.Column("acts", sa.JSON(), nullable=False),
        sa.Column("starts_at", UtcDateTime, nullable=False),
        sa.Column("closes_at", UtcDateTime, nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("content_mac", sa.String(), nullable=False),
        sa.Column("checked_by", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("revoked_at", UtcDateTime, nullable=True),
        sa.Column("revoked_by", sa.String(), nullable=True),
        sa.CheckConstraint("ground IN ('own', 'guardian', 'mandate', 'agency')", name=op.f("ck_mandate_ground")),
        sa.PrimaryKeyConstraint("mandate_id", name=op.f("pk_mandate")),
    )
    op.create_index(op.f("ix_mandate_agent_ref"), "mandate", ["agent_ref"], unique=False)
    op.create_index(
        "ix_mandate_closes_at",
        "mandate",
        ["closes_at"],
        unique=False,
        sqlite_where=sa.text("closes_at IS NOT NULL"),
        postgresql_where=sa.text("closes_at IS NOT NULL"),
    )
    op.create_index(op.f("ix_mandate_holder_ref"), "mandate", ["holder_ref"], unique=False)
    op.create_table(
        "mandate_document",
        sa.Column("mandate_id", sa.String(), autoincrement=False, nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("added_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(
            ["mandate_id"], ["mandate.mandate_id"], name=op.f("fk_mandate_document_mandate_id_mandate")
        ),
        sa.PrimaryKeyConstraint("mandate_id", name=op.f("pk_mandate_document")),
    )


def _applications() -> None:
    op.create_table(
        "agency_batch_row",
        sa.Column("batch_ref", sa.String(), autoincrement=False, nullable=False),
        sa.Column("row", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content_mac", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("application_id", sa.String(), nullable=True),
        sa.Column("mandate_id", sa.String(), nullable=True),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("batch_ref", "row", name=op.f("pk_agency_batch_row")),
    )
    op.create_index(op.f("ix_agency_batch_row_recorded_at"), "agency_batch_row", ["recorded_at"], unique=False)
    op.create_table(
        "application",
        sa.Column("application_id", sa.String(), autoincrement=False, nullable=False),
        sa.Column("holder_ref", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("ground", sa.String(), nullable=False),
        sa.Column("mandate_id", sa.String(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("content_mac", sa.String(), nullable=False),
        sa.Column("submitted_by", sa.String(), nullable=False),
        sa.Column("submitted_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("replaces", sa.String(), nullable=True),
        sa.Column("card_ref", sa.String(), nullable=True),
        sa.Column("outlet", sa.String(), nullable=True),
        sa.Column("closed_at", UtcDateTime, nullable=True),
        sa.CheckConstraint(
            "state IN ('submitted', 'reviewing', 'refused', 'approved',"
            " 'in_production', 'ready', 'collected', 'withdrawn')",
            name=op.f("ck_application_state"),
        ),
        sa.PrimaryKeyConstraint("application_id", name=op.f("pk_application")),
    )
    op.create_index(
        "ix_application_closed_at",
        "application",
        ["closed_at"],
        unique=False,
        sqlite_where=sa.text("closed_at IS NOT NULL"),
        postgresql_where=sa.text("closed_at IS NOT NULL"),
    )
    op.create_index(op.f("ix_application_holder_ref"), "application", ["holder_ref"], unique=False)
    op.create_index(
        "ix_application_work", "application", ["state", "region", "submitted_at", "application_id"], unique=False
    )
    op.create_table(
        "open_application",
        sa.Column("holder_ref", sa.String(), autoincrement=False, nullable=False),
        sa.Column("application_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("holder_ref", name=op.f("pk_open_application")),
    )
    op.create_table(
        "application_access",
        sa.Column("application_id", sa.String(), autoincrement=False, nullable=False),
        sa.Column("opened_at", UtcDateTime, autoincrement=False, nullable=False),
        sa.Column("caller", sa.String(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"],
            ["application.application_id"],
            name=op.f("fk_application_access_application_id_application"),
        ),
        sa.PrimaryKeyConstraint("application_id", "opened_at", "caller", name=op.f("pk_application_access")),
    )
    op.create_table(
        "application_document",
        sa.Column("application_id", sa.String(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(), autoincrement=False, nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("added_by", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("added_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"],
            ["application.application_id"],
            name=op.f("fk_application_document_application_id_application"),
        ),
        sa.PrimaryKeyConstraint("application_id", "kind", name=op.f("pk_application_document")),
    )
    op.create_table(
        "application_step",
        sa.Column("application_id", sa.String(), autoincrement=False, nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("taken_by", sa.String(), nullable=False),
        sa.Column("taken_at", UtcDateTime, nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("sealed_note", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["application_id"],
            ["application.application_id"],
            name=op.f("fk_application_step_application_id_application"),
        ),
        sa.PrimaryKeyConstraint("application_id", "ordinal", name=op.f("pk_application_step")),
    )
