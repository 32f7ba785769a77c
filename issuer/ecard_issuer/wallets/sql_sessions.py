"""Sessions and batches of `WalletStore`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection, Engine, select, update

from ecard_issuer.register import tables
from ecard_issuer.register.reissue_state import cards_of
from ecard_issuer.register.reissue_statements import end, ended_entries, ended_news
from ecard_issuer.register.sql import Store, columns, fixed, set_entries
from ecard_issuer.register.sql_reissue import lineage
from ecard_issuer.states import CredentialState, EnrolmentState
from ecard_issuer.together import Together, all_or_each
from ecard_issuer.wallets.sql_together import Keys, add_batches, batches_of, offer_of, sessions_of, to_batch
from ecard_issuer.wallets.values import BatchRow, BatchState, SessionRow, WalletEvent

_session, _batch = tables.wallet_session, tables.wallet_batch
_offer = tables.wallet_offer
Question = TypeVar("Question")
Answer = TypeVar("Answer")


class SqlSessions(Store):
    """See the port."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._finding = Together(all_or_each(in_one(self._reading, sessions_of)))
        self._keeping = Together(all_or_each(in_one(self._writing, add_batches)))

    def find_session(self, session_id: str) -> SessionRow | None:
        return self._finding.ask(session_id)[0]

    def add_batch(self, batch: BatchRow, taken: int, most: int) -> BatchRow | None:
        return self._keeping.ask(Keys(batch, taken, most))[0]

    def offer_maker(self, session_id: str) -> str | None:
        with self._reading() as connection:
            made_by = select(_offer.c.made_by).where(_offer.c.offer_id == offer_of(connection, session_id))
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
            return tuple(map(to_batch, connection.execute(page).mappings()))

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


def in_one(
    transaction: Callable[[], AbstractContextManager[Connection]],
    work: Callable[[Connection, Sequence[Question]], Sequence[Answer]],
) -> Callable[[Sequence[Question]], Sequence[Answer]]:
    """`work` within a transaction of its own."""

    def worked(questions: Sequence[Question]) -> Sequence[Answer]:
        with transaction() as connection:
            return work(connection, questions)

    return worked


def insert_session(connection: Connection, session: SessionRow) -> None:
    connection.execute(_session.insert().values(columns(session)))


def _load_batch(connection: Connection, batch_id: str) -> BatchRow | None:
    return batches_of(connection, [batch_id]).get(batch_id)
