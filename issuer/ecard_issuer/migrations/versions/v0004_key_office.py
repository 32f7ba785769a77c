"""What happens to keys after they sign: times, schedules, root documents; and what people must agree to.

The triggers hold for every client of the database, `psql` and `sqlite3` too. The moment that a retirement is judged at
is the one it is recorded with, and the database's own clock where none is.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_TIMES = ("published_at", "retired_at", "compromised_at", "destroyed_at")


def _age(row: str) -> str:
    """How far a key is in its life, as SQL; any key may be declared stolen."""
    return (
        f"(CASE {row}.state WHEN 'generated' THEN 0 WHEN 'next' THEN 1 WHEN 'active' THEN 2 WHEN 'verify-only' THEN 3"
        " WHEN 'retired' THEN 4 WHEN 'destroyed' THEN 5 WHEN 'compromised' THEN 6 ELSE -1 END)"
    )


#: Rules as SQL that both engines read: name, table, when (`BEFORE` is said below), condition, message.
_RULES = (
    (
        "signing_key_named",
        "signing_key",
        "UPDATE",
        """NEW.purpose = 'credential' AND NEW.state IN ('retired', 'destroyed') AND OLD.state <> NEW.state AND (
            EXISTS (SELECT 1 FROM credential WHERE key_id = NEW.kid AND state = 'live'
                    AND expires_at > COALESCE(NEW.retired_at, CURRENT_TIMESTAMP))
            OR EXISTS (SELECT 1 FROM plan WHERE key_id = NEW.kid AND state = 'planned'))""",
        "live credentials or open plans name this key",
    ),
    (
        "signing_key_final",
        "signing_key",
        "UPDATE",
        f"{_age('NEW')} < {_age('OLD')}",
        "the life of a key runs one way",
    ),
    (
        "signing_key_fixed",
        "signing_key",
        "UPDATE",
        """OLD.purpose <> NEW.purpose OR OLD.kid <> NEW.kid OR OLD.public <> NEW.public
            OR OLD.algorithm <> NEW.algorithm OR COALESCE(OLD.user_id, '') <> COALESCE(NEW.user_id, '')""",
        "a key stays the key it is",
    ),
    (
        "signing_key_kept",
        "signing_key",
        "DELETE",
        "OLD.state <> 'generated'",
        "a key that was ever published is kept for ever",
    ),
    (
        "approval_new",
        "approval",
        "INSERT",
        "NEW.state <> 'pending'",
        "a request begins undecided",
    ),
    (
        "approval_decided",
        "approval",
        "UPDATE",
        "OLD.state IN ('refused', 'used', 'expired')",
        "this request was decided",
    ),
    (
        "approval_fixed",
        "approval",
        "UPDATE",
        """OLD.request_id <> NEW.request_id OR OLD.change_hash <> NEW.change_hash OR OLD.needed <> NEW.needed
            OR OLD.requester <> NEW.requester OR OLD.requester_key <> NEW.requester_key
            OR OLD.expires_at <> NEW.expires_at OR OLD.action <> NEW.action OR OLD.subject <> NEW.subject
            OR CAST(OLD.facts AS text) <> CAST(NEW.facts AS text)""",
        "what was asked does not change",
    ),
    (
        "approval_borne_out",
        "approval",
        "UPDATE",
        """(OLD.state = 'approved' AND NEW.state = 'pending')
            OR (NEW.state = 'used' AND OLD.state <> 'approved')
            OR (NEW.state IN ('approved', 'used') AND NEW.needed > (
                SELECT count(*) FROM approval_vote WHERE request_id = NEW.request_id AND approve = TRUE))""",
        "the votes do not say so",
    ),
    ("approval_kept", "approval", "DELETE", "TRUE", "requests are kept"),
    (
        "approval_vote_closed",
        "approval_vote",
        "INSERT",
        """NOT EXISTS (SELECT 1 FROM approval WHERE request_id = NEW.request_id
            AND state IN ('pending', 'approved') AND expires_at > NEW.voted_at)""",
        "this request was decided, or is over",
    ),
    ("approval_vote_fixed", "approval_vote", "UPDATE", "TRUE", "a vote stays as it was cast"),
    ("approval_vote_kept", "approval_vote", "DELETE", "TRUE", "votes are kept"),
)

#: Two keys that cannot both be there, as SQL: one signs, one waits.
_RIVALS = """(state = 'active' AND NEW.state = 'active'
    OR state IN ('generated', 'next') AND NEW.state IN ('generated', 'next'))"""

#: SQLite lets a client say OR REPLACE, which takes the row in the way out without asking the triggers of DELETE. Table,
#: verb, and which row is in the way. Of an INSERT nothing comes then: that is also what DO NOTHING means.
_UNREPLACED = (
    (
        "signing_key",
        "INSERT",
        f"(SELECT count(*) FROM signing_key WHERE purpose = NEW.purpose AND (kid = NEW.kid OR {_RIVALS})) > 0",  # noqa: S608 - of constants
        "IGNORE",
    ),
    (
        "signing_key",
        "UPDATE",
        f"(SELECT count(*) FROM signing_key WHERE purpose = NEW.purpose AND kid <> NEW.kid AND {_RIVALS}) > 0",  # noqa: S608 - of constants
        "ABORT, 'one is there'",
    ),
    ("approval", "INSERT", "(SELECT count(*) FROM approval WHERE request_id = NEW.request_id) > 0", "IGNORE"),
    (
        "approval_vote",
        "INSERT",
        """(SELECT count(*) FROM approval_vote
            WHERE request_id = NEW.request_id AND approver_key = NEW.approver_key) > 0""",
        "IGNORE",
    ),
)


def upgrade() -> None:
    _keys()
    _documents()
    _approvals()
    for rule in _RULES:
        _trigger(*rule)
    if _on_sqlite():
        for table, verb, condition, end in _UNREPLACED:
            op.execute(
                f"CREATE TRIGGER {table}_{verb.lower()}_replaces_nothing BEFORE {verb} ON {table}"
                f" WHEN {condition} BEGIN SELECT RAISE({end}); END"
            )


def _keys() -> None:
    added: list[sa.Column[Any]] = [
        sa.Column("user_id", sa.LargeBinary(), nullable=True),
        *(sa.Column(name, sa.DateTime(timezone=True), nullable=True) for name in _TIMES),
    ]
    recreate: Literal["always", "never"] = "always" if _on_sqlite() else "never"
    op.drop_index("uq_signing_key_active", "signing_key")
    op.drop_index("uq_signing_key_next", "signing_key")
    with op.batch_alter_table("signing_key", recreate=recreate) as batch:
        for column in added:
            batch.add_column(column)
    for name, where in (("active", "state = 'active'"), ("next", "state IN ('generated', 'next')")):
        condition = sa.text(where)
        op.create_index(
            f"uq_signing_key_{name}",
            "signing_key",
            ["purpose"],
            unique=True,
            sqlite_where=condition,
            postgresql_where=condition,
        )
    # Every key of before was published when it was made. When one was retired was not written down: it counts from
    # this upgrade, so that nothing is destroyed too early.
    now = datetime.now(UTC)
    keys = sa.table(
        "signing_key",
        sa.column("state"),
        sa.column("created_at"),
        sa.column("compromised_from"),
        *(sa.column(name, sa.DateTime(timezone=True)) for name in _TIMES),
    )
    op.execute(keys.update().values(published_at=keys.c.created_at))
    op.execute(keys.update().where(keys.c.state == "retired").values(retired_at=now))
    stolen = keys.c.state == "compromised"
    op.execute(keys.update().where(stolen).values(compromised_at=sa.func.coalesce(keys.c.compromised_from, now)))


def _documents() -> None:
    op.create_table(
        "key_schedule",
        sa.Column("purpose", sa.String(), autoincrement=False, nullable=False),
        sa.Column("every", sa.BigInteger(), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("every > 0", name=op.f("ck_key_schedule_every")),
        sa.PrimaryKeyConstraint("purpose", name="pk_key_schedule"),
    )
    op.create_table(
        "trust_root",
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_trust_root"),
    )


def _approvals() -> None:
    op.create_table(
        "approval",
        sa.Column("request_id", sa.String(), autoincrement=False, nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("change_hash", sa.String(), nullable=False),
        sa.Column("requester", sa.String(), nullable=False),
        sa.Column("requester_key", sa.String(), nullable=False),
        sa.Column("needed", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'approved', 'refused', 'used', 'expired')", name=op.f("ck_approval_state")
        ),
        sa.CheckConstraint("needed > 0", name=op.f("ck_approval_needed")),
        sa.PrimaryKeyConstraint("request_id", name="pk_approval"),
        sa.UniqueConstraint("request_id", "requester_key", name="uq_approval_request_id_requester_key"),
    )
    op.create_index("ix_approval_created_at", "approval", ["created_at"])
    op.create_table(
        "open_approval",
        sa.Column("change_hash", sa.String(), autoincrement=False, nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("change_hash", name="pk_open_approval"),
    )
    op.create_table(
        "approval_vote",
        sa.Column("request_id", sa.String(), autoincrement=False, nullable=False),
        sa.Column("approver_key", sa.String(), autoincrement=False, nullable=False),
        sa.Column("approver", sa.String(), nullable=False),
        sa.Column("requester_key", sa.String(), nullable=False),
        sa.Column("approve", sa.Boolean(), nullable=False),
        sa.Column("voted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.CheckConstraint("approver_key <> requester_key", name=op.f("ck_approval_vote_not_own")),
        sa.ForeignKeyConstraint(
            ["request_id", "requester_key"],
            ["approval.request_id", "approval.requester_key"],
            name="fk_approval_vote_request_id_approval",
        ),
        sa.PrimaryKeyConstraint("request_id", "approver_key", name="pk_approval_vote"),
    )


def _trigger(name: str, table: str, verb: str, condition: str, message: str) -> None:
    """Refuse `verb` on a row of `table` while `condition` holds. Both engines report it as a broken constraint."""
    if _on_sqlite():
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {verb} ON {table} WHEN {condition} "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
        return
    kept = "OLD" if verb == "DELETE" else "NEW"
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {condition} THEN "
        f"RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN {kept}; END $$"
    )
    op.execute(f"CREATE TRIGGER {name} BEFORE {verb} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")


def _on_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"
