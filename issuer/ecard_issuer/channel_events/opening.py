"""What channels are told, put together over an issuer's partners."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Engine

from ecard_issuer.channel_events.answers import webhook_body
from ecard_issuer.channel_events.filing import ChannelFiling
from ecard_issuer.channel_events.of_links import shown_status
from ecard_issuer.channel_events.office import ChannelEventOffice
from ecard_issuer.channel_events.sql import SqlEventLog
from ecard_issuer.channel_events.store import Addresses, Links
from ecard_issuer.channel_events.worker import ChannelWorker
from ecard_issuer.partners.messages import ChannelBody
from ecard_issuer.partners.opening import Bell, Partners
from ecard_issuer.partners.streams import Delivery, Stream
from ecard_issuer.people import References
from ecard_issuer.ports import Cards

#: How long a channel can read what happened; longer than any webhook is tried.
KEPT: Final = timedelta(days=35)
_BATCH: Final = 5000


@dataclass(frozen=True, slots=True)
class ChannelEvents:
    """Everything about channels' events. `bell` rings when there are new ones."""

    log: SqlEventLog
    office: ChannelEventOffice
    filing: ChannelFiling
    worker: ChannelWorker
    bell: Bell

    def upkeep(self, now: datetime) -> None:
        """Forget events that are older than `KEPT`."""
        self.log.purge(now - KEPT, _BATCH)


def channel_body_of(engine: Engine) -> ChannelBody:
    """What a channel's webhook says, read from the channel's log."""
    log = SqlEventLog(engine)

    def body(stream: Stream, delivery: Delivery) -> bytes | None:
        event = log.event(stream.partner, delivery.seq)
        return None if event is None else webhook_body(stream, event)

    return body


def open_channel_events(
    engine: Engine,
    register: Cards,
    partners: Partners,
    references: References,
    links: Links,
    addresses: Addresses,
    clock: Callable[[], datetime],
) -> ChannelEvents:
    """`partners` were opened with `channel_body_of`."""
    log, bell = SqlEventLog(engine), Bell()
    log.place(partners.source.head())  # from here on nothing is missed
    office = ChannelEventOffice(log, partners.store, partners.office, addresses, references)

    def told() -> None:
        partners.worker.ring()
        bell.ring()

    filing = ChannelFiling(
        log,
        partners.source,
        links,
        partners.store,
        lambda card_ref, now: shown_status(register, card_ref, now),
        office.prepare,
        lambda app_id: addresses.of(app_id) is not None,
    )
    return ChannelEvents(log, office, filing, ChannelWorker(filing, clock, told), bell)
