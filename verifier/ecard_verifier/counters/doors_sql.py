"""SQLite adapter of port `Doors`. Nothing is cached: what was revoked is out at the next request."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from ecard_card.errors import NotFound
from ecard_verifier.counters.database import Database, moment
from ecard_verifier.counters.model import Device, Standing
from ecard_verifier.counters.organisation_sql import HUNG_ON, read_branch, read_counter, read_group
from ecard_verifier.counters.ports import Organisation

_DEVICE: Final = "d.device_id, d.counter_id, d.opened_at, d.used_at, d.until, d.staff_id"
_HANGS_ON: Final = (
    "JOIN counters c USING (counter_id) JOIN branches b ON b.branch_id = c.branch_id"
    " JOIN groups g ON g.group_id = c.group_id"
)
_JOINED: Final = f"SELECT {_DEVICE}, {HUNG_ON} FROM devices d {_HANGS_ON}"  # noqa: S608 - our own words
_STANDS: Final = "c.revoked_at IS NULL AND b.revoked_at IS NULL AND g.revoked_at IS NULL"


class SqlDoors:
    """See the port. `idle` is how many seconds a device may rest before it has to be admitted again."""

    def __init__(self, database: Database, organisation: Organisation, idle: float) -> None:
        self._db, self._organisation, self._idle = database, organisation, idle

    def add_admission(self, digest: str, counter_id: str, until: datetime) -> None:
        with self._db.changing() as do:
            do("DELETE FROM admissions WHERE counter_id = ?", (counter_id,))
            do("INSERT INTO admissions VALUES (?, ?, ?)", (digest, counter_id, until.timestamp()))

    def admit(self, digest: str, device: Device, token: str, now: datetime) -> Standing | None:
        with self._db.changing() as do:
            found = do(
                f"SELECT a.counter_id, c.devices FROM admissions a {_HANGS_ON}"  # noqa: S608 - our own words
                f" WHERE a.digest = ? AND a.until > ? AND {_STANDS}",
                (digest, now.timestamp()),
            ).fetchone()
            do("DELETE FROM admissions WHERE digest = ? OR until <= ?", (digest, now.timestamp()))
            if found is None:
                return None
            counter_id, most = found
            do(
                "INSERT INTO devices VALUES (?, ?, ?, ?, ?, ?, NULL)",
                (device.device_id, token, counter_id, *(at.timestamp() for at in _times(device))),
            )
            do(
                "DELETE FROM devices WHERE counter_id = ? AND device_id != ? AND device_id NOT IN (SELECT device_id"
                " FROM devices WHERE counter_id = ? AND device_id != ? ORDER BY used_at DESC, device_id LIMIT ?)",
                (counter_id, device.device_id, counter_id, device.device_id, most - 1),
            )
        return self.standing(token, now)

    def standing(self, token: str, now: datetime) -> Standing | None:
        row = self._db.one(
            f"{_JOINED} WHERE d.token = ? AND d.until > ? AND d.used_at > ?",
            (token, now.timestamp(), now.timestamp() - self._idle),
        )
        if row is None:
            return None
        device = _device(row[:6])
        staff = None
        if device.staff_id is not None:
            try:
                staff = self._organisation.staff(device.staff_id, None)
            except NotFound:
                staff = None
            if staff is not None and staff.revoked_at is not None:
                staff = None
        counter, branch, group = read_counter(row[6:16]), read_branch(row[16:21]), read_group(row[21:28])
        return Standing(device, counter, branch, group, staff)

    def touch(self, device_id: str, now: datetime) -> None:
        with self._db.changing() as do:
            do("UPDATE devices SET used_at = MAX(used_at, ?) WHERE device_id = ?", (now.timestamp(), device_id))

    def log_in(self, device_id: str, staff_id: str | None) -> None:
        with self._db.changing() as do:
            do("UPDATE devices SET staff_id = ? WHERE device_id = ?", (staff_id, device_id))

    def end(self, device_id: str, counter_id: str) -> None:
        with self._db.changing() as do:
            gone = do("DELETE FROM devices WHERE device_id = ? AND counter_id = ?", (device_id, counter_id))
        if gone.rowcount == 0:
            raise NotFound("device_unknown", "this counter has no such device")

    def devices(self, counter_id: str, now: datetime) -> Sequence[Device]:
        rows = self._db.all(
            f"SELECT {_DEVICE} FROM devices d WHERE d.counter_id = ? AND d.until > ? AND d.used_at > ?"  # noqa: S608
            " ORDER BY d.opened_at",
            (counter_id, now.timestamp(), now.timestamp() - self._idle),
        )
        return [_device(row) for row in rows]

    def count_admitted(self, now: datetime) -> int:
        row = self._db.one(
            f"SELECT COUNT(DISTINCT d.counter_id) FROM devices d {_HANGS_ON}"  # noqa: S608 - our own words
            f" WHERE d.until > ? AND d.used_at > ? AND {_STANDS}",
            (now.timestamp(), now.timestamp() - self._idle),
        )
        return int(row[0])

    def guesses(self, asker: str, since: datetime) -> int:
        row = self._db.one("SELECT COUNT(*) FROM guesses WHERE asker = ? AND at > ?", (asker, since.timestamp()))
        return int(row[0])

    def add_guess(self, askers: Sequence[str], now: datetime) -> None:
        with self._db.changing() as do:
            for asker in askers:
                do("INSERT INTO guesses VALUES (?, ?)", (asker, now.timestamp()))


def _times(device: Device) -> tuple[datetime, datetime, datetime]:
    return device.opened_at, device.used_at, device.until


def _device(row: Sequence[Any]) -> Device:
    device_id, counter_id, opened, used, until, staff_id = row
    return Device(device_id, counter_id, moment(opened), moment(used), moment(until), staff_id)
