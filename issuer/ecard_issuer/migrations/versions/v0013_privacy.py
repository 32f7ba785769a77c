"""Policies of regions, which are only added to; erasures and exports; what retention looks for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ecard_issuer.register.columns import UtcDateTime

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "region_policy",
        sa.Column("book", sa.String, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("region", sa.String, nullable=False),
        sa.Column("effective_from", UtcDateTime, nullable=False),
        sa.Column("document", sa.String, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("set_by", sa.String, nullable=False),
        sa.Column("set_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_region_policy_book_region", "region_policy", ["book", "region"])
    op.create_table(
        "erasure",
        sa.Column("erasure_id", sa.String, primary_key=True, autoincrement=False),
        sa.Column("ground", sa.String, nullable=False),
        sa.Column("proof", sa.String, nullable=False),
        sa.Column("asked_by", sa.String, nullable=False),
        sa.Column("erased_at", UtcDateTime, nullable=False),
        sa.CheckConstraint(
            "ground IN ('request', 'death', 'emigration', 'mistake', 'order', 'repeated')",
            name=op.f("ck_erasure_ground"),
        ),
    )
    op.create_table(
        "erased_person",
        sa.Column("former_ref", sa.String, primary_key=True, autoincrement=False),
        sa.Column("key_mark", sa.String, primary_key=True, autoincrement=False),
        sa.Column("erased_at", UtcDateTime, nullable=False),
    )
    op.create_index(
        "ix_erased_person_erased_at_former_ref_key_mark", "erased_person", ["erased_at", "former_ref", "key_mark"]
    )
    op.create_table(
        "subject_export",
        sa.Column("holder_ref", sa.String, primary_key=True, autoincrement=False),
        sa.Column("export_id", sa.String, primary_key=True, autoincrement=False),
        sa.Column("caller", sa.String, nullable=False),
        sa.Column("ground", sa.String, nullable=False),
        sa.Column("mandate_id", sa.String, nullable=True),
        sa.Column("made_at", UtcDateTime, nullable=False),
        sa.CheckConstraint("ground IN ('own', 'guardian', 'mandate', 'agency')", name=op.f("ck_subject_export_ground")),
    )
    op.create_index(
        "ix_subject_export_made_at_holder_ref_export_id", "subject_export", ["made_at", "holder_ref", "export_id"]
    )
    op.create_index("ix_enrolment_card_ref", "enrolment", ["card_ref"])
    op.create_index("ix_enrolment_expires_at_enrolment_id", "enrolment", ["expires_at", "enrolment_id"])
    condition = sa.text("length(evidence) > 0")
    op.create_index(
        "ix_binding_history_evidence",
        "binding_history",
        ["ended_at", "card_ref", "ecard_id"],
        sqlite_where=condition,
        postgresql_where=condition,
    )
    for verb in ("UPDATE", "DELETE"):
        _refuse(f"tr_region_policy_no_{verb.lower()}", "region_policy", verb, "a policy that was set stays as it was")


def _refuse(name: str, table: str, verb: str, message: str) -> None:
    """Refuse `verb` on every row of `table`. Both engines report it as a broken constraint."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"CREATE TRIGGER {name} BEFORE {verb} ON {table} BEGIN SELECT RAISE(ABORT, '{message}'); END")
        return
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(f"CREATE TRIGGER {name} BEFORE {verb} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")
