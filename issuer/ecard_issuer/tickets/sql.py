"""Port `SessionStore` on SQL."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select, update

from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store, columns, one
from ecard_issuer.tickets.values import Ending, ShowSession

_session = tables.show_session


class SqlSessions(Store):
    """See `SessionStore`."""

    def add(self, session: ShowSession) -> None:
        with self._writing() as connection:
            connection.execute(_session.insert().values(columns(session)))

    def find(self, session_id: str) -> ShowSession | None:
        with self._reading() as connection:
            return one(connection, ShowSession, select(_session).where(_session.c.session_id == session_id))

    def open(self, session_id: str, token_hash: str, now: datetime, until: datetime) -> bool:
        fresh = (_session.c.session_id == session_id, _session.c.opened_at.is_(None), _session.c.ended_at.is_(None))
        with self._writing() as connection:
            done = connection.execute(
                update(_session).where(*fresh).values(opened_at=now, expires_at=until, token_hash=token_hash)
            )
        return done.rowcount == 1

    def end(self, session_id: str, ending: Ending, now: datetime) -> None:
        live = (_session.c.session_id == session_id, _session.c.ended_at.is_(None))
        with self._writing() as connection:
            connection.execute(update(_session).where(*live).values(ended_at=now, ending=ending))

    def shows(self, session_id: str, status_uri: str, status_index: int) -> None:
        this = _session.c.session_id == session_id
        with self._writing() as connection:
            connection.execute(update(_session).where(this).values(status_uri=status_uri, status_index=status_index))

    def forget(self, before: datetime, limit: int) -> int:
        old = select(_session.c.session_id).where(_session.c.issued_at < before)
        with self._writing() as connection:
            ids = connection.scalars(old.order_by(_session.c.issued_at).limit(limit)).all()
            connection.execute(delete(_session).where(_session.c.session_id.in_(ids)))
        return len(ids)
