"""What is sent: a delivery made into a signed token or a signed webhook, each time from the card's outbox row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ecard_card.algorithm import Algorithm
from ecard_card.errors import InvalidInput
from ecard_card.status import CardChange
from ecard_issuer.keyring import KeyRing
from ecard_issuer.partners.keeping import Keeper, StreamSecrets
from ecard_issuer.partners.news import CardNews, card_news, draft_token, read_change, webhook_body
from ecard_issuer.partners.store import NewsSource
from ecard_issuer.partners.streams import OF_STREAM, Delivery, Method, Stream
from ecard_issuer.partners.webhook_signature import signed_headers
from ecard_issuer.people import References
from ecard_keys.desk.desk import SigningDesk, SigningProfile
from ecard_keys.key import KeyPurpose
from ecard_verifier.verdict import rfc3339


@dataclass(frozen=True, slots=True)
class Message:
    """What goes over the wire for one delivery."""

    delivery: Delivery
    body: bytes = field(repr=False)
    headers: dict[str, str] = field(repr=False)


#: The body of a channel's webhook; None where its event is no longer kept.
ChannelBody = Callable[[Stream, Delivery], bytes | None]


class Messages:
    """Makes messages. What can no longer be made (its outbox row was purged or cannot be read) is left out."""

    def __init__(
        self,
        source: NewsSource,
        references: References,
        signing: SigningDesk,
        keys: KeyRing,
        keeper: Keeper,
        channel_body: ChannelBody = lambda stream, delivery: None,
    ) -> None:
        self._source, self._references, self._signing, self._keys = source, references, signing, keys
        self._keeper, self._channel_body = keeper, channel_body

    def of(self, stream: Stream, deliveries: Sequence[Delivery], now: datetime) -> list[Message]:
        """The messages, in the same order, signed in one batch. Raises what signing raises."""
        if stream.of_channel:
            return self._of_channel(stream, deliveries, now)
        known = [(delivery, card) for delivery in deliveries for card in self._card_news(stream, delivery)]
        if stream.method is Method.WEBHOOK:
            return self._webhooks(stream, known, now)
        kept = self._keeper.open(stream.stream_id, stream.wrapped_key, stream.sealed_secrets)
        return [
            Message(delivery, token.encode(), _push_headers(kept))
            for (delivery, _), token in zip(known, self._tokens(stream, known, now), strict=True)
        ]

    def _tokens(self, stream: Stream, known: Sequence[tuple[Delivery, CardNews | None]], now: datetime) -> list[str]:
        if not known:
            return []
        key = self._keys.active(KeyPurpose.STATEMENT)
        drafts = [
            draft_token(
                stream,
                delivery,
                card,
                issuer=self._keys.identity.issuer,
                kid=key.kid,
                issued_at=int(now.timestamp()),
                algorithm=Algorithm(key.algorithm),
            )
            for delivery, card in known
        ]
        signatures = self._signing.sign(
            SigningProfile.PARTNER_EVENT, key.kid, [draft.signing_input for draft in drafts], now
        )
        return [draft.complete(signature) for draft, signature in zip(drafts, signatures, strict=True)]

    def _webhooks(
        self, stream: Stream, known: Sequence[tuple[Delivery, CardNews | None]], now: datetime
    ) -> list[Message]:
        kept = self._keeper.open(stream.stream_id, stream.wrapped_key, stream.sealed_secrets)
        made = []
        for delivery, card in known:
            moment = delivery.created_at if card is None else datetime.fromtimestamp(card.occurred_at, UTC)
            body = webhook_body(stream, delivery, card, rfc3339(moment))
            made.append(_webhook(delivery, body, kept, now))
        return made

    def _of_channel(self, stream: Stream, deliveries: Sequence[Delivery], now: datetime) -> list[Message]:
        """A channel's webhooks, made from its own log. What concerns the webhook itself reads as for any partner."""
        kept = self._keeper.open(stream.stream_id, stream.wrapped_key, stream.sealed_secrets)
        made = []
        for delivery in deliveries:
            if delivery.kind in OF_STREAM:
                body: bytes | None = webhook_body(stream, delivery, None, rfc3339(delivery.created_at))
            else:
                body = self._channel_body(stream, delivery)
            if body is not None:
                made.append(_webhook(delivery, body, kept, now))
        return made

    def _card_news(self, stream: Stream, delivery: Delivery) -> list[CardNews | None]:
        """One item, None for news of the stream itself; no item where nothing can be made."""
        if delivery.kind in OF_STREAM:
            return [None]
        row = self._source.row(delivery.card_ref, delivery.outbox_id)
        if row is None:
            return []
        try:
            change, sequence = read_change(row)
            successor = self._source.successor(row.card_ref, sequence) if change is CardChange.REPLACE else None
            called = None if successor is None else self._references.pairwise(stream.partner, successor)
            reference = self._references.pairwise(stream.partner, row.card_ref)
            return [card_news(row, reference, called)]
        except InvalidInput:
            return []


def _webhook(delivery: Delivery, body: bytes, kept: StreamSecrets, now: datetime) -> Message:
    signed = signed_headers(body, f"msg_{delivery.event_id}", int(now.timestamp()), kept.keys)
    return Message(delivery, body, {"Content-Type": "application/json", **signed})


def _push_headers(kept: StreamSecrets) -> dict[str, str]:
    headers = {"Content-Type": "application/secevent+jwt", "Accept": "application/json"}
    return headers if kept.authorization is None else headers | {"Authorization": kept.authorization}
