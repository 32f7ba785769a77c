"""Everything about pages that show an e-card, put together: one field of the issuer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from ecard_card.errors import NotFound
from ecard_issuer.channels.office import ChannelOffice
from ecard_issuer.channels.states import ChannelState
from ecard_issuer.feed_hub import FeedHub
from ecard_issuer.ports import Cards
from ecard_issuer.tickets.numbers import NumberBook
from ecard_issuer.tickets.origins import KnownOrigins
from ecard_issuer.tickets.shown import ShownLinks
from ecard_issuer.tickets.sql import SqlSessions
from ecard_issuer.tickets.tickets import Tickets
from ecard_issuer.tickets.watch import Watch

_PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Showing:
    """Tickets and sessions, who waits for news, which origins may call from a browser, numbers for codes, and the
    origins of one app."""

    tickets: Tickets
    watch: Watch
    origins: KnownOrigins
    numbers: NumberBook
    origins_of: Callable[[str], tuple[str, ...]]


def open_showing(
    engine: Engine, register: Cards, links: ShownLinks, office: ChannelOffice, issuer: str, hub: FeedHub
) -> Showing:
    """Over the engine of the register. `issuer` is the configured public origin."""

    def origins_of(app_id: str) -> tuple[str, ...]:
        try:
            channel = office.get(app_id)
        except NotFound:
            return ()
        return channel.registration.browser_origins if channel.state is ChannelState.ACTIVE else ()

    def every_origin() -> Iterator[str]:
        after = ""
        while page := office.list(ChannelState.ACTIVE, after, _PAGE):
            for channel in page:
                yield from channel.registration.browser_origins
            after = page[-1].app_id

    watch, numbers = Watch(hub), NumberBook()
    tickets = Tickets(
        SqlSessions(engine),
        links,
        origins_of,
        issuer,
        numbers,
        register.find_credential,
        office.admitted,
        told=watch.ended,
    )
    return Showing(tickets, watch, KnownOrigins(every_origin), numbers, origins_of)
