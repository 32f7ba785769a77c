"""Sessions and batches of `WalletStore`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, select, update

from ecard_issuer.register import tables
from ecard_issuer.register.reissue_state import cards_of
from ecard_issuer.register.reissue_statements import end, ended_entries, ended_news
from ecard_issuer.register.sql import Store, columns, fixed, insert_new, one, set_entries
from ecard_issuer.register.sql_reissue import lineage
from ecard_issuer.states import CredentialState, EnrolmentState
from ecard_issuer.wallets.values import BatchRow, BatchState, SessionRow, WalletEvent, WantedKey

_session, _batch = tables.wallet_session, tables.wallet_batch
_offer, _request = tables.wallet_offer, tables.wallet_request


class _Undone(Exception):
    """Leaves a transaction that is to leave nothing."""


class SqlSessions(Store):
    """See the port."""

    def find_session(self, session_id: str) -> SessionRow | None:
        with self._reading() as connection:
            return one(connection, SessionRow, select(_session).where(_session.c.session_id == session_id))

    def add_batch(self, batch: BatchRow, taken: int, most: int) -> BatchRow | None:
        values = columns(batch) | {"keys": [asdict(key) for key in batch.keys]}
        try:
            with self._writing() as connection:
                if not insert_new(connection, _batch, **values):
                    return _load_batch(connection, batch.batch_id)
                total = taken + len(batch.keys)
                later = case((_session.c.expires_at < batch.expires_at, batch.expires_at), else_=_session.c.expires_at)
                longer = {"expires_at": later} if batch.state is BatchState.WAITING else {}
                counted = connection.execute(
                    update(_session)
                    .where(_session.c.session_id == batch.session_id, _session.c.taken == taken)
                    .values({"taken": total, **longer})
                )
                if total > most or counted.rowcount != 1:
                    raise _Undone
                if batch.state is BatchState.WAITING:
                    _keep_origin(connection, batch.session_id, batch.expires_at)
        except _Undone:
            return None
        return batch

    def offer_maker(self, session_id: str) -> str | None:
        with self._reading() as connection:
            made_by = select(_offer.c.made_by).where(_offer.c.offer_id == _offer_of(connection, session_id))
            maker: str | None = connection.scalar(made_by)
            return maker

    def find_batch(self, batch_id: str) -> BatchRow | None:
        with self._reading() as connection:
            return _load_batch(connection, batch_id)

    def waiting_batches(self, now: datetime, after: str = "", limit: int = 100) -> tuple[BatchRow, ...]:
        page = (
            select(_batch)
            .where(_batch.c.state == fixed(BatchState.WAITING), _batch.c.expires_at > now, _batch.c.batch_id > after)
            .order_by(_batch.c.batch_id)
            .limit(limit)
        )
        with self._reading() as connection:
            return tuple(map(_to_batch, connection.execute(page).mappings()))

    def decide_batch(self, batch_id: str, state: BatchState, by: str, reason: str, now: datetime) -> BatchRow | None:
        with self._writing() as connection:
            connection.execute(
                update(_batch)
                .where(
                    _batch.c.batch_id == batch_id,
                    _batch.c.state == fixed(BatchState.WAITING),
                    _batch.c.expires_at > now,
                )
                .values(state=state, decided_by=by, decided_at=now, reason=reason)
            )
            found = _load_batch(connection, batch_id)
            return None if found is None or found.state is BatchState.WAITING else found

    def end_issued(self, enrolment_ids: Sequence[str], now: datetime) -> None:
        enrolment = tables.enrolment
        these = enrolment.c.enrolment_id.in_(sorted(enrolment_ids))
        with self._writing() as connection:
            # Cards first, in the order of their references, as everybody locks them.
            cards_of(connection, set(connection.scalars(select(enrolment.c.card_ref).where(these))), locked=True)
            connection.execute(
                update(enrolment)
                .where(these, enrolment.c.state == fixed(EnrolmentState.PROVEN))
                .values(state=EnrolmentState.ISSUED)
            )
            given = connection.scalars(select(enrolment.c.credential_id).where(these)).all()
            line = (row for one in given if one is not None for row in lineage(connection, one))
            live = {row.credential_id: row for row in line if row.state is CredentialState.LIVE}
            if live:
                ended = end(connection, tuple(live.values()))
                set_entries(connection, ended_entries(ended))
                for card_ref, kind, body in ended_news(ended):
                    self._post(connection, card_ref, kind, body, now)

    def note_event(self, batch_id: str, event: WalletEvent) -> None:
        with self._writing() as connection:
            connection.execute(update(_batch).where(_batch.c.batch_id == batch_id).values(event=event))


def _offer_of(connection: Connection, session_id: str) -> str:
    """A session has the id of its offer, or of its request, which knows the offer."""
    by_page: str | None = connection.scalar(select(_request.c.offer_id).where(_request.c.request_id == session_id))
    return by_page or session_id


def _keep_origin(connection: Connection, session_id: str, until: datetime) -> None:
    """Let what a session came of stay as long as it: neither can be taken up any more."""
    offer_id = _offer_of(connection, session_id)
    for table, this in ((_request, _request.c.request_id == session_id), (_offer, _offer.c.offer_id == offer_id)):
        connection.execute(update(table).where(this, table.c.expires_at < until).values(expires_at=until))


def insert_session(connection: Connection, session: SessionRow) -> None:
    connection.execute(_session.insert().values(columns(session)))


def _load_batch(connection: Connection, batch_id: str) -> BatchRow | None:
    found = connection.execute(select(_batch).where(_batch.c.batch_id == batch_id)).mappings().one_or_none()
    return None if found is None else _to_batch(found)


def _to_batch(found: Mapping[Any, Any]) -> BatchRow:
    keys = tuple(WantedKey(**key) for key in found["keys"])
    return BatchRow(**{str(name): value for name, value in found.items() if name != "keys"}, keys=keys)
