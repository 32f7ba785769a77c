"""How much each caller may have signed in an hour: what bounds a caller that was taken over.

Hours are those of the UTC clock. What was spent is counted again from the journal at start, so that a restart gives
nothing away. The limits lie in `quotas.json` beside the journal and are read anew when that file changes.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ecard_card import jose
from ecard_card.errors import InvalidInput, Unavailable
from ecard_keys.desk.journal import Outcome, Record
from ecard_keys.trust.content import canonical_json

FILE: Final = "quotas.json"
FORMAT: Final = "ecard-quotas/1"
MAX_LIMIT: Final = 1_000_000_000
#: The profile under which new keys count.
CREATE: Final = "create"
#: The profile under which refused drafts count. Beyond it they are refused all the same, and not written down.
REFUSED: Final = "refused"
#: Documents per caller and hour where nothing else was set. A credential counts once, in both its formats.
DEFAULTS: Final[Mapping[str, int]] = {
    "credential": 2_000_000,
    "status-list": 200_000,
    "status-delta": 20_000,
    "feed-snapshot": 60,
    "event": 10_000_000,
    "confirmation": 2_000_000,
    "partner-event": 10_000_000,
    "login-token": 2_000_000,
    "login-request": 2_000_000,
    "settlement": 1_000_000,
    CREATE: 60,
    REFUSED: 10_000,
}
#: Hours that are remembered, for clocks that go back.
_HOURS: Final = 48
#: Drafts of which one document consists.
_DRAFTS_EACH: Final = {"credential": 2}

#: Caller and profile.
Limits = dict[tuple[str, str], int]


class Quotas:
    """Counts per caller, profile and hour. `limits` holds good until `path` says otherwise. Safe in threads.

    `spent` are journal lines of this hour or earlier. The file at `path` need not exist.
    """

    def __init__(
        self,
        path: Path | None = None,
        limits: Mapping[tuple[str, str], int] | None = None,
        spent: Iterable[Record] = (),
    ) -> None:
        self._path = path
        self._given = dict(limits or {})
        self._limits: Limits = {}
        self._mark: tuple[int, ...] | None = None
        self._spent: dict[int, dict[tuple[str, str], int]] = {}  # by hour
        self._thread = threading.Lock()
        for record in spent:
            if record.outcome is not Outcome.TORN:
                self._add(record.at // 3600, record.caller, *_cost(record))

    def take(self, caller: str, profile: str, count: int, now: datetime) -> None:
        """Spend `count` documents of this hour, or nothing. `now` is aware UTC.

        Raises `Unavailable` `signing_quota_spent`, `signing_quotas_unreadable`.
        """
        with self._thread:
            self._read()
            hour = int(now.timestamp()) // 3600
            # What later hours took counts too: a clock set back gives nothing, and one that was far ahead for a moment
            # takes no more than was signed in that moment.
            spent = sum(taken.get((caller, profile), 0) for of, taken in self._spent.items() if of >= hour)
            if spent + count > self._limit(caller, profile):
                raise Unavailable("signing_quota_spent", f"{caller} has spent this hour's quota of {profile}")
            self._add(hour, caller, profile, count)

    def limit(self, caller: str, profile: str) -> int:
        """The documents of `profile` that `caller` may have signed in an hour."""
        with self._thread:
            self._read()
            return self._limit(caller, profile)

    def _limit(self, caller: str, profile: str) -> int:
        for limits in (self._limits, self._given):
            if (caller, profile) in limits:
                return limits[caller, profile]
        return DEFAULTS.get(profile, 0)

    def _add(self, hour: int, caller: str, profile: str, count: int) -> None:
        taken = self._spent.setdefault(hour, {})
        taken[caller, profile] = taken.get((caller, profile), 0) + count
        if len(self._spent) > _HOURS:
            del self._spent[min(self._spent)]

    def _read(self) -> None:
        if self._path is None:
            return
        try:
            status = os.stat(self._path)
            mark: tuple[int, ...] | None = (status.st_ino, status.st_size, status.st_mtime_ns)
        except FileNotFoundError:
            mark = None
        except OSError as error:
            raise Unavailable("signing_quotas_unreadable", f"the file of quotas: errno {error.errno}") from None
        if mark != self._mark:
            self._limits, self._mark = load(self._path), mark


def documents(profile: str, drafts: int) -> int:
    """How many documents so many drafts are."""
    return drafts // _DRAFTS_EACH.get(profile, 1)


def _cost(record: Record) -> tuple[str, int]:
    """The profile under which a line counts, and how much it took."""
    match record.outcome:
        case Outcome.CREATING:
            return CREATE, 1
        case Outcome.REFUSED:
            return REFUSED, len(record.drafts)
        case _:
            return record.profile, documents(record.profile, len(record.drafts))


def load(path: Path) -> Limits:
    """The limits in the file at `path`; none where there is no file.

    Raises `Unavailable` `signing_quotas_unreadable`: a file that cannot be read is no permission.
    """
    try:
        content = jose.parse_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, InvalidInput):
        raise Unavailable("signing_quotas_unreadable", "the file of quotas cannot be read") from None
    match content:
        case {"format": "ecard-quotas/1", "limits": list(listed), **rest} if not rest:
            return dict(_limit(item) for item in listed)
    raise Unavailable("signing_quotas_unreadable", "not a file of quotas of this version")


def store(path: Path, limits: Mapping[tuple[str, str], int]) -> None:
    """Replace the file at once and durably. Desks read it at their next request.

    Raises `InvalidInput` `bad_quota` for a limit outside 0 to 10^9, `Unavailable` `signing_quotas_unreadable`.
    """
    if not all(type(limit) is int and 0 <= limit <= MAX_LIMIT for limit in limits.values()):
        raise InvalidInput("bad_quota", "a quota is a whole number of documents per hour, 0 to 1000000000")
    listed = [
        {"caller": caller, "profile": profile, "per_hour": limit} for (caller, profile), limit in sorted(limits.items())
    ]
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(canonical_json({"format": FORMAT, "limits": listed}) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise Unavailable("signing_quotas_unreadable", f"the file of quotas: errno {error.errno}") from None


def start_of_hour(now: datetime) -> datetime:
    """The beginning of the hour that counts."""
    return now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _limit(item: object) -> tuple[tuple[str, str], int]:
    match item:
        case {"caller": str(caller), "profile": str(profile), "per_hour": int(limit), **rest}:
            if not rest and type(limit) is int and 0 <= limit <= MAX_LIMIT:
                return (caller, profile), limit
    raise Unavailable("signing_quotas_unreadable", "a quota of unknown shape")
