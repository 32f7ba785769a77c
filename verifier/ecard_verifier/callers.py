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
    """What a caller is for. An operator may do everything, the others what their work needs."""

    OPERATOR = "operator"
    VERIFIER = "verifier"  # follows the feed
    COUNTER = "counter"  # asks for verifications
    DESK = "desk"  # a clerk at a service outlet
    HOTLINE = "hotline"  # answers 12333
    CHANNEL = "channel"  # the back end of an app, a website, a kiosk
    INSTITUTION = "institution"  # a designated hospital or pharmacy
    AGENCY = "agency"  # an employer, community or school that applies for its people
    SOURCE = "source"  # the physical card system
    RELYING = "relying"  # a service that people use on the strength of their card
    PARTNER = "partner"  # is told when something changes
    MERCHANT = "merchant"  # manages one group of merchants


#: Those who have codes verified; a verifier by itself knows no others.
VERIFIER_ROLES: Final = (Role.OPERATOR, Role.VERIFIER, Role.COUNTER)


@dataclass(frozen=True, slots=True)
class Caller:
    """A known caller. `group` is the group of merchants that it belongs to, None for everybody else."""

    name: str
    role: Role
    group: str | None = None


def token_hash(token: str) -> str:
    """Hex SHA-256. A plain hash suffices: a token has 256 random bits, so there is nothing to guess."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
