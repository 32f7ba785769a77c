"""The nouns of chains and groups. A group has branches, a branch has counters and staff; nobody sees another group's.

Times are aware UTC. Nothing here is about a holder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from ecard_card.errors import InvalidInput
from ecard_verifier.callers import Role
from ecard_verifier.purposes.purposes import Level

#: What begins the name of a counter in the replay guard; no other caller may use such a name.
COUNTER_PREFIX: Final = "ctr_"
#: An audience as a code can carry it.
AUDIENCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}")
MOST_DEVICES: Final = 20
MOST_A_DAY: Final = 10_000_000
_LONGEST_NAME: Final = 80


@dataclass(frozen=True, slots=True)
class Group:
    """A chain, a hospital group, a single shop. `purposes` are those its counters may use."""

    group_id: str
    name: str
    level: Level
    purposes: tuple[str, ...]
    daily_limit: int
    created_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Branch:
    """A shop, a hospital, an outlet."""

    branch_id: str
    group_id: str
    name: str
    created_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Counter:
    """A place where codes are shown. `audience` is what it is called in codes made for it; at most `devices` are
    admitted at a time, and `staff_needed` says that one of the branch's staff has to log in first."""

    counter_id: str
    branch_id: str
    group_id: str
    name: str
    audience: str
    staff_needed: bool
    devices: int
    daily_limit: int
    created_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Staff:
    """Somebody at a branch, by an alias. `tries` counts PINs that did not fit since the last one that did."""

    staff_id: str
    branch_id: str
    group_id: str
    alias: str
    tries: int
    created_at: datetime
    revoked_at: datetime | None = None
    pin_hash: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class GroupToken:
    """A bearer token of a group: of its manager (role `merchant`) or of a system behind its counters (`counter`)."""

    group_id: str
    name: str
    role: Role
    created_at: datetime
    digest: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Device:
    """A page that was admitted to a counter."""

    device_id: str
    counter_id: str
    opened_at: datetime
    used_at: datetime
    until: datetime
    staff_id: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """An admitted device with everything it hangs on, read at one moment."""

    device: Device
    counter: Counter
    branch: Branch
    group: Group
    staff: Staff | None


class Way(StrEnum):
    """How a code came in."""

    CAMERA = "camera"
    SCANNER = "scanner"
    TYPED = "typed"
    PICTURE = "picture"


class Source(StrEnum):
    """Who judged."""

    ONLINE = "online"  # the page, by this service
    UPLOAD = "upload"  # the page alone, handed in later
    SYSTEM = "system"  # a system behind the counter


@dataclass(frozen=True, slots=True)
class ShiftRow:
    """One line of the shift list. Nobody's name, number or code is in it."""

    reference: str
    group_id: str
    branch_id: str
    counter_id: str
    at: datetime
    purpose: str
    business_type: str
    way: str
    source: Source
    outcome: str
    reason: str
    staff: str  # the alias, empty where nobody had logged in
    test_card: bool


class AlarmKind(StrEnum):
    """What is odd enough for a person to look."""

    TWO_COUNTERS = "code_at_two_counters"
    FAILURES = "many_failures"
    UPLOAD = "upload_contradicts"
    NUMBERS = "number_guessing"
    ADMISSIONS = "admission_guessing"
    PIN = "staff_pin_guessing"


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm of one group, or of the service itself (`group_id` None). `count` says how often it was raised;
    alarms of one event at several groups have one `incident`, by which nobody but an operator can join them."""

    alarm_id: str
    kind: AlarmKind
    incident: str
    group_id: str | None
    counter_id: str | None
    first_at: datetime
    last_at: datetime
    count: int
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None


def good_name(text: str) -> str:
    """A name as it is kept. Raises `InvalidInput` `bad_counter_name`."""
    name = " ".join(text.split())
    if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable():
        raise InvalidInput("bad_counter_name", f"want 1 to {_LONGEST_NAME} printable characters")
    return name
