"""Callers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class OperatorRow:
    token_hash: str = field(repr=False)
    name: str
    role: str
    created_at: datetime
    revoked_at: datetime | None = None
