"""What the routes about approvals take and give, and how a route says in its description that it may need one."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field, StrictStr

from ecard_issuer.web.models import Body


class VoteAnswer(BaseModel):
    """What one person said."""

    approver: str
    approve: bool
    voted_at: datetime
    reason: str


class ApprovalAnswer(BaseModel):
    """A change that somebody asks for, and who agreed to it."""

    id: str = Field(description="16 hex digits; names the request everywhere.")
    state: Literal["pending", "approved", "refused", "used", "expired"]
    action: str = Field(description="What is to be done.", examples=["key.promote"])
    subject: str = Field(description="What to.")
    facts: dict[str, Any] = Field(description="Everything that makes a difference to the decision.")
    change: str = Field(description="Hex SHA-256 over action, subject and facts: an approval fits this change only.")
    requester: str
    needed: int = Field(description="How many people besides the requester must agree.")
    created_at: datetime
    expires_at: datetime = Field(description="Decided and used by then, or over.")
    closed_at: datetime | None = Field(description="When it was used, refused or found expired.")
    votes: list[VoteAnswer]


class ApprovalsAnswer(BaseModel):
    """Requests, newest first."""

    approvals: list[ApprovalAnswer]


class ApprovalWaiting(BaseModel):
    """Nothing was changed yet: other people must agree. Then send the same request again."""

    approval: ApprovalAnswer


class VoteBody(Body):
    """Why, if there is something to say."""

    reason: StrictStr = Field("", max_length=200, description="Kept with the vote; nothing about the holder of a card.")


#: `responses` of a route whose change other people may have to agree to.
NEEDS_APPROVAL: dict[int | str, dict[str, Any]] = {
    202: {
        "model": ApprovalWaiting,
        "description": "Nothing was changed yet: other operators must agree. Then send the same request again.",
    }
}
