"""Where a channel stands."""

from __future__ import annotations

from enum import StrEnum


class ChannelState(StrEnum):
    """An application is decided once; an admitted channel may be suspended and resumed."""

    APPLIED = "applied"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    REFUSED = "refused"
