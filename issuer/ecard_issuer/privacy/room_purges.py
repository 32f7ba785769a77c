"""What the other rooms do not keep for ever, each by its own way of forgetting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Engine, func, literal, select, true

from ecard_issuer.applying.desk import Applying
from ecard_issuer.links.store import LinkStore
from ecard_issuer.mandates.desk import Mandates
from ecard_issuer.partners.store import PartnerStore
from ecard_issuer.partners.streams import DeliveryState
from ecard_issuer.privacy.core_purges import Paged, in_scope
from ecard_issuer.privacy.retention import BATCH, Purgeable, Scope
from ecard_issuer.register import tables
from ecard_issuer.register.engine import reading
from ecard_issuer.register.sql import fixed
from ecard_issuer.relying.records import RelyingStore

_application, _mandate, _access = tables.application, tables.mandate, tables.relying_access
_delivery, _secret_event, _showing = tables.partner_delivery, tables.secret_event, tables.family_showing


class RoomPurge:
    """A `Purgeable` whose records their own room deletes: `forget` is told the scope and how many at most, and says
    how many went. `time` is what the term counts from, `region` the column of the record's region if it has one."""

    def __init__(
        self,
        engine: Engine,
        name: str,
        term: str,
        time: Column[Any],
        forget: Callable[[Scope, int], int],
        *,
        region: Column[Any] | None = None,
        over: ColumnElement[bool] | None = None,
    ) -> None:
        self.name = name
        self.term = term
        self.regional = region is not None
        self._engine = engine
        self._time = time
        self._forget = forget
        self._region = region
        self._over = true() if over is None else over

    def purge(self, scope: Scope, limit: int) -> int:
        """See `Purgeable.purge`."""
        gone = 0
        while gone < limit:
            wanted = min(BATCH, limit - gone)
            found = self._forget(scope, wanted)
            gone += found
            if found < wanted:
                break
        return gone

    def count(self, scope: Scope, limit: int) -> int:
        """See `Purgeable.count`."""
        within = true() if self._region is None else in_scope(self._region, scope)
        old = select(literal(1)).select_from(self._time.table).where(self._time < scope.before, self._over, within)
        with reading(self._engine) as connection:
            return connection.scalar(select(func.count()).select_from(old.limit(limit).subquery())) or 0


class SecretEventPurge(Paged):
    """Who changed a PIN or an e-card password, and when. That it is set, and its count of tries, stay with it."""

    name = "secret_events"
    term = "accesses"
    regional = False
    time = _secret_event.c.at
    keys = (_secret_event.c.subject, _secret_event.c.purpose, _secret_event.c.version)


class ShowingPurge(Paged):
    """When an e-card was shown by a relative."""

    name = "family_showings"
    term = "accesses"
    regional = False
    time = _showing.c.shown_at
    keys = (_showing.c.holder_ref, _showing.c.showing_id)


class BatchRowPurge(Paged):
    """What came of the rows of agencies' batches."""

    name = "agency_batch_rows"
    term = "applications"
    regional = False
    time = tables.agency_batch_row.c.recorded_at
    keys = (tables.agency_batch_row.c.batch_ref, tables.agency_batch_row.c.row)


class LinkNewsPurge(Paged):
    """What channels were told of their links."""

    name = "link_news"
    term = "deliveries"
    regional = False
    time = tables.channel_link_news.c.at
    keys = (tables.channel_link_news.c.app_id, tables.channel_link_news.c.news_id)

    def _condition(self, scope: Scope) -> ColumnElement[bool]:
        return tables.channel_link_news.c.waiting.is_(None)


class PaymentPurge(Paged):
    """What people agreed to have paid at counters."""

    name = "payments"
    term = "accesses"
    regional = False
    time = tables.payment_request.c.asked_at
    keys = (tables.payment_request.c.transaction_id,)


def room_purges(
    engine: Engine,
    applying: Applying,
    mandates: Mandates,
    asked: RelyingStore,
    told: PartnerStore,
    links: LinkStore,
) -> Sequence[Purgeable]:
    """All of the above, and those of the rooms given."""
    done = _delivery.c.state != fixed(DeliveryState.WAITING)
    return (
        RoomPurge(
            engine,
            "applications",
            "applications",
            _application.c.closed_at,
            lambda scope, limit: applying.purge(scope.before, limit, region=scope.region, without=scope.without),
            region=_application.c.region,
        ),
        BatchRowPurge(engine),
        RoomPurge(
            engine,
            "mandates",
            "mandates",
            _mandate.c.closes_at,
            lambda scope, limit: mandates.purge(scope.before, limit),
        ),
        RoomPurge(engine, "accesses", "accesses", _access.c.at, lambda scope, limit: asked.purge(scope.before, limit)),
        RoomPurge(
            engine,
            "deliveries",
            "deliveries",
            _delivery.c.updated_at,
            lambda scope, limit: told.purge(scope.before, limit),
            over=done,
        ),
        RoomPurge(
            engine,
            "channel_links",
            "accesses",
            tables.channel_link.c.ended_at,
            lambda scope, limit: links.purge(scope.before, limit),
        ),
        LinkNewsPurge(engine),
        SecretEventPurge(engine),
        ShowingPurge(engine),
        PaymentPurge(engine),
    )
