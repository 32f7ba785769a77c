"""The card's life: changes from several origins, the holder's own word, cases, and what time alone changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ecard_issuer.register.columns import UtcDateTime

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    _origins()
    _words()
    _cases()
    op.create_table(
        "policy_review",
        sa.Column("scope", sa.String, primary_key=True, autoincrement=False),
        sa.Column("since", UtcDateTime, nullable=False),
        sa.Column("until", UtcDateTime),
        sa.Column("regions", sa.JSON, nullable=False),
        sa.Column("after_region", sa.String, nullable=False),
        sa.Column("after_card", sa.String, nullable=False),
    )


def _origins() -> None:
    with op.batch_alter_table("card_event") as batch:
        batch.add_column(sa.Column("source", sa.String))
        batch.add_column(sa.Column("source_sequence", sa.BigInteger))
    op.execute("UPDATE card_event SET source = ''")
    with op.batch_alter_table("card_event") as batch:
        batch.alter_column("source", existing_type=sa.String(), nullable=False)
        batch.drop_constraint("uq_card_event_card_ref_event_id", type_="unique")
        batch.create_unique_constraint("uq_card_event_card_ref_source_event_id", ["card_ref", "source", "event_id"])
        batch.create_unique_constraint(
            "uq_card_event_card_ref_source_source_sequence", ["card_ref", "source", "source_sequence"]
        )


def _words() -> None:
    for name in ("holder_locked", "consented", "replacing"):
        op.add_column("card", sa.Column(name, sa.Boolean))
    op.add_column("card", sa.Column("expiry_due", sa.Date))
    op.execute("UPDATE card SET expiry_due = expires_on")
    op.create_index("ix_card_region_card_ref", "card", ["region", "card_ref"])
    _partial("ix_card_expiry_due", "card", ["expiry_due", "card_ref"], "expiry_due IS NOT NULL")


def _cases() -> None:
    op.create_table(
        "card_case",
        sa.Column("card_ref", sa.String, sa.ForeignKey("card.card_ref", name="fk_card_case_card_ref_card")),
        sa.Column("case_id", sa.String),
        *(sa.Column(name, sa.String, nullable=False) for name in ("kind", "state", "why", "fingerprint", "caller")),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("ground", sa.String, nullable=False),
        sa.Column("mandate_id", sa.String),
        sa.Column("applied", sa.Boolean, nullable=False),
        sa.Column("opened_at", UtcDateTime, nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.Column("due_at", UtcDateTime),
        *(sa.Column(name, sa.String) for name in ("due_end", "new_card_ref", "new_holder_ref")),
        sa.Column("steps", sa.JSON, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.CheckConstraint(
            "kind IN ('loss', 'release', 'replacement', 'cancellation', 'holder_lock', 'consent')",
            name="kind",
        ),
        sa.CheckConstraint(
            "state IN ('done', 'open', 'ended', 'ordered', 'made', 'ready', 'collected', 'withdrawn')",
            name="state",
        ),
        sa.PrimaryKeyConstraint("card_ref", "case_id", name="pk_card_case"),
    )
    _partial("ix_card_case_due_at", "card_case", ["due_at"], "due_at IS NOT NULL")
    under_way = "kind = 'replacement' AND state IN ('ordered', 'made', 'ready')"
    _partial("uq_card_case_replacement", "card_case", ["card_ref"], under_way, unique=True)
    op.create_table(
        "card_case_directory",
        sa.Column("case_id", sa.String, primary_key=True, autoincrement=False),
        sa.Column("card_ref", sa.String, nullable=False),
    )


def _partial(name: str, table: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)
