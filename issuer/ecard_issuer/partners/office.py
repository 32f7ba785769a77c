"""What partners and operators do to streams. A partner sees its own streams only; another's does not exist for it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ecard_card.errors import InvalidInput, NotFound, RuleViolation
from ecard_card.region import is_region
from ecard_issuer.partners.keeping import Keeper, StreamSecrets, WebhookKeys
from ecard_issuer.partners.messages import Message, Messages
from ecard_issuer.partners.store import NewsSource, PartnerStore
from ecard_issuer.partners.streams import (
    Delivery,
    DeliveryState,
    Method,
    News,
    NewsKind,
    Stream,
    StreamStatus,
)
from ecard_issuer.partners.targets import Targets
from ecard_issuer.people import References
from ecard_verifier.callers import CALLER_NAME

#: News about cards, by method: a webhook is one message a change.
OFFERED: Final[Mapping[Method, tuple[NewsKind, ...]]] = {
    Method.PUSH: (NewsKind.STATUS, NewsKind.CAEP),
    Method.POLL: (NewsKind.STATUS, NewsKind.CAEP),
    Method.WEBHOOK: (NewsKind.STATUS,),
}
MAX_EVENTS: Final = 100  # in one answer to a poll
_MAX_STATE: Final = 1024
_WORD: Final = re.compile(r"[a-z][a-z_]{0,63}")
_HEADER: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,1022}[\x21-\x7e])?")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A stream as somebody wants it. `events`: which of those offered; None: all."""

    method: Method
    endpoint: str | None = None
    authorization: str | None = field(default=None, repr=False)
    events: tuple[NewsKind, ...] | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Polled:
    """Signed tokens that wait, by `jti`, and whether there are more."""

    sets: Mapping[str, str] = field(repr=False)
    more: bool


