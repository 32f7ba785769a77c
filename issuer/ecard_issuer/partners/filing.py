"""From the feed into a stream: which changes this partner is told about, in the feed's order, each once.

Nothing is decided twice: the cursor and the numbers move in one transaction. Whoever is to hear all of it again has
the cursor set back, and gets what it was sent before under its old number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from ecard_card.errors import InvalidInput
from ecard_card.region import covers
from ecard_card.status import CardChange
from ecard_issuer.partners.news import event_id, read_change
from ecard_issuer.partners.store import FeedPlace, Newcomer, NewsSource, PartnerStore
from ecard_issuer.partners.streams import News, NewsKind, Stream
from ecard_issuer.people import References
from ecard_issuer.rows import OutboxRow
from ecard_issuer.states import OutboxKind

#: The most that may wait in one stream; the rest stays in the feed, where it costs nothing.
MOST_WAITING: Final = 1000
_PAGE: Final = 500
_PAGES: Final = 20  # in one go, so that other streams have their turn


@dataclass(frozen=True, slots=True)
class _Found:
    """What concerns a stream up to event `seen`."""

    seen: int
    news: list[News]
    successor: Newcomer | None


class Filing:
    """Files the feed into streams."""

    def __init__(self, store: PartnerStore, source: NewsSource, references: References) -> None:
        self._store, self._source, self._references = store, source, references

    def file(self, stream: Stream, now: datetime) -> tuple[Stream, bool]:
        """Look at what the stream has not seen yet. The stream as it is then, and whether it is full.

        Raises `Conflict` `partner_stream_moved` where another worker does the same.
        """
        for _ in range(_PAGES):
            if self._store.count_waiting(stream.stream_id, MOST_WAITING) >= MOST_WAITING:
                return stream, True
            places = self._source.places(stream.cursor, _PAGE)
            if not places:
                return stream, False
            found = self._found(stream, places)
            self._store.file(stream, found.seen, found.news, found.successor, now)
            stream = replace(stream, cursor=found.seen, numbered=stream.numbered + len(found.news))
        return stream, False

    def peek(self, stream: Stream, after: int) -> tuple[int, bool]:
        """Look, and write nothing: how far nothing concerns the stream, and whether there is something beyond."""
        while places := self._source.places(after, _PAGE):
            found = self._found(stream, places)
            if found.news:
                return after, True
            after = found.seen
        return after, False

    def _found(self, stream: Stream, places: Sequence[FeedPlace]) -> _Found:
        """What of these the partner is told. Ends at a card that is replaced: its successor counts from there on."""
        card_refs = {place.card_ref for place in places} - {""}
        subjects = self._store.subjects_among(stream.stream_id, card_refs)
        told = dict(self._in_regions(stream, card_refs)) | dict(subjects)
        concerned = [place for place in places if place.seq > told.get(place.card_ref, place.seq)]
        rows = self._source.rows(concerned)
        news: list[News] = []
        for place in concerned:
            row = rows.get(place.outbox_id)
            if row is None or row.kind is not OutboxKind.STATUS or _is_repair(row):
                continue
            for kind in map(NewsKind, stream.events):
                identity = event_id(stream.stream_id, place.outbox_id, kind)
                news.append(News(place.seq, place.card_ref, place.outbox_id, kind, identity))
            successor = self._successor(row) if place.card_ref in subjects else None
            if successor is not None:
                reference = self._references.pairwise(stream.partner, successor)
                return _Found(place.seq, news, Newcomer(successor, reference))
        return _Found(places[-1].seq, news, None)

    def _in_regions(self, stream: Stream, card_refs: set[str]) -> Mapping[str, int]:
        regions = self._source.regions(card_refs) if stream.regions else {}
        permitted = (ref for ref, region in regions.items() if any(covers(code, region) for code in stream.regions))
        return dict.fromkeys(permitted, stream.regions_since)

    def _successor(self, row: OutboxRow) -> str | None:
        try:
            change, sequence = read_change(row)
        except InvalidInput:
            return None  # it cannot be sent either, and says so in the stream's log
        return self._source.successor(row.card_ref, sequence) if change is CardChange.REPLACE else None


def _is_repair(row: OutboxRow) -> bool:
    """Whether a list's entry was set right, which tells verifiers something and says nothing new of the card."""
    return row.body.get("sequence") == 0
