"""Callers of a service and their tokens: bearer tokens (RFC 6750) kept as hashes only, each with one role."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

#: What a caller may be called; a name may appear in records.
CALLER_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}")


class Role(StrEnum):
    """What a caller is for. An operator may do everything, the others one thing each."""

    OPERATOR = "operator"
    VERIFIER = "verifier"  # follows the feed
    COUNTER = "counter"  # asks for verifications


@dataclass(frozen=True, slots=True)
class Caller:
    """A known caller."""

    name: str
    role: Role


def token_hash(token: str) -> str:
    """Hex SHA-256. A plain hash suffices: a token has 256 random bits, so there is nothing to guess."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
