"""Credentials made anew under another key: what replaces what, and the permission to do it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ecard_issuer.register.columns import UtcDateTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("plan", sa.Column("replaces", sa.LargeBinary))
    op.add_column("credential", sa.Column("replaced_by", sa.LargeBinary))
    _partial(
        "uq_plan_replaces", "plan", ["card_ref", "replaces"], "state = 'planned' AND replaces IS NOT NULL", unique=True
    )
    _partial(
        "ix_credential_reissue",
        "credential",
        ["key_id", "card_ref", "credential_id"],
        "state = 'live' AND replaced_by IS NULL",
    )
    _partial(
        "ix_credential_replaced", "credential", ["key_id", "card_ref"], "state = 'live' AND replaced_by IS NOT NULL"
    )
    op.create_table(
        "reissue",
        sa.Column("key_id", sa.String, primary_key=True, autoincrement=False),
        sa.Column("end_replaced", sa.Boolean, nullable=False),
        sa.Column("opened_by", sa.String, nullable=False),
        sa.Column("opened_at", UtcDateTime, nullable=False),
    )


def _partial(name: str, table: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)
