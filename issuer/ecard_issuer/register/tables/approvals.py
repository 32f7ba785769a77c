"""Changes that other people must agree to."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, CheckConstraint, Column, ForeignKeyConstraint, Index, Integer, UniqueConstraint

from ecard_issuer.register.columns import TextCode, UtcDateTime
from ecard_issuer.register.schema import key, needed, one_of, table, text_column, texts
from ecard_issuer.states import ApprovalState

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
