"""Port `Answers` on SQL: the primary key settles who runs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, delete, or_, select, update

from ecard_issuer.idempotency.answers import AnswerRow, Run
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, insert_new, one

_answer = tables.idempotent_answer


class SqlAnswers(Store):
    def begin(self, row: AnswerRow, now: datetime) -> AnswerRow | None:
        this = _answer.c.slot == row.slot
        cut_short = (
            _answer.c.sealed_answer.is_(None)
            & (_answer.c.leased_until <= now)
            & (_answer.c.fingerprint == row.fingerprint)
        )
        take = update(_answer).where(this, or_(_answer.c.expires_at <= now, cut_short)).values(columns(row))
        with self._writing() as connection:
            if insert_new(connection, _answer, **columns(row)) or connection.execute(take).rowcount == 1:
                return None
            found = one(connection, AnswerRow, select(_answer).where(this))
            if found is not None:
                return found
            # Abandoned between the two statements: then it is free, unless somebody else is quicker still.
            taken = insert_new(connection, _answer, **columns(row))
            return None if taken else one(connection, AnswerRow, select(_answer).where(this)) or row

    def finish(self, run: Run, wrapped_key: bytes, sealed_answer: bytes) -> bool:
        keep = update(_answer).where(*_running(run)).values(wrapped_key=wrapped_key, sealed_answer=sealed_answer)
        with self._writing() as connection:
            return connection.execute(keep).rowcount == 1

    def abandon(self, run: Run) -> None:
        with self._writing() as connection:
            connection.execute(delete(_answer).where(*_running(run)))

    def purge(self, now: datetime, limit: int) -> int:
        over = select(_answer.c.slot).where(_answer.c.expires_at <= now).order_by(_answer.c.expires_at).limit(limit)
        with self._reading() as connection:
            slots = list(connection.scalars(over))
        if not slots:
            return 0
        gone = delete(_answer).where(_answer.c.slot.in_(slots), _answer.c.expires_at <= now)
        with self._writing() as connection:
            return connection.execute(gone).rowcount


def _running(run: Run) -> tuple[ColumnElement[bool], ...]:
    return _answer.c.slot == run.slot, _answer.c.run_id == run.run_id, _answer.c.sealed_answer.is_(None)
