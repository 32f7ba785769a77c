"""`WalletStore` on the register's engine: the registry, offers and pushed requests; sessions in `sql_sessions.py`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Table, delete, select, update

from ecard_issuer.register import tables
from ecard_issuer.register.sql import columns, fixed, insert_new, one
from ecard_issuer.together import Together, all_or_each
from ecard_issuer.wallets.sql_sessions import SqlSessions, in_one, insert_session
from ecard_issuer.wallets.sql_together import Look, add_offers, looked_at, offers_of, redeem_offers, save_offers
from ecard_issuer.wallets.values import (
    OfferRow,
    OfferState,
    RequestRow,
    RequestState,
    SessionRow,
    WalletClient,
)

_client, _offer, _request = tables.wallet_client, tables.wallet_offer, tables.wallet_request
_ENDED = (_offer, _request, tables.wallet_session, tables.wallet_batch)


class SqlWallets(SqlSessions):
    """See the port. Its locks are rows': of an offer, of a request, of a session. What every issuance asks for is done
    together for all that ask at once."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._adding = Together(all_or_each(in_one(self._writing, add_offers)))
        self._redeeming = Together(all_or_each(in_one(self._writing, redeem_offers)))

    def find_client(self, client_id: str) -> WalletClient | None:
        with self._reading() as connection:
            found = connection.execute(select(_client).where(_client.c.client_id == client_id)).mappings()
            return _to_client(found.one_or_none())

    def list_clients(self, after: str = "", limit: int = 100) -> tuple[WalletClient, ...]:
        page = select(_client).where(_client.c.client_id > after).order_by(_client.c.client_id).limit(limit)
        with self._reading() as connection:
            rows = map(_to_client, connection.execute(page).mappings())
            return tuple(row for row in rows if row is not None)

    def save_client(self, client: WalletClient) -> None:
        values = columns(client) | {"redirect_uris": list(client.redirect_uris)}
        with self._writing() as connection:
            if not insert_new(connection, _client, **values):
                connection.execute(update(_client).where(_client.c.client_id == client.client_id).values(values))

    def add_offer(self, offer: OfferRow) -> OfferRow:
        return self._adding.ask(offer)[0]

    def find_offer(self, offer_id: str) -> OfferRow | None:
        with self._reading() as connection:
            return _load_offer(connection, offer_id)

    def redeem_offer(
        self, offer_id: str, right: bool, opened: Callable[[OfferRow], SessionRow], now: datetime
    ) -> OfferRow | None:
        return self._redeeming.ask(Look(offer_id, right, opened, now))[0]

    def add_request(self, request: RequestRow) -> None:
        with self._writing() as connection:
            connection.execute(_request.insert().values(columns(request)))

    def find_request(self, request_id: str) -> RequestRow | None:
        with self._reading() as connection:
            return one(connection, RequestRow, select(_request).where(_request.c.request_id == request_id))

    def open_request(self, request_id: str, browser_hash: str) -> bool:
        this = (_request.c.request_id == request_id, _request.c.state == fixed(RequestState.PUSHED))
        with self._writing() as connection:
            bound = update(_request).where(*this, _request.c.browser_hash.is_(None)).values(browser_hash=browser_hash)
            if connection.execute(bound).rowcount == 1:
                return True
            return connection.scalar(select(_request.c.browser_hash).where(*this)) == browser_hash

    def take_request_try(self, request_id: str, limit: int, now: datetime) -> bool:
        with self._writing() as connection:
            taken = connection.execute(
                update(_request)
                .where(*_open(request_id, now), _request.c.tries < limit)
                .values(tries=_request.c.tries + 1)
            )
            return taken.rowcount == 1

    def grant_request(self, request: RequestRow, right: bool, now: datetime) -> bool:
        with self._writing() as connection:
            locked = select(_request.c.request_id).where(*_open(request.request_id, now)).with_for_update()
            if connection.scalar(locked) is None:
                return False
            if request.offer_id is not None:
                offer = self._try_offer(connection, request.offer_id, right, now)
                if offer is None or offer.state is not OfferState.TAKEN:
                    return False
            elif not right:
                return False
            changed = columns(request) | {"state": RequestState.GRANTED}
            kept = ("enrolment_id", "app_id", "link_id", "review", "expires_at", "state")
            connection.execute(
                update(_request)
                .where(_request.c.request_id == request.request_id)
                .values({name: changed[name] for name in kept})
            )
            return True

    def refuse_request(self, request_id: str) -> bool:
        this = (_request.c.request_id == request_id, _request.c.state == fixed(RequestState.PUSHED))
        with self._writing() as connection:
            refused = connection.execute(update(_request).where(*this).values(state=RequestState.REFUSED))
            return refused.rowcount == 1

    def redeem_request(self, request_id: str, session: SessionRow, now: datetime) -> bool:
        with self._writing() as connection:
            redeemed = connection.execute(
                update(_request)
                .where(
                    _request.c.request_id == request_id,
                    _request.c.state == fixed(RequestState.GRANTED),
                    _request.c.expires_at > now,
                )
                .values(state=RequestState.REDEEMED)
            )
            if redeemed.rowcount != 1:
                return False
            insert_session(connection, session)
            return True

    def purge(self, before: datetime, limit: int) -> int:
        gone = 0
        for table in _ENDED:
            (key,) = table.primary_key.columns
            over = select(key).where(table.c.expires_at < before).order_by(table.c.expires_at).limit(limit)
            with self._writing() as connection:
                ended = connection.scalars(over).all()
                if ended:
                    gone += _delete(connection, table, ended)
        return gone

    @staticmethod
    def _try_offer(connection: Connection, offer_id: str, right: bool, now: datetime) -> OfferRow | None:
        """One look at an offer: locked, so that of many at once each counts. The offer as it is after it; TAKEN only
        where this look took it."""
        offer = looked_at(offers_of(connection, [offer_id], locked=True).get(offer_id), right, now)
        if offer is not None:
            save_offers(connection, [offer])
        return offer


def _open(request_id: str, now: datetime) -> tuple[Any, ...]:
    return (
        _request.c.request_id == request_id,
        _request.c.state == fixed(RequestState.PUSHED),
        _request.c.expires_at > now,
    )


def _delete(connection: Connection, table: Table, keys: Any) -> int:
    (key,) = table.primary_key.columns
    return connection.execute(delete(table).where(key.in_(keys))).rowcount


def _load_offer(connection: Connection, offer_id: str) -> OfferRow | None:
    return one(connection, OfferRow, select(_offer).where(_offer.c.offer_id == offer_id))


def _to_client(found: Any) -> WalletClient | None:
    if found is None:
        return None
    return WalletClient(**(dict(found) | {"redirect_uris": tuple(found["redirect_uris"])}))
