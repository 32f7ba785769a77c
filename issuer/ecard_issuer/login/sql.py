"""Port `LoginStore` on SQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, delete, select, update

from ecard_issuer.login.attempts import ENDED, AttemptRow, AttemptState, LoginRow, QrRow, RequestRow
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, insert_new, one

_attempts, _qrs, _requests, _logins = tables.login_attempt, tables.login_qr, tables.login_request, tables.login


class SqlLogins(Store):
    def begin(self, attempt: AttemptRow) -> None:
        with self._writing() as connection:
            connection.execute(_attempts.insert().values(**columns(attempt)))

    def attempt(self, transaction_id: str) -> AttemptRow | None:
        with self._reading() as connection:
            return _attempt(connection, transaction_id)

    def turn(self, attempt: AttemptRow, qr: QrRow, now: datetime) -> bool:
        with self._writing() as connection:
            turned = connection.execute(
                update(_attempts)
                .where(
                    _attempts.c.transaction_id == attempt.transaction_id,
                    _attempts.c.state == AttemptState.OPEN,
                    _attempts.c.turn == attempt.turn,
                )
                .values(turn=attempt.turn + 1, turned_at=now)
            )
            return turned.rowcount == 1 and insert_new(connection, _qrs, **columns(qr))

    def find_qr(self, qr_hash: str) -> QrRow | None:
        with self._reading() as connection:
            return one(connection, QrRow, select(_qrs).where(_qrs.c.qr_hash == qr_hash))

    def scan(self, request: RequestRow, number: str) -> bool:
        values = {
            "request_id": request.request_id,
            "app_id": request.app_id,
            "number": number,
            "until": request.until,
        }
        with self._writing() as connection:
            if not _move(connection, request.transaction_id, AttemptState.OPEN, AttemptState.SCANNED, **values):
                return False
            connection.execute(_requests.insert().values(**columns(request)))
            return True

    def find_request(self, request_id: str) -> RequestRow | None:
        with self._reading() as connection:
            return one(connection, RequestRow, select(_requests).where(_requests.c.request_id == request_id))

    def confirm(self, request: RequestRow, login: LoginRow, until: datetime) -> bool:
        scanned, confirmed = AttemptState.SCANNED, AttemptState.CONFIRMED
        values = {"login_id": login.login_id, "number": None, "until": until}
        with self._writing() as connection:
            moved = _move(connection, request.transaction_id, scanned, confirmed, **values)
            if moved:
                connection.execute(_logins.insert().values(**columns(login)))
            return moved

    def end(self, transaction_id: str, state: AttemptState) -> bool:
        with self._writing() as connection:
            ended = connection.execute(
                update(_attempts)
                .where(_attempts.c.transaction_id == transaction_id, _attempts.c.state.not_in(ENDED))
                .values(state=state, number=None)
                .returning(_attempts.c.login_id)
            ).all()
            for (login_id,) in ended:
                connection.execute(delete(_logins).where(_logins.c.login_id == login_id))
            return bool(ended)

    def collect(self, transaction_id: str, code_hash: str, code_until: datetime) -> LoginRow | None:
        confirmed, collected = AttemptState.CONFIRMED, AttemptState.COLLECTED
        with self._writing() as connection:
            if not _move(connection, transaction_id, confirmed, collected):
                return None
            attempt = _attempt(connection, transaction_id)
            login = None if attempt is None or attempt.login_id is None else _login(connection, attempt.login_id)
            if login is None:  # erased meanwhile
                return None
            given = {"code_hash": code_hash, "code_until": code_until}
            connection.execute(update(_logins).where(_logins.c.login_id == login.login_id).values(**given))
            return replace(login, code_hash=code_hash, code_until=code_until)

    def find_login(self, login_id: str) -> LoginRow | None:
        with self._reading() as connection:
            return _login(connection, login_id)

    def redeem(self, login_id: str, code_hash: str, now: datetime) -> LoginRow | None:
        this = (_logins.c.login_id == login_id, _logins.c.code_hash == code_hash)
        with self._writing() as connection:
            used = connection.execute(
                update(_logins).where(*this, _logins.c.code_used_at.is_(None)).values(code_used_at=now)
            )
            if used.rowcount == 1:
                return _login(connection, login_id)
            connection.execute(update(_logins).where(*this).values(token_until=now))
            return None

    def give_token(self, login_id: str, token_hash: str, until: datetime) -> None:
        # A code that was shown again meanwhile has ended the token before it was given.
        with self._writing() as connection:
            connection.execute(
                update(_logins)
                .where(_logins.c.login_id == login_id, _logins.c.token_until.is_(None))
                .values(token_hash=token_hash, token_until=until)
            )

    def purge(self, before: datetime, limit: int) -> int:
        keys = ((_attempts, "transaction_id"), (_qrs, "qr_hash"), (_requests, "request_id"), (_logins, "login_id"))
        return sum(self._forget(table, name, before, limit) for table, name in keys)

    def _forget(self, table: Table, name: str, before: datetime, limit: int) -> int:
        key: Any = table.c[name]
        with self._writing() as connection:
            old = connection.scalars(select(key).where(table.c.until < before).limit(limit)).all()
            for value in old:
                connection.execute(delete(table).where(key == value))
        return len(old)


def _move(
    connection: Connection, transaction_id: str, before: AttemptState, after: AttemptState, **values: object
) -> bool:
    this = (_attempts.c.transaction_id == transaction_id, _attempts.c.state == before)
    return connection.execute(update(_attempts).where(*this).values(state=after, **values)).rowcount == 1


def _attempt(connection: Connection, transaction_id: str) -> AttemptRow | None:
    return one(connection, AttemptRow, select(_attempts).where(_attempts.c.transaction_id == transaction_id))


def _login(connection: Connection, login_id: str) -> LoginRow | None:
    return one(connection, LoginRow, select(_logins).where(_logins.c.login_id == login_id))
