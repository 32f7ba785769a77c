"""Ports `Secrets` and `Guesses` on SQL."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, literal, null, select, update

from ecard_card.errors import Conflict
from ecard_issuer.pins.secret import Purpose, SecretEvent, SecretRow
from ecard_issuer.register import tables
from ecard_issuer.register.columns import UtcDateTime
from ecard_issuer.register.sql import Store, as_row, columns, insert_new, many, one

_secret, _event, _wrong = tables.secret, tables.secret_event, tables.wrong_guess


class SqlSecrets(Store):
    def find(self, purpose: Purpose, subject: str) -> SecretRow | None:
        with self._reading() as connection:
            return one(connection, SecretRow, select(_secret).where(*_of(purpose, subject)))

    def take_try(self, purpose: Purpose, subject: str, limit: int, now: datetime) -> SecretRow | None:
        last = _secret.c.tries + 1 >= limit
        take = (
            update(_secret)
            .where(*_of(purpose, subject), _secret.c.locked_at.is_(None), _secret.c.tries < limit)
            .values(
                tries=_secret.c.tries + 1,
                locked_at=case((last, literal(now, UtcDateTime())), else_=null()),
            )
            .returning(*_secret.c)
        )
        with self._writing() as connection:
            taken = connection.execute(take).mappings().one_or_none()
            if taken is None and _insert(connection, purpose, subject, now):
                taken = connection.execute(take).mappings().one()
        return None if taken is None else as_row(SecretRow, taken)

    def clear(self, purpose: Purpose, subject: str, version: int, rehashed: str | None = None) -> bool:
        values: dict[str, Any] = {"tries": 0, "locked_at": None}
        if rehashed is not None:
            values["hash"] = rehashed
        this = (*_of(purpose, subject), _secret.c.version == version)
        with self._writing() as connection:
            return connection.execute(update(_secret).where(*this).values(values)).rowcount == 1

    def write(self, event: SecretEvent, chosen: str | None, *, unlocking: bool) -> None:
        with self._writing() as connection:
            _insert(connection, event.purpose, event.subject, event.at)
            _record(connection, event, {"hash": chosen}, unlocking=unlocking)

    def keep(self, event: SecretEvent) -> None:
        with self._writing() as connection:
            _insert(connection, event.purpose, event.subject, event.at)
            _record(connection, event, {}, unlocking=True)

    def find_event(self, purpose: Purpose, subject: str, event_id: str) -> SecretEvent | None:
        this = (_event.c.subject == subject, _event.c.purpose == purpose, _event.c.event_id == event_id)
        with self._reading() as connection:
            return one(connection, SecretEvent, select(_event).where(*this))

    def events(self, purpose: Purpose, subject: str) -> tuple[SecretEvent, ...]:
        this = (_event.c.subject == subject, _event.c.purpose == purpose)
        with self._reading() as connection:
            return many(connection, SecretEvent, select(_event).where(*this).order_by(_event.c.version))


class SqlGuesses(Store):
    def wrong(self, caller: str, now: datetime) -> int:
        this = (_wrong.c.caller == caller, _wrong.c.hour == _hour(now))
        with self._reading() as connection:
            return connection.scalar(select(_wrong.c.wrong).where(*this)) or 0

    def add(self, caller: str, now: datetime) -> int:
        hour = _hour(now)
        more = (
            update(_wrong)
            .where(_wrong.c.caller == caller)
            .values(wrong=case((_wrong.c.hour == hour, _wrong.c.wrong + 1), else_=1), hour=hour)
            .returning(_wrong.c.wrong)
        )
        with self._writing() as connection:
            count = connection.scalar(more)
            if count is None:
                if insert_new(connection, _wrong, caller=caller, hour=hour, wrong=1):
                    return 1
                count = connection.scalar(more)
        return count or 1


def _of(purpose: Purpose, subject: str) -> tuple[ColumnElement[bool], ...]:
    return _secret.c.subject == subject, _secret.c.purpose == purpose


def _insert(connection: Connection, purpose: Purpose, subject: str, now: datetime) -> bool:
    """A row for a secret that nobody has touched yet; False where there is one."""
    fresh = SecretRow(subject, purpose, None, 0, 0, 0, None, now)
    return insert_new(connection, _secret, **columns(fresh))


def _record(connection: Connection, event: SecretEvent, values: dict[str, Any], *, unlocking: bool) -> None:
    this = (*_of(event.purpose, event.subject), _secret.c.version == event.version - 1)
    values |= {"version": event.version, "tries": 0, "locked_at": None, "changed_at": event.at}
    if unlocking:
        values["unlocks"] = _secret.c.unlocks + 1
    changed = connection.execute(update(_secret).where(*this).values(values)).rowcount == 1
    if not changed or not insert_new(connection, _event, **columns(event)):
        raise Conflict("secret_changed_meanwhile", "another change of this secret came first")


def _hour(now: datetime) -> int:
    return int(now.timestamp()) // 3600
