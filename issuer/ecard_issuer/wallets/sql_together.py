"""What wallets ask of the register many times a second, for all that ask at once: statements for many rows, each in one
transaction. Rows are locked in the order of their keys, so that no two such transactions wait for each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select, update

from ecard_issuer.register import tables
from ecard_issuer.register.sql import among, columns, many
from ecard_issuer.register.sql_rows import insert_free, insert_rows
from ecard_issuer.wallets.values import TRIES, BatchRow, BatchState, OfferRow, OfferState, SessionRow, WantedKey

_offer, _request = tables.wallet_offer, tables.wallet_request
_session, _batch = tables.wallet_session, tables.wallet_batch
_OFFERS = select(_offer).where(among(_offer.c.offer_id, "ids")).order_by(_offer.c.offer_id)
_LOCKED = _OFFERS.with_for_update()
_SESSIONS = select(_session).where(among(_session.c.session_id, "ids"))


@dataclass(frozen=True, slots=True)
class Look:
    """One look at an offer: whether the transaction code was right, and what is kept where it was."""

    offer_id: str
    right: bool
    opened: Callable[[OfferRow], SessionRow]
    now: datetime


@dataclass(frozen=True, slots=True)
class Keys:
    """A batch to be kept, where its session has `taken` keys so far and stays within `most`."""

    batch: BatchRow
    taken: int
    most: int

    @property
    def fits(self) -> bool:
        return self.taken + len(self.batch.keys) <= self.most


def add_offers(connection: Connection, offers: Sequence[OfferRow]) -> list[OfferRow]:
    """Each as it is kept: of an id that is there already, what was there."""
    first = {offer.offer_id: offer for offer in reversed(offers)}
    new = insert_free(connection, _offer, [columns(first[offer_id]) for offer_id in sorted(first)])
    kept = {offer_id: offer for offer_id, offer in first.items() if (offer_id,) in new}
    kept |= offers_of(connection, [offer_id for offer_id in first if offer_id not in kept])
    return [kept.get(offer.offer_id, offer) for offer in offers]


def redeem_offers(connection: Connection, looks: Sequence[Look]) -> list[OfferRow | None]:
    """See `WalletStore.redeem_offer`. Of several looks at one offer each counts, in their order."""
    offers = offers_of(connection, {look.offer_id for look in looks}, locked=True)
    seen, opened, after = dict(offers), list[SessionRow](), list[OfferRow | None]()
    for look in looks:
        looked = looked_at(seen.get(look.offer_id), look.right, look.now)
        after.append(looked)
        if looked is not None:
            seen[look.offer_id] = looked
            if looked.state is OfferState.TAKEN:
                opened.append(look.opened(looked))
    save_offers(connection, [offer for offer in seen.values() if offer is not offers[offer.offer_id]])
    if opened:
        insert_rows(connection, _session, [columns(session) for session in opened])
    return after


def looked_at(offer: OfferRow | None, right: bool, now: datetime) -> OfferRow | None:
    """The offer after one look; None, and nothing changes, where it can be taken up no more."""
    if offer is None or offer.state is not OfferState.OPEN or offer.expires_at <= now:
        return None
    if right:
        return replace(offer, state=OfferState.TAKEN)
    tries = offer.tries + 1
    return replace(offer, tries=tries, state=OfferState.DEAD if tries >= TRIES else OfferState.OPEN)


def save_offers(connection: Connection, offers: Iterable[OfferRow]) -> None:
    """State and tries of locked offers."""
    alike: dict[tuple[OfferState, int], list[str]] = {}
    for offer in offers:
        alike.setdefault((offer.state, offer.tries), []).append(offer.offer_id)
    for (state, tries), ids in alike.items():
        connection.execute(update(_offer).where(_offer.c.offer_id.in_(ids)).values(state=state, tries=tries))


def offers_of(connection: Connection, ids: Iterable[str], *, locked: bool = False) -> dict[str, OfferRow]:
    wanted = sorted(ids)
    if not wanted:
        return {}
    found = many(connection, OfferRow, _LOCKED if locked else _OFFERS, ids=wanted)
    return {offer.offer_id: offer for offer in found}


def sessions_of(connection: Connection, ids: Sequence[str]) -> list[SessionRow | None]:
    found = many(connection, SessionRow, _SESSIONS, ids=sorted(set(ids)))
    by_id = {row.session_id: row for row in found}
    return [by_id.get(session_id) for session_id in ids]


def add_batches(connection: Connection, asked: Sequence[Keys]) -> list[BatchRow | None]:
    """See `WalletStore.add_batch`. What names one session or one batch twice is done one after the other."""
    kept: list[BatchRow | None] = []
    left = list(asked)
    while left:
        ids = [name for one in left for name in (one.batch.session_id, one.batch.batch_id)]
        alike = len(set(ids)) != len(ids)
        now, left = (left[:1], left[1:]) if alike else (left, [])
        kept += _add_different(connection, now)
    return kept


def _add_different(connection: Connection, asked: Sequence[Keys]) -> list[BatchRow | None]:
    fit = sorted((one for one in asked if one.fits), key=lambda one: one.batch.batch_id)
    new = insert_free(connection, _batch, [batch_columns(one.batch) for one in fit])
    added = [one for one in fit if (one.batch.batch_id,) in new]
    counted = _counted(connection, added)
    undone = [one.batch.batch_id for one in added if one.batch.session_id not in counted]
    if undone:
        connection.execute(delete(_batch).where(_batch.c.batch_id.in_(undone)))
    kept = batches_of(connection, [one.batch.batch_id for one in asked if (one.batch.batch_id,) not in new])
    for one in added:
        if one.batch.session_id in counted:
            kept[one.batch.batch_id] = one.batch
            if one.batch.state is BatchState.WAITING:
                _keep_origin(connection, one.batch.session_id, one.batch.expires_at)
    return [kept.get(one.batch.batch_id) for one in asked]


def _counted(connection: Connection, added: Sequence[Keys]) -> set[str]:
    """Count the keys of each in its session; the sessions that had as many before as it says."""
    alike: dict[tuple[int, int], list[str]] = {}
    for one in added:
        alike.setdefault((one.taken, len(one.batch.keys)), []).append(one.batch.session_id)
    if len(alike) > 1:  # each statement locks in order, but not several: then all are locked before the first
        every = sorted(one.batch.session_id for one in added)
        these = select(_session.c.session_id).where(_session.c.session_id.in_(every))
        connection.execute(these.order_by(_session.c.session_id).with_for_update())
    counted = set[str]()
    for (taken, more), ids in sorted(alike.items()):
        these = select(_session.c.session_id).where(_session.c.session_id.in_(sorted(ids)), _session.c.taken == taken)
        locked = these.order_by(_session.c.session_id).with_for_update().scalar_subquery()
        raised = update(_session).where(_session.c.session_id.in_(locked)).values(taken=taken + more)
        counted |= set(connection.scalars(raised.returning(_session.c.session_id)))
    return counted


def offer_of(connection: Connection, session_id: str) -> str:
    """A session has the id of its offer, or of its request, which knows the offer."""
    by_page: str | None = connection.scalar(select(_request.c.offer_id).where(_request.c.request_id == session_id))
    return by_page or session_id


def _keep_origin(connection: Connection, session_id: str, until: datetime) -> None:
    """Let a session, and what it came of, stay as long as its batch: neither can be taken up any more."""
    offer_id = offer_of(connection, session_id)
    for table, this in (
        (_session, _session.c.session_id == session_id),
        (_request, _request.c.request_id == session_id),
        (_offer, _offer.c.offer_id == offer_id),
    ):
        connection.execute(update(table).where(this, table.c.expires_at < until).values(expires_at=until))


def batches_of(connection: Connection, ids: Sequence[str]) -> dict[str, BatchRow]:
    if not ids:
        return {}
    found = connection.execute(select(_batch).where(_batch.c.batch_id.in_(sorted(set(ids))))).mappings()
    return {batch.batch_id: batch for batch in map(to_batch, found)}


def batch_columns(batch: BatchRow) -> dict[str, Any]:
    return columns(batch) | {"keys": [asdict(key) for key in batch.keys]}


def to_batch(found: Mapping[Any, Any]) -> BatchRow:
    keys = tuple(WantedKey(**key) for key in found["keys"])
    return BatchRow(**{str(name): value for name, value in found.items() if name != "keys"}, keys=keys)
