"""Who may call this service: bearer tokens, shown once and stored as hashes, each with one role.

Operators are the people of four eyes, so who becomes one is itself decided by four eyes, as soon as there are enough
of them to decide. Before that adding is free, or nobody could ever begin.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ecard_card.errors import Conflict, InvalidInput, NotFound
from ecard_card.jose import b64url_encode
from ecard_issuer.approvals import Approvals, Change
from ecard_issuer.names import person_key
from ecard_issuer.ports import Operators
from ecard_issuer.rows import OperatorRow
from ecard_verifier.callers import CALLER_NAME, Role, token_hash

TOKEN_PREFIX: Final = "ecop_"  # noqa: S105 - tells a leaked token from other text; not a secret
_TOKEN: Final = re.compile(r"ecop_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class NewOperator:
    """A caller just made; `token` is not kept anywhere and cannot be shown again."""

    name: str
    role: Role
    token: str = field(repr=False)


class Desk:
    """Makes, finds and revokes callers; without `approvals` each on the word of one person."""

    def __init__(
        self,
        register: Operators,
        random: Callable[[int], bytes] = secrets.token_bytes,
        approvals: Approvals | None = None,
    ) -> None:
        self._register = register
        self._random = random
        self._approvals = approvals

    def add(self, name: str, role: Role, now: datetime, *, actor: str = "") -> NewOperator:
        """A new caller, asked for by `actor`; a second token under one name is allowed.

        Raises `InvalidInput` `bad_operator_name`, `Conflict` `operator_exists`, `operator_name_confusable` (a known
        name in other case or spaces: two names of one person could agree with each other), `ApprovalNeeded`
        `approval_needed` for an operator once there are enough of them.
        """
        if not CALLER_NAME.fullmatch(name):
            raise InvalidInput("bad_operator_name", "want 1 to 64 letters, digits, spaces and . _ @ -")
        rows = self.all()
        if any(row.name != name and person_key(row.name) == person_key(name) for row in rows):
            raise Conflict("operator_name_confusable", "a caller's name differs from this one only by case or spaces")
        grant = None
        if role is Role.OPERATOR and self._approvals is not None and self._enough(rows):
            known = any(row.name == name and row.revoked_at is None for row in rows)
            facts = {"role": role.value, "further_token_of_a_known_caller": known}
            grant = self._approvals.require(Change("operator.add", name, facts), actor, now)
        token = TOKEN_PREFIX + b64url_encode(self._random(32))
        self._register.add_operator(OperatorRow(token_hash(token), name, role.value, now), grant=grant)
        return NewOperator(name, role, token)

    def first(self, now: datetime) -> NewOperator | None:
        """The first operator of an empty register; None where there are callers already."""
        return None if self._register.has_operators() else self.add("first operator", Role.OPERATOR, now)

    def find(self, token: str) -> OperatorRow | None:
        """Whose token this is; None for a malformed, unknown or revoked one."""
        if not _TOKEN.fullmatch(token):
            return None
        return self._register.find_operator(token_hash(token))

    def all(self) -> tuple[OperatorRow, ...]:
        """Every caller ever made, oldest first."""
        return self._register.list_operators()

    def revoke(self, name: str, now: datetime, *, actor: str = "") -> int:
        """Revoke every live token of that name, for ever; says how many.

        Raises `NotFound` `operator_unknown`, and `ApprovalNeeded` `approval_needed` where it would shut an operator
        out and there are enough of them: else one could revoke the others and then decide alone.
        """
        rows = self.all()
        live = [row for row in rows if row.name == name and row.revoked_at is None]
        if not live:
            raise NotFound("operator_unknown", "no live caller has this name")
        grant = None
        operators = sum(row.role == Role.OPERATOR for row in live)
        if operators and self._approvals is not None and self._enough(rows):
            made = [row.created_at.isoformat() for row in live]
            grant = self._approvals.require(Change("operator.revoke", name, {"tokens_made_at": made}), actor, now)
        self._register.revoke_operators([row.token_hash for row in live], now, grant=grant)
        return len(live)

    def guarded(self, role: Role) -> bool:
        """Whether adding a caller of this role, or revoking one, takes more than one person now."""
        return role is Role.OPERATOR and self._approvals is not None and self._enough(self.all())

    def _enough(self, rows: Collection[OperatorRow]) -> bool:
        """Whether there are as many people as it takes to ask and to agree."""
        people = {person_key(row.name) for row in rows if row.role == Role.OPERATOR and row.revoked_at is None}
        needed = self._approvals.needed if self._approvals is not None else 0
        return needed > 0 and len(people) > needed
