"""SQLite adapter of port `Ledger`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from ecard_card.errors import NotFound
from ecard_verifier.counters.database import Database, Do, maybe, moment
from ecard_verifier.counters.model import Alarm, AlarmKind, ShiftRow, Source

_ROW: Final = (
    "reference, group_id, branch_id, counter_id, at, purpose, business_type, way, source, outcome, reason, staff,"
    " test_card"
)
_ALARM: Final = (
    "alarm_id, kind, incident, group_id, counter_id, first_at, last_at, count, acknowledged_by, acknowledged_at"
)
#: A code may be handed in by a page that was without a network so long; until then we know where it was accepted, and
#: which scans were judged.
SHOWINGS_KEPT: Final = timedelta(days=8)
_GUESSES_KEPT: Final = timedelta(days=1)


class SqlLedger:
    """See the port."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def begin_scan(self, digest: str, now: datetime, abandoned_before: datetime) -> bytes | bool | None:
        with self._db.changing() as do:
            taken = do(
                "INSERT INTO scans VALUES (?, ?, NULL) ON CONFLICT DO UPDATE SET began = excluded.began"
                " WHERE sealed IS NULL AND began < ?",
                (digest, now.timestamp(), abandoned_before.timestamp()),
            )
            if taken.rowcount == 1:
                return True
            (sealed,) = do("SELECT sealed FROM scans WHERE digest = ?", (digest,)).fetchone()
        return False if sealed is None else bytes(sealed)

    def finish(
        self, scan: str | None, scan_sealed: bytes, result: str, sealed: bytes, until: datetime, row: ShiftRow | None
    ) -> None:
        with self._db.changing() as do:
            if scan is not None:
                do("UPDATE scans SET sealed = ? WHERE digest = ?", (scan_sealed, scan))
            do("INSERT INTO results VALUES (?, ?, ?)", (result, sealed, until.timestamp()))
            if row is not None:
                _insert(do, row)

    def give_up(self, scan: str) -> None:
        with self._db.changing() as do:
            do("DELETE FROM scans WHERE digest = ? AND sealed IS NULL", (scan,))

    def result(self, digest: str, now: datetime) -> bytes | None:
        row = self._db.one("SELECT sealed FROM results WHERE digest = ? AND until > ?", (digest, now.timestamp()))
        return None if row is None else bytes(row[0])

    def add_challenge(self, challenge_id: str, counter_id: str, text: str, until: datetime) -> None:
        with self._db.changing() as do:
            do("INSERT INTO challenges VALUES (?, ?, ?, ?)", (challenge_id, counter_id, text, until.timestamp()))

    def challenge(self, challenge_id: str, counter_id: str, now: datetime) -> str | None:
        row = self._db.one(
            "SELECT text FROM challenges WHERE challenge_id = ? AND counter_id = ? AND until > ?",
            (challenge_id, counter_id, now.timestamp()),
        )
        return None if row is None else str(row[0])

    def show(self, digest: str, counter_id: str, scan: str, now: datetime) -> tuple[str, str, datetime] | None:
        row = (digest, now.timestamp(), counter_id, scan)
        while self._db.alone("INSERT INTO showings VALUES (?, ?, ?, ?, NULL) ON CONFLICT DO NOTHING", row) == 0:
            first = self._db.one("SELECT counter_id, scan, at FROM showings WHERE digest = ?", (digest,))
            if first is not None:  # else it was forgotten in between
                return first[0], first[1], moment(first[2])
        return None

    def use(self, digest: str, reference: str) -> bool:
        with self._db.changing() as do:
            bound = do(
                "UPDATE showings SET used = ? WHERE digest = ? AND (used IS NULL OR used = ?)",
                (reference, digest, reference),
            )
        return bound.rowcount == 1

    def add_row(self, row: ShiftRow) -> None:
        with self._db.changing() as do:
            _insert(do, row)

    def rows(self, counter_id: str, since: datetime, most: int) -> Sequence[ShiftRow]:
        rows = self._db.all(
            f"SELECT {_ROW} FROM shifts WHERE counter_id = ? AND at >= ? ORDER BY at DESC LIMIT ?",  # noqa: S608
            (counter_id, since.timestamp(), most),
        )
        return [_read(row) for row in rows]

    def failures(self, counter_id: str, since: datetime) -> int:
        row = self._db.one(
            "SELECT COUNT(*) FROM shifts WHERE counter_id = ? AND at > ? AND outcome = 'invalid'",
            (counter_id, since.timestamp()),
        )
        return int(row[0])

    def spend(self, limits: Sequence[tuple[str, int]], day: date, count: int) -> bool:
        with self._db.changing() as do:
            for who, most in limits:
                spent = do("SELECT count FROM spent WHERE who = ? AND day = ?", (who, day.isoformat())).fetchone()
                if (spent[0] if spent else 0) + count > most:
                    return False
            for who, _ in limits:
                do(
                    "INSERT INTO spent VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
                    (who, day.isoformat(), count),
                )
        return True

    def raise_alarm(self, alarm: Alarm) -> None:
        with self._db.changing() as do:
            do(
                f"INSERT INTO alarms ({_ALARM}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)"  # noqa: S608
                " ON CONFLICT DO UPDATE SET count = count + 1, last_at = excluded.last_at",
                (
                    *(alarm.alarm_id, alarm.kind.value, alarm.incident, alarm.group_id, alarm.counter_id),
                    *(alarm.first_at.timestamp(), alarm.last_at.timestamp(), alarm.count),
                ),
            )

    def alarms(self, within: str | None, *, open_only: bool, most: int) -> Sequence[Alarm]:
        rows = self._db.all(
            f"SELECT {_ALARM} FROM alarms WHERE (? IS NULL OR group_id = ?)"  # noqa: S608 - our own words
            " AND (acknowledged_at IS NULL OR NOT ?) ORDER BY last_at DESC, alarm_id LIMIT ?",
            (within, within, open_only, most),
        )
        return [_read_alarm(row) for row in rows]

    def alarm(self, alarm_id: str, within: str | None) -> Alarm:
        row = self._db.one(
            f"SELECT {_ALARM} FROM alarms WHERE alarm_id = ? AND (? IS NULL OR group_id = ?)",  # noqa: S608
            (alarm_id, within, within),
        )
        if row is None:
            raise NotFound("alarm_unknown", "no such alarm")
        return _read_alarm(row)

    def acknowledge(self, alarm_id: str, by: str, now: datetime) -> None:
        with self._db.changing() as do:
            do(
                "UPDATE alarms SET acknowledged_by = ?, acknowledged_at = ?"
                " WHERE alarm_id = ? AND acknowledged_at IS NULL",
                (by, now.timestamp(), alarm_id),
            )

    def count_open(self) -> dict[AlarmKind, int]:
        rows = self._db.all("SELECT kind, COUNT(*) FROM alarms WHERE acknowledged_at IS NULL GROUP BY kind")
        return {kind: 0 for kind in AlarmKind} | {AlarmKind(kind): count for kind, count in rows}

    def forget(self, now: datetime, rows_before: datetime) -> int:
        seconds = now.timestamp()
        with self._db.changing() as do:
            do("DELETE FROM results WHERE until <= ?", (seconds,))
            do("DELETE FROM challenges WHERE until <= ?", (seconds,))
            do("DELETE FROM scans WHERE began < ?", ((now - SHOWINGS_KEPT).timestamp(),))
            do("DELETE FROM showings WHERE at < ?", ((now - SHOWINGS_KEPT).timestamp(),))
            do("DELETE FROM guesses WHERE at < ?", ((now - _GUESSES_KEPT).timestamp(),))
            do("DELETE FROM devices WHERE until <= ?", (seconds,))
            do("DELETE FROM spent WHERE day < ?", ((now - timedelta(days=2)).date().isoformat(),))
            do("DELETE FROM alarms WHERE last_at < ?", (rows_before.timestamp(),))
            return do("DELETE FROM shifts WHERE at < ?", (rows_before.timestamp(),)).rowcount


def _insert(do: Do, row: ShiftRow) -> None:
    do(
        f"INSERT INTO shifts ({_ROW}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - our own words
        (
            *(row.reference, row.group_id, row.branch_id, row.counter_id, row.at.timestamp(), row.purpose),
            *(row.business_type, row.way, row.source.value, row.outcome, row.reason, row.staff, row.test_card),
        ),
    )


def _read(row: Sequence[Any]) -> ShiftRow:
    reference, group_id, branch_id, counter_id, at, purpose, business_type, way, source, *rest = row
    outcome, reason, staff, test_card = rest
    judged = (Source(source), outcome, reason, staff, bool(test_card))
    return ShiftRow(reference, group_id, branch_id, counter_id, moment(at), purpose, business_type, way, *judged)


def _read_alarm(row: Sequence[Any]) -> Alarm:
    alarm_id, kind, incident, group_id, counter_id, first, last, count, by, at = row
    return Alarm(
        alarm_id, AlarmKind(kind), incident, group_id, counter_id, moment(first), moment(last), count, by, maybe(at)
    )
