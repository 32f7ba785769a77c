"""What leaves the register: status lists, outbox and feed, keys, trust lists; and the operators."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def _partial_index(name: str, table: str, columns: list[str], condition: str, *, unique: bool = False) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)


def upgrade() -> None:
    op.create_table(
        "status_list",
        sa.Column("list_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('open', 'full')", name=op.f("ck_status_list_state")),
        sa.PrimaryKeyConstraint("list_id", name="pk_status_list"),
    )
    _partial_index("ix_status_list_open", "status_list", ["list_id"], "state = 'open'")
    op.create_table(
        "status_entry",
        sa.Column("list_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("card_ref", sa.String(), nullable=False),
        sa.Column("plan_id", sa.String(), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=True),
        sa.Column("value", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(["list_id"], ["status_list.list_id"], name="fk_status_entry_list_id_status_list"),
        sa.PrimaryKeyConstraint("list_id", "index", name="pk_status_entry"),
    )
    _partial_index("ix_status_entry_not_valid", "status_entry", ["list_id", "index", "value"], "value <> 0")
    op.create_table(
        "outbox",
        sa.Column("card_ref", sa.String(), autoincrement=False, nullable=False),
        sa.Column("outbox_id", sa.String(), autoincrement=False, nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dispatched_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("card_ref", "outbox_id", name="pk_outbox"),
        sa.UniqueConstraint("card_ref", "ordinal", name="uq_outbox_card_ref_ordinal"),
    )
    _partial_index("ix_outbox_waiting", "outbox", ["outbox_id"], "dispatched_at IS NULL")
    _partial_index("ix_outbox_waiting_card", "outbox", ["card_ref", "ordinal"], "dispatched_at IS NULL")
    op.create_table(
        "feed_head",
        sa.Column("stream", sa.String(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("stream", name="pk_feed_head"),
    )
    op.create_table(
        "feed",
        sa.Column("stream", sa.String(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("outbox_id", sa.String(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["stream"], ["feed_head.stream"], name="fk_feed_stream_feed_head"),
        sa.PrimaryKeyConstraint("stream", "seq", name="pk_feed"),
        sa.UniqueConstraint("stream", "outbox_id", "part", name="uq_feed_stream_outbox_id_part"),
    )
    op.create_table(
        "signing_key",
        sa.Column("purpose", sa.String(), autoincrement=False, nullable=False),
        sa.Column("kid", sa.String(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("public", sa.LargeBinary(), nullable=False),
        sa.Column("algorithm", sa.String(), nullable=False),
        sa.Column("home", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retired_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("compromised_from", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("purpose", "kid", name="pk_signing_key"),
    )
    _partial_index("uq_signing_key_active", "signing_key", ["purpose"], "state = 'active'", unique=True)
    op.create_table(
        "trust_list",
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_trust_list"),
    )
    op.create_table(
        "operator",
        sa.Column("token_hash", sa.String(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("token_hash", name="pk_operator"),
    )
