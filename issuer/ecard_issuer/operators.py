"""Who may call this service: bearer tokens, shown once and stored as hashes, each with one role."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ecard_card.errors import InvalidInput, NotFound
from ecard_card.jose import b64url_encode
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
    """Makes, finds and revokes callers."""

    def __init__(self, register: Operators, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._register = register
        self._random = random

    def add(self, name: str, role: Role, now: datetime) -> NewOperator:
        """A new caller. Raises `InvalidInput` `bad_operator_name`, `Conflict` `operator_exists`."""
        if not CALLER_NAME.fullmatch(name):
            raise InvalidInput("bad_operator_name", "want 1 to 64 letters, digits, spaces and . _ @ -")
        token = TOKEN_PREFIX + b64url_encode(self._random(32))
        self._register.add_operator(OperatorRow(token_hash(token), name, role.value, now))
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

    def revoke(self, name: str, now: datetime) -> int:
        """Revoke every live token of that name, for ever; says how many. Raises `NotFound` `operator_unknown`."""
        live = [row for row in self.all() if row.name == name and row.revoked_at is None]
        if not live:
            raise NotFound("operator_unknown", "no live caller has this name")
        for row in live:
            self._register.revoke_operator(row.token_hash, now)
        return len(live)
