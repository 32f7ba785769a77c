"""What comes from the physical card system: sources, exceptions, gaps, files read, comparisons made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ecard_issuer.register.columns import TextTuple, UtcDateTime

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "event_source",
        sa.Column("name", sa.String, nullable=False),
        sa.Column("issuer", sa.String, nullable=False),
        sa.Column("jwks", sa.JSON, nullable=False),
        sa.Column("regions", TextTuple, nullable=False),
        sa.Column("audience", sa.String, nullable=False),
        sa.Column("delivery", sa.String, nullable=False),
        sa.Column("poll_url", sa.String),
        sa.Column("wrapped_key", sa.LargeBinary),
        sa.Column("sealed_token", sa.LargeBinary),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("created_by", sa.String, nullable=False),
        sa.Column("ended_at", UtcDateTime),
        sa.CheckConstraint("delivery IN ('push', 'poll')", name=op.f("ck_event_source_delivery")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_event_source")),
    )
    op.create_table(
        "intake_exception",
        sa.Column("exception_ref", sa.String, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("code", sa.String, nullable=False),
        sa.Column("event_id", sa.String, nullable=False),
        sa.Column("card_ref", sa.String),
        sa.Column("number_mac", sa.String),
        sa.Column("region", sa.String),
        sa.Column("change", sa.String),
        sa.Column("sequence", sa.BigInteger),
        sa.Column("successor_ref", sa.String),
        sa.Column("successor_mac", sa.String),
        sa.Column("occurred_at", UtcDateTime),
        sa.Column("first_seen", UtcDateTime, nullable=False),
        sa.Column("last_seen", UtcDateTime, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("next_try_at", UtcDateTime),
        sa.Column("tries", sa.SmallInteger, nullable=False),
        sa.Column("decided_by", sa.String),
        sa.Column("decided_at", UtcDateTime),
        sa.Column("decision", sa.String, nullable=False),
        sa.CheckConstraint("state IN ('open', 'resolved', 'dismissed')", name=op.f("ck_intake_exception_state")),
        sa.PrimaryKeyConstraint("exception_ref", name=op.f("pk_intake_exception")),
    )
    _partial("ix_intake_exception_open", "intake_exception", ["first_seen", "exception_ref"], "state = 'open'")
    _partial(
        "ix_intake_exception_due",
        "intake_exception",
        ["next_try_at"],
        "state = 'open' AND next_try_at IS NOT NULL",
    )
    _partial("ix_intake_exception_card", "intake_exception", ["card_ref"], "state = 'open'")
    _partial("ix_intake_exception_number", "intake_exception", ["number_mac"], "state = 'open'")
    _partial("ix_intake_exception_new_card", "intake_exception", ["successor_ref"], "state = 'open'")
    _partial("ix_intake_exception_new_number", "intake_exception", ["successor_mac"], "state = 'open'")
    op.create_table(
        "intake_gap",
        sa.Column("card_ref", sa.String, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("first", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("noticed_at", UtcDateTime, nullable=False),
        sa.Column("closed_at", UtcDateTime),
        sa.PrimaryKeyConstraint("card_ref", "source", "first", name=op.f("pk_intake_gap")),
    )
    _partial("ix_intake_gap_open", "intake_gap", ["source", "noticed_at"], "closed_at IS NULL")
    op.create_table(
        "import_run",
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("prefix_digest", sa.String, nullable=False),
        sa.Column("counts", sa.JSON, nullable=False),
        sa.Column("finished", sa.Boolean, nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_import_run")),
    )
    op.create_index(op.f("ix_import_run_kind_source"), "import_run", ["kind", "source"])
    op.create_table(
        "reconciliation",
        sa.Column("report_digest", sa.String, nullable=False),
        sa.Column("region", sa.String, nullable=False),
        sa.Column("compared", sa.BigInteger, nullable=False),
        sa.Column("counts", sa.JSON, nullable=False),
        sa.Column("made_at", UtcDateTime, nullable=False),
        sa.Column("repaired_at", UtcDateTime),
        sa.Column("repaired_by", sa.String),
        sa.Column("repairs", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("report_digest", name=op.f("pk_reconciliation")),
    )
    op.create_index(op.f("ix_reconciliation_made_at"), "reconciliation", ["made_at"])


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)
