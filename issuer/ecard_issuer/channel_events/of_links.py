"""Which links hear of a card, and what happened to links themselves: port `Links` over the room of links."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import select

from ecard_card.status import EcardStatus
from ecard_issuer.channel_events.values import STATUS_WORDS, ChannelEventType, LinkNote, ToldLink
from ecard_issuer.links.links import Links
from ecard_issuer.links.values import LinkNews, LinkNewsRow
from ecard_issuer.ports import Cards
from ecard_issuer.register import tables
from ecard_issuer.register.sql import Store
from ecard_issuer.states import BindingState

_link: Final = tables.channel_link


class SqlToldLinks(Store):
    """The links with e-cards, live and ended."""

    def of(self, ecard_ids: Collection[str]) -> tuple[ToldLink, ...]:
        columns = (_link.c.app_id, _link.c.link_id, _link.c.claimed_at, _link.c.ended_at)
        chosen = select(*columns).where(_link.c.ecard_id.in_(sorted(ecard_ids))).order_by(_link.c.link_id)
        with self._reading() as connection:
            return tuple(ToldLink(*row) for row in connection.execute(chosen))


class ToldLinks:
    """The adapter. An e-card that moved to another card is told of both, as long as either has something to say."""

    def __init__(self, found: SqlToldLinks, links: Links, register: Cards, clock: Callable[[], datetime]) -> None:
        self._found, self._room, self._links = found, links, links.store
        self._register, self._clock = register, clock

    def told(self, card_ref: str) -> Sequence[ToldLink]:
        ids = self._ecards_of(card_ref)
        return self._found.of(ids) if ids else ()

    def end_with_card(self, card_ref: str, now: datetime) -> int:
        return sum(self._room.end_with_card(ecard_id, now) for ecard_id in sorted(self._ecards_of(card_ref)))

    def _ecards_of(self, card_ref: str) -> set[str]:
        binding = self._register.find_binding(card_ref)
        ids = {row.ecard_id for row in self._register.ended_bindings(card_ref)}
        return ids | (set() if binding is None else {binding.ecard_id})

    def notes(self, limit: int) -> Sequence[LinkNote]:
        return [self._note(row) for row in self._links.waiting_news(limit)]

    def settle(self, notes: Collection[LinkNote]) -> None:
        settled = [
            LinkNewsRow(note.app_id, note.note_id, note.link_id, LinkNews(note.type.value), note.about, note.at)
            for note in notes
        ]
        if settled:
            self._links.taken_up(settled)

    def _note(self, row: LinkNewsRow) -> LinkNote:
        status = STATUS_WORDS[self._status(row)]
        return LinkNote(
            row.app_id, row.news_id, row.link_id, ChannelEventType(row.kind.value), row.at, status, row.about
        )

    def _status(self, row: LinkNewsRow) -> EcardStatus:
        """Of the link's e-card for this channel now: one that was released shows nothing more."""
        link = self._links.find_link(row.app_id, row.link_id)
        if link is None or row.kind is LinkNews.RELEASED:
            return EcardStatus.INVALID
        card_ref = self._register.card_of_ecard(link.ecard_id)
        if card_ref is None:
            return EcardStatus.INVALID
        return shown_status(self._register, card_ref, self._clock())


def shown_status(register: Cards, card_ref: str, now: datetime) -> EcardStatus:
    """What the e-card of a card is to whoever shows it: one that waits for its new chip to be proven shows nothing."""
    effect, binding = register.effect_of(register.get_card(card_ref), now), register.find_binding(card_ref)
    waits = binding is not None and binding.state is BindingState.AWAITING
    return EcardStatus.SUSPENDED if waits and effect is EcardStatus.VALID else effect
