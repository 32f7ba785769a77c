"""What a channel's developer asks of a test issuer: change a card on cue, begin anew.

A channel moves its own links only; a card is shared with whoever claimed the same magic person, who is told too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from ecard_card.errors import NotFound
from ecard_card.status import CardChange
from ecard_issuer.channel_events.values import ChannelEventType
from ecard_issuer.links.links import Links
from ecard_issuer.links.values import Link
from ecard_issuer.ports import Cards
from ecard_issuer.testmode.cards import TestCards
from ecard_issuer.testmode.identity import TestIdentity

#: What each event can be triggered by.
TRIGGERS: Final[Mapping[ChannelEventType, CardChange]] = MappingProxyType(
    {
        ChannelEventType.CARD_LOST: CardChange.REPORT_LOSS,
        ChannelEventType.CARD_FOUND: CardChange.RELEASE,
        ChannelEventType.CARD_REPLACED: CardChange.REPLACE,
        ChannelEventType.CARD_CANCELLED: CardChange.CANCEL,
    }
)
_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class WasReset:
    """How many links were released, and how many magic people brought back."""

    released: int
    restored: int


class TestDesk:
    """The verbs. Times are aware UTC."""

    __test__ = False  # no test case, whatever its name begins with

    def __init__(self, cards: TestCards, identity: TestIdentity, links: Links, register: Cards) -> None:
        self.cards, self.identity = cards, identity
        self._links, self._register = links, register

    def trigger(self, app_id: str, event: ChannelEventType, link_id: str | None, now: datetime) -> Link:
        """Have happen to the card of a link what `event` tells; without an id, to the link claimed last.

        Raises `NotFound` `link_unknown`, `test_person_unknown` (a card that is no magic person's), `RuleViolation`
        `card_change_impossible` from where the card is.
        """
        link = self._last(app_id) if link_id is None else self._links.get(app_id, link_id)
        self.cards.change(self._card(link), TRIGGERS[event], now)
        return link

    def reset(self, app_id: str, now: datetime) -> WasReset:
        """Release every link of the channel, and bring the magic people behind them back to what the table says."""
        links = tuple(self._all(app_id))
        live = [link for link in links if link.ended_at is None]
        for link in live:
            self._links.release(link, now)
        restored = sum(self._restore(card_ref, now) for card_ref in {self._card(link): None for link in links})
        return WasReset(len(live), restored)

    def _restore(self, card_ref: str, now: datetime) -> bool:
        try:
            self.cards.restore(card_ref, now)
        except NotFound:
            return False  # somebody registered this card here who is in no table
        return True

    def _last(self, app_id: str) -> Link:
        live = [link for link in self._all(app_id) if link.ended_at is None]
        if not live:
            raise NotFound("link_unknown", "this channel has no live link")
        return max(live, key=lambda link: (link.claimed_at, link.link_id))

    def _all(self, app_id: str) -> Iterator[Link]:
        after = ""
        while page := self._links.of_channel(app_id, after=after, limit=_PAGE):
            yield from page
            after = page[-1].link_id

    def _card(self, link: Link) -> str:
        card_ref = self._register.card_of_ecard(link.ecard_id)
        if card_ref is None:
            raise NotFound("link_unknown", "the link's e-card is no longer kept")
        return card_ref
