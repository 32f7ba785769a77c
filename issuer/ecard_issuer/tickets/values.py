"""A ticket and the session that comes of it: one row, from its making to its end."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

#: How long a ticket waits for its page, and how long a session lasts; another ticket opens another session.
TICKET_LIFE: Final = timedelta(seconds=30)
SESSION_LIFE: Final = timedelta(minutes=10)
#: Codes that a page may hold ahead, whatever a region permits.
MOST_AHEAD: Final = 5

_SECRET: Final = re.compile(r"et_[A-Za-z0-9_-]{43}")


class Ending(StrEnum):
    """Why a session ended before its time."""

    REUSED = "reused"  # its ticket came a second time: one of the two was not the page
    STRAY = "stray"  # its ticket came from another page than it was made for


@dataclass(frozen=True, slots=True)
class ShowSession:
    """`session_id` (32 hex digits) follows from the ticket, so a ticket opens one session and no other.

    `origin` is that of the page, as browsers write it; None for a mini-program, which has none. `status_uri` and
    `status_index` name the status entry of the credential that is shown, once there is one.
    """

    session_id: str
    app_id: str
    link_id: str
    origin: str | None
    issued_at: datetime
    redeem_by: datetime
    opened_at: datetime | None = None
    expires_at: datetime | None = None
    token_hash: str | None = field(default=None, repr=False)
    status_uri: str | None = None
    status_index: int | None = None
    ended_at: datetime | None = None
    ending: Ending | None = None

    def open(self, now: datetime) -> bool:
        """Whether it was opened, did not end, and is not over."""
        return self.expires_at is not None and self.ended_at is None and now < self.expires_at


@dataclass(frozen=True, slots=True)
class Ticket:
    """What the channel's back end hands to its page, once."""

    secret: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A session with the token that speaks for it, which is kept by the page alone."""

    session: ShowSession
    token: str = field(repr=False)


def session_of(secret: str) -> str | None:
    """The id of the session that a ticket opens; None for what is no ticket of ours."""
    return _digest("ecard-ticket:" + secret)[:32] if _SECRET.fullmatch(secret) else None


def hash_of(token: str) -> str:
    """What is stored of a session's token."""
    return _digest("ecard-session:" + token)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
