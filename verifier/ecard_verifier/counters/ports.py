"""What this room keeps, as three narrow ports. Every adapter is safe from several threads and several processes, and
loses nothing to a killed one. All raise `Unavailable` `counters_unavailable` where the store does not answer.

Where a method takes `group_id`, None stands for somebody who may see all groups. What belongs to another group raises
the same `NotFound` as what does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Protocol

from ecard_verifier.counters.model import (
    Alarm,
    AlarmKind,
    Branch,
    Counter,
    Device,
    Group,
    GroupToken,
    ShiftRow,
    Staff,
    Standing,
)


class Organisation(Protocol):
    """Groups, branches, counters, staff and tokens. What is changed here outlasts a power cut."""

    def add_group(self, group: Group) -> None: ...

    def group(self, group_id: str, within: str | None) -> Group:
        """Raises `NotFound` `group_unknown`."""
        ...

    def groups(self, within: str | None, after: str, most: int) -> Sequence[Group]: ...

    def add_branch(self, branch: Branch) -> None: ...

    def branch(self, branch_id: str, within: str | None) -> Branch:
        """Raises `NotFound` `branch_unknown`."""
        ...

    def branches(self, within: str | None, after: str, most: int) -> Sequence[Branch]: ...

    def add_counter(self, counter: Counter) -> None:
        """Raises `Conflict` `audience_taken`."""
        ...

    def counter(self, counter_id: str, within: str | None) -> Counter:
        """Raises `NotFound` `counter_unknown`."""
        ...

    def called(self, audience: str) -> bool:
        """Whether a counter is called so, whosever it is."""
        ...

    def counters(self, within: str | None, after: str, most: int) -> Sequence[Counter]: ...

    def revoke(self, kind: str, name: str, now: datetime) -> None:
        """`kind` is `group`, `branch`, `counter` or `staff`. The first time stays."""
        ...

    def add_staff(self, staff: Staff) -> None:
        """Raises `Conflict` `staff_exists`."""
        ...

    def staff(self, staff_id: str, within: str | None) -> Staff:
        """Raises `NotFound` `staff_unknown`."""
        ...

    def staff_of(self, within: str | None, after: str, most: int) -> Sequence[Staff]: ...

    def staff_called(self, branch_id: str, alias: str) -> Staff | None:
        """Of those who are not revoked."""
        ...

    def try_pin(self, staff_id: str, most: int) -> bool:
        """Write down one more try; False where there were `most` already."""
        ...

    def set_pin(self, staff_id: str, pin_hash: str | None) -> None:
        """Forget the tries, and with a hash the old PIN."""
        ...

    def add_token(self, token: GroupToken) -> None:
        """Raises `Conflict` `token_exists`."""
        ...

    def token(self, digest: str) -> GroupToken | None:
        """None too where its group was revoked."""
        ...

    def tokens(self, group_id: str) -> Sequence[GroupToken]: ...

    def drop_token(self, group_id: str, name: str) -> None:
        """Raises `NotFound` `token_unknown`."""
        ...


class Doors(Protocol):
    """Who is let in as a counter."""

    def add_admission(self, digest: str, counter_id: str, until: datetime) -> None:
        """A counter's newest code is its only one."""
        ...

    def admit(self, digest: str, device: Device, token: str, now: datetime) -> Standing | None:
        """Use an admission code up and open `device` (whose `counter_id` is not looked at) with the digest of its
        token; the oldest devices beyond the counter's number end. None where there is no such code now, or what it is
        for was revoked."""
        ...

    def standing(self, token: str, now: datetime) -> Standing | None:
        """By the digest of a device's token; None for one that is unknown or ended. Whether what it hangs on was
        revoked is for the caller to see."""
        ...

    def touch(self, device_id: str, now: datetime) -> None: ...

    def log_in(self, device_id: str, staff_id: str | None) -> None: ...

    def end(self, device_id: str, counter_id: str) -> None:
        """Raises `NotFound` `device_unknown`."""
        ...

    def devices(self, counter_id: str, now: datetime) -> Sequence[Device]: ...

    def count_admitted(self, now: datetime) -> int:
        """Counters with a device."""
        ...

    def guesses(self, asker: str, since: datetime) -> int: ...

    def add_guess(self, askers: Sequence[str], now: datetime) -> None: ...


class Ledger(Protocol):
    """What was judged: results for minutes, shift lists for months, alarms."""

    def begin_scan(self, digest: str, now: datetime, abandoned_before: datetime) -> bytes | bool | None:
        """True: this scan is the caller's to judge. Bytes: it was judged, and this was put down. False: somebody is
        judging it, and began after `abandoned_before`."""
        ...

    def finish(
        self, scan: str | None, scan_sealed: bytes, result: str, sealed: bytes, until: datetime, row: ShiftRow | None
    ) -> None:
        """All of a verification at once."""
        ...

    def give_up(self, scan: str) -> None:
        """It was not judged after all."""
        ...

    def result(self, digest: str, now: datetime) -> bytes | None: ...

    def add_challenge(self, challenge_id: str, counter_id: str, text: str, until: datetime) -> None: ...

    def challenge(self, challenge_id: str, counter_id: str, now: datetime) -> str | None:
        """The text of one that this counter shows now."""
        ...

    def show(self, digest: str, counter_id: str, scan: str, now: datetime) -> tuple[str, str, datetime] | None:
        """Put down where a code was accepted; who had put it down before: counter, scan and time."""
        ...

    def use(self, digest: str, reference: str) -> bool:
        """Bind a showing to a business case; False where it is bound to another."""
        ...

    def add_row(self, row: ShiftRow) -> None: ...

    def rows(self, counter_id: str, since: datetime, most: int) -> Sequence[ShiftRow]:
        """Newest first."""
        ...

    def failures(self, counter_id: str, since: datetime) -> int:
        """Rows with outcome `invalid`."""
        ...

    def spend(self, limits: Sequence[tuple[str, int]], day: date, count: int) -> bool:
        """Count against each of these at once; False, and nothing counted, where one would go beyond its limit."""
        ...

    def raise_alarm(self, alarm: Alarm) -> None:
        """One of the same kind, incident and counter grows instead."""
        ...

    def alarms(self, within: str | None, *, open_only: bool, most: int) -> Sequence[Alarm]:
        """Newest first."""
        ...

    def alarm(self, alarm_id: str, within: str | None) -> Alarm:
        """Raises `NotFound` `alarm_unknown`."""
        ...

    def acknowledge(self, alarm_id: str, by: str, now: datetime) -> None:
        """The first one stays."""
        ...

    def count_open(self) -> dict[AlarmKind, int]: ...

    def forget(self, now: datetime, rows_before: datetime) -> int:
        """Delete what is over; says how many shift rows went."""
        ...
