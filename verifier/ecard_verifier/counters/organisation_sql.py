"""SQLite adapter of port `Organisation`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from ecard_card.errors import Conflict, NotFound
from ecard_verifier.callers import Role
from ecard_verifier.counters.database import Database, maybe, moment
from ecard_verifier.counters.model import Branch, Counter, Group, GroupToken, Staff
from ecard_verifier.purposes.purposes import Level

_GROUP: Final = "g.group_id, g.name, g.level, g.purposes, g.daily_limit, g.created_at, g.revoked_at"
_BRANCH: Final = "b.branch_id, b.group_id, b.name, b.created_at, b.revoked_at"
_COUNTER: Final = (
    "c.counter_id, c.branch_id, c.group_id, c.name, c.audience, c.staff_needed, c.devices, c.daily_limit,"
    " c.created_at, c.revoked_at"
)
_STAFF: Final = "s.staff_id, s.branch_id, s.group_id, s.alias, s.tries, s.created_at, s.revoked_at, s.pin_hash"
#: Table and key of each kind that can be revoked.
_KINDS: Final = {
    "group": ("groups", "group_id"),
    "branch": ("branches", "branch_id"),
    "counter": ("counters", "counter_id"),
    "staff": ("staff", "staff_id"),
}
_WITHIN: Final = "(? IS NULL OR group_id = ?)"
#: What a device hangs on, in this order: counter, branch, group.
HUNG_ON: Final = f"{_COUNTER}, {_BRANCH}, {_GROUP}"


class SqlOrganisation:
    """See the port."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add_group(self, group: Group) -> None:
        self._insert("groups", group_row(group))

    def group(self, group_id: str, within: str | None) -> Group:
        row = self._find(_GROUP, "groups g", "group_id", group_id, within)
        if row is None:
            raise NotFound("group_unknown", "no such group")
        return read_group(row)

    def groups(self, within: str | None, after: str, most: int) -> Sequence[Group]:
        return [read_group(row) for row in self._list(_GROUP, "groups g", "group_id", within, after, most)]

    def add_branch(self, branch: Branch) -> None:
        row = (branch.branch_id, branch.group_id, branch.name, branch.created_at.timestamp(), None)
        self._insert("branches", row)

    def branch(self, branch_id: str, within: str | None) -> Branch:
        row = self._find(_BRANCH, "branches b", "branch_id", branch_id, within)
        if row is None:
            raise NotFound("branch_unknown", "no such branch")
        return read_branch(row)

    def branches(self, within: str | None, after: str, most: int) -> Sequence[Branch]:
        return [read_branch(row) for row in self._list(_BRANCH, "branches b", "branch_id", within, after, most)]

    def add_counter(self, counter: Counter) -> None:
        row = (
            *(counter.counter_id, counter.branch_id, counter.group_id, counter.name, counter.audience),
            *(counter.staff_needed, counter.devices, counter.daily_limit, counter.created_at.timestamp(), None),
        )
        try:
            self._insert("counters", row)
        except Conflict:
            raise Conflict("audience_taken", "another counter has this audience") from None

    def counter(self, counter_id: str, within: str | None) -> Counter:
        row = self._find(_COUNTER, "counters c", "counter_id", counter_id, within)
        if row is None:
            raise NotFound("counter_unknown", "no such counter")
        return read_counter(row)

    def called(self, audience: str) -> bool:
        return self._db.one("SELECT 1 FROM counters WHERE audience = ?", (audience,)) is not None

    def counters(self, within: str | None, after: str, most: int) -> Sequence[Counter]:
        return [read_counter(row) for row in self._list(_COUNTER, "counters c", "counter_id", within, after, most)]

    def revoke(self, kind: str, name: str, now: datetime) -> None:
        table, key = _KINDS[kind]
        with self._db.changing() as do:
            do(
                f"UPDATE {table} SET revoked_at = ifnull(revoked_at, ?) WHERE {key} = ?",  # noqa: S608 - our own words
                (now.timestamp(), name),
            )

    def add_staff(self, staff: Staff) -> None:
        row = (
            *(staff.staff_id, staff.branch_id, staff.group_id, staff.alias, staff.tries),
            *(staff.created_at.timestamp(), None, staff.pin_hash),
        )
        try:
            self._insert("staff", row)
        except Conflict:
            raise Conflict("staff_exists", "somebody at this branch has this alias") from None

    def staff(self, staff_id: str, within: str | None) -> Staff:
        row = self._find(_STAFF, "staff s", "staff_id", staff_id, within)
        if row is None:
            raise NotFound("staff_unknown", "nobody of this id")
        return read_staff(row)

    def staff_of(self, within: str | None, after: str, most: int) -> Sequence[Staff]:
        return [read_staff(row) for row in self._list(_STAFF, "staff s", "staff_id", within, after, most)]

    def staff_called(self, branch_id: str, alias: str) -> Staff | None:
        row = self._db.one(
            f"SELECT {_STAFF} FROM staff s WHERE branch_id = ? AND alias = ? AND revoked_at IS NULL",  # noqa: S608
            (branch_id, alias),
        )
        return None if row is None else read_staff(row)

    def try_pin(self, staff_id: str, most: int) -> bool:
        with self._db.changing() as do:
            tried = do("UPDATE staff SET tries = tries + 1 WHERE staff_id = ? AND tries < ?", (staff_id, most))
        return tried.rowcount == 1

    def set_pin(self, staff_id: str, pin_hash: str | None) -> None:
        with self._db.changing() as do:
            do(
                "UPDATE staff SET tries = 0, pin_hash = ifnull(?, pin_hash) WHERE staff_id = ?",
                (pin_hash, staff_id),
            )

    def add_token(self, token: GroupToken) -> None:
        row = (token.digest, token.group_id, token.name, token.role.value, token.created_at.timestamp())
        try:
            self._insert("tokens", row)
        except Conflict:
            raise Conflict("token_exists", "a token of this group has this name") from None

    def token(self, digest: str) -> GroupToken | None:
        row = self._db.one(
            "SELECT t.group_id, t.name, t.role, t.created_at, t.digest FROM tokens t JOIN groups g USING (group_id)"
            " WHERE t.digest = ? AND g.revoked_at IS NULL",
            (digest,),
        )
        return None if row is None else _read_token(row)

    def tokens(self, group_id: str) -> Sequence[GroupToken]:
        rows = self._db.all(
            "SELECT group_id, name, role, created_at, digest FROM tokens WHERE group_id = ? ORDER BY name", (group_id,)
        )
        return [_read_token(row) for row in rows]

    def drop_token(self, group_id: str, name: str) -> None:
        with self._db.changing() as do:
            gone = do("DELETE FROM tokens WHERE group_id = ? AND name = ?", (group_id, name))
        if gone.rowcount == 0:
            raise NotFound("token_unknown", "no token of this group has this name")

    def _insert(self, table: str, row: Sequence[object]) -> None:
        with self._db.changing() as do:
            do(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608 - our own words

    def _find(self, columns: str, table: str, key: str, name: str, within: str | None) -> Any:
        return self._db.one(
            f"SELECT {columns} FROM {table} WHERE {key} = ? AND {_WITHIN}",  # noqa: S608 - our own words
            (name, within, within),
        )

    def _list(self, columns: str, table: str, key: str, within: str | None, after: str, most: int) -> list[Any]:
        return self._db.all(
            f"SELECT {columns} FROM {table} WHERE {key} > ? AND {_WITHIN} ORDER BY {key} LIMIT ?",  # noqa: S608
            (after, within, within, most),
        )


def group_row(group: Group) -> tuple[object, ...]:
    """As it is stored."""
    purposes = " ".join(group.purposes)
    return (
        group.group_id,
        group.name,
        group.level.value,
        purposes,
        group.daily_limit,
        group.created_at.timestamp(),
        None,
    )


def read_group(row: Sequence[Any]) -> Group:
    """From the columns in their order, as the other three."""
    group_id, name, level, purposes, limit, created, revoked = row
    return Group(group_id, name, Level(level), tuple(purposes.split()), limit, moment(created), maybe(revoked))


def read_branch(row: Sequence[Any]) -> Branch:
    return Branch(row[0], row[1], row[2], moment(row[3]), maybe(row[4]))


def read_counter(row: Sequence[Any]) -> Counter:
    counter_id, branch_id, group_id, name, audience, staff_needed, devices, limit, created, revoked = row
    created_at, revoked_at = moment(created), maybe(revoked)
    return Counter(
        *(counter_id, branch_id, group_id, name, audience, bool(staff_needed), devices, limit, created_at, revoked_at)
    )


def read_staff(row: Sequence[Any]) -> Staff:
    staff_id, branch_id, group_id, alias, tries, created, revoked, pin_hash = row
    return Staff(staff_id, branch_id, group_id, alias, tries, moment(created), maybe(revoked), pin_hash)


def _read_token(row: Sequence[Any]) -> GroupToken:
    return GroupToken(row[0], row[1], Role(row[2]), moment(row[3]), row[4])
