"""What binds an access token to its holder."""

from __future__ import annotations

from enum import StrEnum


class Confirmation(StrEnum):
    """What proves that a token is used by its holder: the member of `cnf` (RFC 7800 §3.1)."""

    DPOP = "jkt"  # RFC 9449 §6.1
    CERTIFICATE = "x5t#S256"  # RFC 8705 §3.1
