"""Port `Approvals`: changes that other people must agree to."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from ecard_issuer.rows import ApprovalRow, Grant, VoteRow


class Approvals(Protocol):
    """Names of people are compared by `ecard_issuer.names.person_key`: case, spaces and Unicode forms tell nobody
    apart."""

    def request_approval(self, request: ApprovalRow, now: datetime) -> ApprovalRow:
        """The open request (pending or approved, not expired) for this change, or this one, now stored.

        `RuleViolation` `approval_too_many_open`: whoever asks has 50 open ones, as many as a list shows in part."""

    def get_approval(self, request_id: str) -> ApprovalRow:
        """`NotFound` `approval_unknown`."""

    def list_approvals(self, limit: int = 200, *, undecided: bool = False) -> tuple[ApprovalRow, ...]:
        """Newest first; with `undecided` only those that nobody closed."""

    def votes_of(self, request_id: str) -> tuple[VoteRow, ...]:
        """In order of time."""

    def vote(self, vote: VoteRow) -> ApprovalRow:
        """Say yes to a pending request (the last that is needed approves it), or no to one that is not used yet.

        `NotFound` `approval_unknown`; `RuleViolation` `approval_own_request`, `approval_expired`; `Conflict`
        `approval_already_voted`, `approval_closed`; `NotAllowed` `not_allowed` for an operator who was revoked."""

    def use_approval(self, grant: Grant, now: datetime) -> None:
        """Use an approval up for a change outside the register. `RuleViolation` `approval_not_usable`."""
