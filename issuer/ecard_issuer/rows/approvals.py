"""Changes that other people must agree to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ecard_issuer.states import ApprovalState


@dataclass(frozen=True, slots=True)
class Grant:
    """An approval that is to be used up by the very change that was approved."""

    request_id: str
    change_hash: str


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """One change that other people are asked to agree to. `change_hash` is hex SHA-256 over action, subject and facts;
    `facts` is what those people are shown."""

    request_id: str
    action: str
    subject: str
    facts: Mapping[str, object]
    change_hash: str
    requester: str
    needed: int  # approvers besides the requester
    created_at: datetime
    expires_at: datetime
    state: ApprovalState = ApprovalState.PENDING
    closed_at: datetime | None = None  # when it was used, refused or found expired

    def state_at(self, now: datetime) -> ApprovalState:
        """The state, where time itself may have ended it."""
        is_open = self.state in (ApprovalState.PENDING, ApprovalState.APPROVED)
        return ApprovalState.EXPIRED if is_open and now >= self.expires_at else self.state


@dataclass(frozen=True, slots=True)
class VoteRow:
    request_id: str
    approver: str
    approve: bool
    voted_at: datetime
    reason: str = ""
