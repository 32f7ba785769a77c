"""The states of what comes in. Their values stand in the database: add, never rename."""

from __future__ import annotations

from enum import StrEnum


class Delivery(StrEnum):
    """How a source's events come."""

    PUSH = "push"  # RFC 8935: it sends them
    POLL = "poll"  # RFC 8936: we ask for them


class ExceptionState(StrEnum):
    """Of something that a person must see."""

    OPEN = "open"
    RESOLVED = "resolved"  # a later try went through
    DISMISSED = "dismissed"  # a person decided that nothing follows
