"""Four eyes: a dangerous change happens only when other people agreed to exactly that change.

Whoever asks for a change calls `Approvals.require` first. Without an agreement that raises `ApprovalNeeded` and leaves
a request that other operators see with its facts; after they agreed, the same call returns a `Grant`, and the
register uses it up in the transaction of the change. A request is good for one use and for a day. What is compared is
the digest over everything that was shown: who was shown other facts agreed to another change.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

from ecard_card.errors import ApprovalNeeded, InvalidInput, RuleViolation
from ecard_issuer import ports
from ecard_issuer.names import person_key
from ecard_issuer.rows import ApprovalRow, Grant, VoteRow
from ecard_issuer.states import ApprovalState
from ecard_keys.trust.content import canonical_json

LIFE: Final = timedelta(hours=24)
#: Longest reason that is kept with a vote.
MAX_REASON: Final = 200
_OPEN: Final = (ApprovalState.PENDING, ApprovalState.APPROVED)


@dataclass(frozen=True)
class Change:
    """What is to be done: `action` ("key.promote"), what to (`subject`), and the `facts` an approver must see.

    `facts` are plain JSON values and name everything that makes a difference; no secret and no personal data. They
    must not change between asking and doing (no present time, no counts that run), or no approval ever fits.
    """

    action: str
    subject: str
    facts: Mapping[str, object]

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 over the canonical JSON of all three. Raises `InvalidInput` `bad_change`."""
        content = {"action": self.action, "subject": self.subject, "facts": dict(self.facts)}
        try:
            return hashlib.sha256(canonical_json(content)).hexdigest()
        except (TypeError, ValueError):
            raise InvalidInput("bad_change", "the facts of a change are plain JSON values") from None


class Approvals:
    """Asks for agreement, takes votes, and says when a change may be made.

    `needed` people besides the one who asks; 0 switches four eyes off. Every verb raises `Unavailable` where the
    register does not answer.
    """

    def __init__(
        self,
        register: ports.Approvals,
        *,
        needed: int,
        life: timedelta = LIFE,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.needed = needed
        self._register = register
        self._life = life
        self._random = random

    def require(self, change: Change, actor: str, now: datetime) -> Grant | None:
        """The grant to make `change` with; None where nobody else needs to agree.

        Raises `ApprovalNeeded` `approval_needed` with the request's id: it is made once for each change, whoever asks
        and however often. An agreement that fewer people gave than are needed by now does not count. `RuleViolation`
        `approval_too_many_open` for somebody of whom too much waits, `approval_not_usable` where the request's facts
        were altered in the store; `InvalidInput` `bad_operator_name` for an `actor` without a name.
        """
        if self.needed == 0:
            return None
        if not person_key(actor):
            raise InvalidInput("bad_operator_name", "whoever asks for a change has a name")
        asked = self._register.request_approval(
            ApprovalRow(
                request_id=self._random(8).hex(),
                action=change.action,
                subject=change.subject,
                facts=dict(change.facts),
                change_hash=change.digest,
                requester=actor,
                needed=self.needed,
                created_at=now,
                expires_at=now + self._life,
            ),
            now,
        )
        _require_as_shown(asked)
        if asked.state is ApprovalState.APPROVED and asked.needed >= self.needed:
            return Grant(asked.request_id, asked.change_hash)
        raise ApprovalNeeded(
            "approval_needed",
            f"request {asked.request_id}: another admin runs `ecard approval approve {asked.request_id}`,"
            " then run this same command again",
            request_id=asked.request_id,
        )

    def decide(self, request_id: str, approver: str, *, approve: bool, now: datetime, reason: str = "") -> ApprovalRow:
        """One person's vote. A single no ends the request, also one that was approved and not used yet.

        Raises `NotFound` `approval_unknown`; `RuleViolation` `approval_own_request`, `approval_expired`; `Conflict`
        `approval_closed`, `approval_already_voted`; `InvalidInput` `bad_reason` (longer than 200, or unprintable). A
        yes to a request whose facts were altered in the store is a `RuleViolation` `approval_not_usable`.
        """
        if len(reason) > MAX_REASON or not reason.isprintable():
            raise InvalidInput("bad_reason", "a reason is up to 200 printable characters")
        if approve:
            _require_as_shown(self._register.get_approval(request_id))
        return self._register.vote(VoteRow(request_id, approver, approve, now, reason))

    def get(self, request_id: str) -> ApprovalRow:
        """Raises `NotFound` `approval_unknown`."""
        return self._register.get_approval(request_id)

    def votes(self, request_id: str) -> tuple[VoteRow, ...]:
        """Who said what, in order of time; empty for an unknown request."""
        return self._register.votes_of(request_id)

    def list(self, now: datetime, *, every: bool = False) -> tuple[ApprovalRow, ...]:
        """What waits for people, newest first; with `every` also what is over."""
        rows = self._register.list_approvals(undecided=not every)
        return tuple(row for row in rows if every or row.state_at(now) in _OPEN)


def _require_as_shown(row: ApprovalRow) -> None:
    """That the digest is that of the facts which an approver sees. Triggers keep both as they were asked, so this is
    about a row that was made by other means."""
    if Change(row.action, row.subject, row.facts).digest != row.change_hash:
        raise RuleViolation("approval_not_usable", "the facts of this request are not those of its digest")