class PartnerOffice:
    """The verbs. `rang` is called when something may have become due. Times are aware UTC."""

    def __init__(
        self,
        store: PartnerStore,
        source: NewsSource,
        messages: Messages,
        keeper: Keeper,
        targets: Targets,
        references: References,
        *,
        rang: Callable[[], None] = lambda: None,
        new_id: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._store, self._source, self._messages, self._keeper = store, source, messages, keeper
        self._targets, self._references, self._rang, self._new_id = targets, references, rang, new_id

    def create(
        self,
        partner: str,
        wanted: Wanted,
        now: datetime,
        *,
        stream_id: str | None = None,
        log_head: int | None = None,
    ) -> Stream:
        """A new stream, which hears of what happens from now on. `log_head` makes it a webhook of a channel, which is
        told what comes after that number of the channel's log.

        With a `stream_id` of the caller's choice it can be repeated. Raises `InvalidInput` `bad_endpoint`,
        `bad_partner_stream`; `Conflict` `partner_streams_full`, `NotFound` where the id is another partner's.
        """
        if not CALLER_NAME.fullmatch(partner):
            raise InvalidInput("bad_partner_stream", "a partner is a caller's name")
        chosen = stream_id or self._new_id()
        self._check(wanted)
        keys = (WebhookKeys.generate(),) if wanted.method is Method.WEBHOOK else ()
        wrapped, sealed = self._keeper.seal(chosen, StreamSecrets(wanted.authorization, keys))
        stream = Stream(
            stream_id=chosen,
            partner=partner,
            method=wanted.method,
            endpoint=wanted.endpoint,
            description=wanted.description,
            events=_events(wanted),
            regions=(),
            regions_since=0,
            wrapped_key=wrapped,
            sealed_secrets=sealed,
            status=StreamStatus.ENABLED,
            reason="",
            cursor=self._source.head() if log_head is None else log_head,
            numbered=0,
            full=False,
            failures=0,
            next_at=None,
            hold_until=None,
            leased_until=None,
            lease_owner=None,
            asked_at=None,
            created_at=now,
            updated_at=now,
            of_channel=log_head is not None,
        )
        self._store.add_stream(stream)
        return self.own(partner, chosen, of_channel=stream.of_channel)

    def own(self, partner: str, stream_id: str, *, of_channel: bool = False) -> Stream:
        """The partner's stream, or the channel's. Raises `NotFound` `partner_stream_unknown`."""
        stream = self._store.find_stream(stream_id)
        if stream is None or stream.partner != partner or stream.of_channel is not of_channel:
            raise NotFound("partner_stream_unknown", "no such stream, or not yours")
        return stream

    def any(self, stream_id: str) -> Stream:
        """Any partner's stream, for operators. Raises `NotFound` `partner_stream_unknown`."""
        stream = self._store.find_stream(stream_id)
        if stream is None:
            raise NotFound("partner_stream_unknown", "no such stream")
        return stream

    def owned(self, partner: str, *, of_channel: bool = False) -> tuple[Stream, ...]:
        return tuple(stream for stream in self._store.streams_of(partner) if stream.of_channel is of_channel)

    def everyone(self) -> tuple[Stream, ...]:
        """Every stream there is, for operators."""
        found: list[Stream] = []
        while page := self._store.all_streams(found[-1].stream_id if found else ""):
            found += page
        return tuple(found)

    def change(self, stream: Stream, wanted: Wanted, now: datetime) -> Stream:
        """Another endpoint, header, description or choice of events. Raises `InvalidInput`; `RuleViolation`
        `partner_method_fixed` for another method: that is another stream."""
        if wanted.method is not stream.method:
            raise RuleViolation("partner_method_fixed", "delete this stream and make another one")
        self._check(wanted)
        kept = self.secrets_of(stream)
        wrapped, sealed = self._keeper.seal(stream.stream_id, StreamSecrets(wanted.authorization, kept.keys))
        changes: dict[str, object] = {
            "endpoint": wanted.endpoint,
            "description": wanted.description,
            "events": _events(wanted),
            "wrapped_key": wrapped,
            "sealed_secrets": sealed,
        }
        return self._store.change_stream(stream.stream_id, now, changes, None)

    def delete(self, stream: Stream) -> None:
        self._store.delete_stream(stream.stream_id)

    def set_status(
        self, stream: Stream, status: StreamStatus, reason: str, now: datetime, *, announce: bool = False
    ) -> Stream:
        """Enable, pause or disable. `announce`: the receiver did not ask for it, so it is told (`stream-updated`).

        Raises `InvalidInput` `bad_partner_stream` for a reason that is no short word.
        """
        if reason and not _WORD.fullmatch(reason):
            raise InvalidInput("bad_partner_stream", "a reason is a word of lower-case letters and _")
        news = None
        if announce and status is not stream.status:
            note = {"status": status.value} | ({"reason": reason} if reason else {})
            news = News(0, "", "", NewsKind.UPDATED, self._new_id(), note)
        changed = self._store.change_stream(stream.stream_id, now, {"status": status, "reason": reason}, news)
        self._rang()
        return changed

    def permit_regions(self, stream: Stream, regions: Sequence[str], now: datetime) -> Stream:
        """An operator's word: the stream hears of every card of these regions. Raises `InvalidInput` `bad_region`."""
        if len(regions) > 64 or not all(map(is_region, regions)):
            raise InvalidInput("bad_region", "at most 64 regions of six digits")
        changes: dict[str, object] = {"regions": tuple(sorted(set(regions)))}
        if not set(regions) <= set(stream.regions):
            changes["regions_since"] = self._source.head()  # what was before is not told
        return self._store.change_stream(stream.stream_id, now, changes, None)

    def add_card(self, stream: Stream, card_ref: str, now: datetime) -> str:
        """The stream hears of this card from now on. What its partner calls it. Raises `NotFound` `card_unknown`."""
        if card_ref not in self._source.regions([card_ref]):
            raise NotFound("card_unknown", "no such card in the register")
        reference = self._references.pairwise(stream.partner, card_ref)
        self._store.add_subject(stream, card_ref, reference, self._source.head(), now)
        return reference

    def add_holder_of(self, stream: Stream, credential_id: str, now: datetime) -> str:
        """As `add_card`, for the card of a credential: its id is random, so whoever names one was shown it.

        Raises `NotFound` `partner_subject_unknown`."""
        card_ref = self._source.card_of_credential(_credential_id(credential_id))
        if card_ref is None:
            raise NotFound("partner_subject_unknown", "no such subject")
        return self.add_card(stream, card_ref, now)

    def add_called(self, stream: Stream, reference: str, now: datetime) -> str:
        """As `add_card`, for a card that this partner knows already. Raises `NotFound` `partner_subject_unknown`."""
        card_ref = self._store.card_called(stream.partner, reference)
        if card_ref is None:
            raise NotFound("partner_subject_unknown", "no such subject")
        return self.add_card(stream, card_ref, now)

    def remove(self, stream: Stream, reference: str) -> bool:
        """The stream hears no more of the card that its partner calls so; False where it did not anyway."""
        card_ref = self._store.card_called(stream.partner, reference)
        return card_ref is not None and self._store.remove_subject(stream.stream_id, card_ref)

    def verify(self, stream: Stream, state: str | None, now: datetime) -> None:
        """Send a verification event. Raises `InvalidInput` `bad_partner_stream`, `RuleViolation`
        `partner_verification_too_soon`."""
        if state is not None and not 1 <= len(state) <= _MAX_STATE:
            raise InvalidInput("bad_partner_stream", "a state has 1 to 1024 characters")
        note = {} if state is None else {"state": state}
        self._store.post(stream.stream_id, News(0, "", "", NewsKind.VERIFICATION, self._new_id(), note), now)
        self._rang()

    def poll(self, stream: Stream, acks: Sequence[str], errors: Mapping[str, str], most: int, now: datetime) -> Polled:
        """Note what the receiver has and what it cannot use, then what waits (RFC 8936 §2.4). `most` 0: nothing more.

        Raises `RuleViolation` `partner_not_polled` for a stream of another method.
        """
        if stream.method is not Method.POLL:
            raise RuleViolation("partner_not_polled", "this stream is delivered otherwise")
        results = {name: (DeliveryState.REFUSED, error) for name, error in errors.items()}
        results |= {name: (DeliveryState.DONE, "acknowledged") for name in acks}
        if results:
            self._store.settle(stream.stream_id, results, now)
        if most == 0 or stream.status is not StreamStatus.ENABLED:
            return Polled({}, more=False)
        waiting = self._store.waiting(stream.stream_id, min(most, MAX_EVENTS) + 1)
        made = self._messages.of(stream, waiting[: min(most, MAX_EVENTS)], now)
        sets = {message.delivery.event_id: message.body.decode() for message in made}
        lost = {item.event_id for item in waiting[: min(most, MAX_EVENTS)]} - set(sets)
        if lost:
            dead = dict.fromkeys(lost, (DeliveryState.DEAD, "source_gone"))
            self._store.settle(stream.stream_id, dead, now)
        return Polled(sets, more=len(waiting) > len(sets))

    def since(self, stream: Stream, after: int, most: int, now: datetime) -> list[Message]:
        """What was filed under numbers above `after`, whatever became of it: for catching up."""
        return self._messages.of(stream, self._store.since(stream.stream_id, after, min(most, MAX_EVENTS)), now)

    def log(self, stream: Stream, most: int, state: DeliveryState | None = None) -> tuple[Delivery, ...]:
        """Deliveries, newest first."""
        return self._store.log(stream.stream_id, most, state)

    def resend(self, stream: Stream, number: int, now: datetime) -> Delivery:
        """Send one again, whatever became of it. Raises `NotFound` `partner_delivery_unknown`."""
        sent = self._store.resend(stream.stream_id, number, now)
        self._rang()
        return sent

    def catch_up(self, stream: Stream, seq: int, now: datetime) -> Stream:
        """File everything after event `seq` of the feed once more. Never forwards: that would be a gap."""
        if not 0 <= seq <= stream.cursor:
            raise InvalidInput("bad_partner_stream", "catching up begins at or before where the stream stands")
        changed = self._store.change_stream(stream.stream_id, now, {"cursor": seq}, None)
        self._rang()
        return changed

    def rotate(self, stream: Stream, now: datetime) -> WebhookKeys:
        """A new secret and key pair; the one before them signs too until the next rotation or `forget_old`.

        Raises `RuleViolation` `partner_no_secret` for a stream that is no webhook."""
        newest = WebhookKeys.generate()
        self._keep_keys(stream, (newest, *self._keys(stream)[:1]), now)
        return newest

    def forget_old(self, stream: Stream, now: datetime) -> None:
        """End a rotation: only the newest secret signs."""
        self._keep_keys(stream, self._keys(stream)[:1], now)

    def secrets_of(self, stream: Stream) -> StreamSecrets:
        """What is sealed with the stream. To be shown once, to whoever just made it."""
        return self._keeper.open(stream.stream_id, stream.wrapped_key, stream.sealed_secrets)

    def _keys(self, stream: Stream) -> tuple[WebhookKeys, ...]:
        if stream.method is not Method.WEBHOOK:
            raise RuleViolation("partner_no_secret", "only webhooks have secrets")
        return self.secrets_of(stream).keys

    def _keep_keys(self, stream: Stream, keys: tuple[WebhookKeys, ...], now: datetime) -> None:
        kept = StreamSecrets(self.secrets_of(stream).authorization, keys)
        wrapped, sealed = self._keeper.seal(stream.stream_id, kept)
        self._store.change_stream(stream.stream_id, now, {"wrapped_key": wrapped, "sealed_secrets": sealed}, None)

    def _check(self, wanted: Wanted) -> None:
        if (wanted.method is Method.POLL) is not (wanted.endpoint is None):
            raise InvalidInput("bad_endpoint", "push and webhook need an endpoint; for polling the endpoint is ours")
        if wanted.endpoint is not None:
            self._targets.check(wanted.endpoint)
        if wanted.authorization is not None and (
            wanted.method is not Method.PUSH or not _HEADER.fullmatch(wanted.authorization)
        ):
            raise InvalidInput("bad_partner_stream", "authorization_header is a short printable text, for push only")
        if len(wanted.description) > 200 or not wanted.description.isprintable():
            raise InvalidInput("bad_partner_stream", "a description has at most 200 printable characters")


def _events(wanted: Wanted) -> tuple[str, ...]:
    """Those of the offered events that are wanted, in our order; all where none was named."""
    chosen = OFFERED[wanted.method] if wanted.events is None else wanted.events
    return tuple(kind.value for kind in OFFERED[wanted.method] if kind in chosen)


def _credential_id(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise NotFound("partner_subject_unknown", "no such subject") from None
