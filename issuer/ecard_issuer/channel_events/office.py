"""What a channel does about its events: read them, have one sent again, see to its webhooks.

A channel sees its own log only; another's event or webhook does not exist for it. Times are aware UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ecard_card.errors import EcardError, InvalidInput, NotFound
from ecard_issuer.channel_events.store import Addresses, EventLog
from ecard_issuer.channel_events.values import ChannelEvent
from ecard_issuer.partners.keeping import WebhookKeys
from ecard_issuer.partners.office import PartnerOffice, Wanted
from ecard_issuer.partners.store import PartnerStore
from ecard_issuer.partners.streams import Delivery, DeliveryState, Method, Stream, StreamStatus
from ecard_issuer.people import References

MAX_EVENTS: Final = 100


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events in order, and the number from which to go on."""

    events: tuple[ChannelEvent, ...]
    cursor: int


class ChannelEventOffice:
    """The verbs."""

    def __init__(
        self,
        log: EventLog,
        streams: PartnerStore,
        partners: PartnerOffice,
        addresses: Addresses,
        references: References,
    ) -> None:
        self._log, self._streams, self._partners = log, streams, partners
        self._addresses, self._references = addresses, references

    def read(self, app_id: str, cursor: int | None, limit: int) -> EventPage:
        """What came after `cursor`, at most `limit`; without one, from the oldest that is kept.

        Raises `InvalidInput` `bad_cursor` for a number that was never given, `NotFound` `events_gone` where events
        after it are no longer kept: the state of the links says what became of them.
        """
        head = self._log.head(app_id)
        oldest = self._log.oldest(app_id) or head + 1
        if cursor is None:
            cursor = oldest - 1
        if not 0 <= cursor <= head:
            raise InvalidInput("bad_cursor", "a cursor is one that an answer gave")
        if cursor + 1 < oldest:
            raise NotFound("events_gone", "events after this cursor are no longer kept; begin without one")
        events = self._log.since(app_id, cursor, min(limit, MAX_EVENTS))
        return EventPage(events, events[-1].number if events else cursor)

    def resend(self, app_id: str, event_id: str, now: datetime) -> tuple[Delivery, ...]:
        """Send an event again to every webhook that was sent it. Raises `NotFound` `event_unknown`."""
        event = self._log.called(app_id, event_id)
        if event is None:
            raise NotFound("event_unknown", "no such event, or not yours")
        sent = []
        for stream in self._partners.owned(app_id, of_channel=True):
            found = self._streams.numbered(stream.stream_id, event_id)
            if found is not None:
                sent.append(self._partners.resend(stream, found, now))
        return tuple(sent)

    def sync(self, app_id: str, now: datetime) -> tuple[Stream, ...]:
        """Have a webhook for each registered address, and none for another: those that there are then."""
        wanted = self._addresses.of(app_id)
        owned = {stream.endpoint: stream for stream in self._partners.owned(app_id, of_channel=True)}
        if wanted is None:  # not admitted now: what waits, waits
            return tuple(owned.values())
        for endpoint, stream in owned.items():
            if endpoint not in wanted:
                self._partners.delete(stream)
        return tuple(owned.get(endpoint) or self._open(app_id, endpoint, now) for endpoint in wanted)

    def prepare(self, app_id: str, now: datetime) -> None:
        """As `sync`, for the worker: an address that cannot be sent to must not stop what others are told."""
        try:
            self.sync(app_id, now)
        except EcardError as error:
            if error.code not in ("bad_endpoint", "partner_streams_full"):
                raise

    def webhook(self, app_id: str, stream_id: str) -> Stream:
        """Raises `NotFound` `partner_stream_unknown`."""
        return self._partners.own(app_id, stream_id, of_channel=True)

    def rotate(self, app_id: str, stream_id: str, now: datetime) -> tuple[Stream, WebhookKeys]:
        """A new secret beside the one before. Also how a channel gets its first one."""
        stream = self.webhook(app_id, stream_id)
        return stream, self._partners.rotate(stream, now)

    def forget_old(self, app_id: str, stream_id: str, now: datetime) -> Stream:
        """End a rotation."""
        stream = self.webhook(app_id, stream_id)
        self._partners.forget_old(stream, now)
        return stream

    def newest_keys(self, stream: Stream) -> WebhookKeys:
        return self._partners.secrets_of(stream).keys[0]

    def deliveries(self, app_id: str, stream_id: str, limit: int, state: DeliveryState | None) -> Sequence[Delivery]:
        """The newest first."""
        return self._partners.log(self.webhook(app_id, stream_id), limit, state)

    def enable(self, app_id: str, stream_id: str, now: datetime) -> Stream:
        """A webhook that was paused because nobody answered goes on where it stopped."""
        return self._partners.set_status(self.webhook(app_id, stream_id), StreamStatus.ENABLED, "", now)

    def verify(self, app_id: str, stream_id: str, now: datetime) -> None:
        """Send a `stream.verification`. Raises `RuleViolation` `partner_verification_too_soon`."""
        self._partners.verify(self.webhook(app_id, stream_id), None, now)

    def _open(self, app_id: str, endpoint: str, now: datetime) -> Stream:
        stream_id = self._references.request("channel-webhook", app_id, endpoint)
        wanted = Wanted(Method.WEBHOOK, endpoint)
        return self._partners.create(app_id, wanted, now, stream_id=stream_id, log_head=self._log.head(app_id))
