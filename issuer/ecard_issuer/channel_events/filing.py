"""From the feed and from the links' own notes into the logs of channels, and from there into their webhooks.

Each step may be cut short and done again: an event has the same id whenever it is made, a log knows its ids, and a
webhook's place moves with what is filed for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from ecard_card.errors import Conflict, InvalidInput
from ecard_card.status import CardChange, EcardStatus
from ecard_issuer.channel_events.store import EventLog, Links
from ecard_issuer.channel_events.values import STATUS_WORDS, Told, told_of_card, told_of_note, told_of_proof
from ecard_issuer.partners.filing import MOST_WAITING
from ecard_issuer.partners.news import card_news
from ecard_issuer.partners.store import FeedPlace, NewsSource, PartnerStore
from ecard_issuer.partners.streams import News, NewsKind, Stream
from ecard_issuer.rows import OutboxRow
from ecard_issuer.states import OutboxKind

_PAGE: Final = 500
#: What the e-card of a card is at a time.
StatusOf = Callable[[str, datetime], EcardStatus]


class ChannelFiling:
    """`status_of` is asked about the card that took another's place; `prepare` hears of each channel that is about to
    be told something, so that its webhooks are there before. `hears` says whether a channel is admitted now: for one
    that is not, events wait in its log."""

    def __init__(
        self,
        log: EventLog,
        source: NewsSource,
        links: Links,
        streams: PartnerStore,
        status_of: StatusOf,
        prepare: Callable[[str, datetime], None] = lambda app_id, now: None,
        hears: Callable[[str], bool] = lambda app_id: True,
    ) -> None:
        self._log, self._source, self._links, self._streams = log, source, links, streams
        self._status_of, self._prepare, self._hears = status_of, prepare, hears

    def turn(self, now: datetime) -> int:
        """Put what is new into the logs and file it for the webhooks; how many events were new."""
        new = 0
        while True:
            count, more = self._read(now)
            new += count
            if not more:
                break
        self._file(now)
        return new

    def _read(self, now: datetime) -> tuple[int, bool]:
        """One page of the feed and the notes that are older than it: how many events, and whether there may be more.

        The notes are read after the page, so that the claim of a link is told before what happened to its card later.
        """
        before = self._log.place(self._source.head())
        places = self._source.places(before, _PAGE)
        notes = self._links.notes(_PAGE)
        full = len(notes) == _PAGE
        if full:
            places = ()  # first all that was noted
        if not places and not notes:
            return 0, False
        of_cards, ended = self._of_cards(places, now)
        told = [*map(told_of_note, notes), *of_cards]
        for app_id in sorted({item.app_id for item in told}):
            self._prepare(app_id, now)
        moved = (before, places[-1].seq) if places else None
        new = self._log.append(told, now, moved)
        if new is None:  # another worker was first: of our notes it may have read a part only
            return 0, True
        self._links.settle(notes)
        return new, full or ended > 0 or len(places) == _PAGE

    def _of_cards(self, places: Sequence[FeedPlace], now: datetime) -> tuple[list[Told], int]:
        """What is told of changes of cards; and how many links ended with theirs, which their notes tell next."""
        rows = self._source.rows(places)
        told: list[Told] = []
        ended = 0
        for row in _in_time([rows[place.outbox_id] for place in places if place.outbox_id in rows]):
            if row.kind is OutboxKind.REBOUND and row.body.get("proven") is True:
                told += self._of_proof(row, now)
            if row.kind is OutboxKind.STATUS and row.body.get("sequence") != 0:
                of_card = self._of_card(row, now)
                told += of_card
                if any(item.status == STATUS_WORDS[EcardStatus.INVALID] for item in of_card):
                    ended += self._links.end_with_card(row.card_ref, now)
        return told, ended

    def _of_proof(self, row: OutboxRow, now: datetime) -> list[Told]:
        """A new card's chip was proven: its e-card can be shown again, in every app that had it before."""
        links = [link for link in self._links.told(row.card_ref) if link.since < row.created_at <= (link.until or now)]
        status = self._status_of(row.card_ref, now)
        return [told_of_proof(link, row.outbox_id, status, row.created_at) for link in links]

    def _of_card(self, row: OutboxRow, now: datetime) -> list[Told]:
        links = [link for link in self._links.told(row.card_ref) if link.hears(row.created_at)]
        if not links:
            return []
        try:
            news = card_news(row, "")
        except InvalidInput:
            return []  # it cannot be told to anybody; the dispatcher has complained
        status = news.status
        if news.change is CardChange.REPLACE:
            successor = self._source.successor(row.card_ref, news.sequence)
            if successor is not None:
                status = self._status_of(successor, now)
        return [told_of_card(link, row.outbox_id, news.change, status, news.occurred_at) for link in links]

    def _file(self, now: datetime) -> None:
        """For each webhook that is behind its channel's log, as much as may wait."""
        for stream in self._log.behind(_PAGE):
            if not self._hears(stream.partner):
                continue
            try:
                self._file_for(stream, now)
            except Conflict as conflict:
                if conflict.code != "partner_stream_moved":
                    raise

    def _file_for(self, stream: Stream, now: datetime) -> None:
        room = MOST_WAITING - self._streams.count_waiting(stream.stream_id, MOST_WAITING)
        events = self._log.since(stream.partner, stream.cursor, min(room, _PAGE)) if room > 0 else ()
        if not events:
            return
        news = [News(item.number, item.link_id, str(item.number), NewsKind.STATUS, item.event_id) for item in events]
        self._streams.file(stream, events[-1].number, news, None, now)


def _in_time(rows: Sequence[OutboxRow]) -> list[OutboxRow]:
    """By their time; those of a card as they were, and of one moment those of a card that an e-card moved to last.

    The feed keeps each card's order, and a link is told of two: of the card that was replaced and of the new one.
    """
    moved_to = {row.card_ref for row in rows if row.kind is OutboxKind.REBOUND}
    latest: dict[str, datetime] = {}
    timed: list[tuple[datetime, bool, OutboxRow]] = []
    for row in rows:
        at = latest[row.card_ref] = max(row.created_at, latest.get(row.card_ref, row.created_at))
        timed.append((at, row.card_ref in moved_to, row))
    return [row for _, _, row in sorted(timed, key=lambda item: item[:2])]
