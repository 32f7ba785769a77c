"""Port `Operators`: callers and their tokens."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from ecard_issuer.rows import Grant, OperatorRow


class Operators(Protocol):
    def add_operator(self, operator: OperatorRow, *, grant: Grant | None = None) -> None:
        """`Conflict` `operator_exists`; `RuleViolation` `approval_not_usable`."""

    def find_operator(self, token_hash: str) -> OperatorRow | None:
        """None for an unknown or revoked one."""

    def has_operators(self) -> bool: ...

    def list_operators(self) -> tuple[OperatorRow, ...]:
        """Revoked ones too, oldest first."""

    def revoke_operators(self, token_hashes: Collection[str], now: datetime, *, grant: Grant | None = None) -> None:
        """All of them, for ever; a repetition changes nothing. Open requests that somebody without any token left asked
        for or agreed to are refused. `NotFound` `operator_unknown`; `RuleViolation` `approval_not_usable`."""
