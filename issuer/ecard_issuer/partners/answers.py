"""From streams and deliveries to the answers of routes and commands. No secret passes here but where a name says so."""

from __future__ import annotations

from datetime import datetime

from ecard_issuer.partners.keeping import WebhookKeys
from ecard_issuer.partners.messages import Message
from ecard_issuer.partners.office import OFFERED
from ecard_issuer.partners.streams import (
    CAEP_CHANGE,
    POLL,
    PUSH,
    VERIFICATION_INTERVAL,
    Backlog,
    Delivery,
    Method,
    NewsKind,
    Stream,
    own_event,
)
from ecard_issuer.partners.webhook_signature import public_text, secret_text
from ecard_verifier.verdict import rfc3339

Json = dict[str, object]


def event_names(issuer: str) -> dict[str, NewsKind]:
    """The events that a stream may ask for, by their names on the wire."""
    return {own_event(issuer): NewsKind.STATUS, CAEP_CHANGE: NewsKind.CAEP}


def configuration_answer(stream: Stream, issuer: str) -> Json:
    """A stream as SSF 1.0 §8.1.1 describes it. The authorization header is never shown again."""
    names = {kind.value: name for name, kind in event_names(issuer).items()}
    poll = f"{issuer}/v1/ssf/streams/{stream.stream_id}/poll"
    delivery = (
        {"method": POLL, "endpoint_url": poll}
        if stream.method is Method.POLL
        else {"method": PUSH, "endpoint_url": stream.endpoint}
    )
    chosen = [names[kind] for kind in stream.events]
    answer: Json = {
        "stream_id": stream.stream_id,
        "iss": issuer,
        "aud": stream.partner,
        "delivery": delivery,
        "events_supported": [names[kind.value] for kind in OFFERED[stream.method]],
        "events_requested": chosen,
        "events_delivered": chosen,
        "min_verification_interval": int(VERIFICATION_INTERVAL.total_seconds()),
    }
    return answer | ({"description": stream.description} if stream.description else {})


def status_answer(stream: Stream) -> Json:
    """SSF 1.0 §8.1.2."""
    answer: Json = {"stream_id": stream.stream_id, "status": stream.status.value}
    return answer | ({"reason": stream.reason} if stream.reason else {})


def stream_answer(stream: Stream) -> Json:
    """A stream for operators, and for the partner whose it is."""
    return {
        "stream_id": stream.stream_id,
        "partner": stream.partner,
        "method": stream.method.value,
        "endpoint": stream.endpoint,
        "description": stream.description,
        "regions": list(stream.regions),
        "status": stream.status.value,
        "reason": stream.reason,
        "cursor": stream.cursor,
        "numbered": stream.numbered,
        "failures": stream.failures,
        "next_at": _time(stream.next_at),
        "created_at": rfc3339(stream.created_at),
    }


def backlog_answer(backlog: Backlog) -> Json:
    """How a stream stands."""
    return {
        "stream_id": backlog.stream_id,
        "partner": backlog.partner,
        "method": backlog.method.value,
        "status": backlog.status.value,
        "waiting": backlog.waiting,
        "oldest_waiting": _time(backlog.oldest),
        "dead_letters": backlog.dead,
        "feed_lag": backlog.lag,
    }


def delivery_answer(delivery: Delivery) -> Json:
    """A line of the delivery log."""
    return {
        "number": delivery.number,
        "event_id": delivery.event_id,
        "kind": delivery.kind.value,
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "result": delivery.result,
        "next_at": _time(delivery.next_at),
        "created_at": rfc3339(delivery.created_at),
        "updated_at": rfc3339(delivery.updated_at),
    }


def message_answer(stream: Stream, message: Message) -> Json:
    """An event for catching up: a signed token, or a webhook's body with its signature headers."""
    answer: Json = {"number": message.delivery.number, "event_id": message.delivery.event_id}
    if stream.method is not Method.WEBHOOK:
        return answer | {"set": message.body.decode()}
    signed = {name: value for name, value in message.headers.items() if name.startswith("webhook-")}
    return answer | {"headers": signed, "body": message.body.decode()}


def shown_once(stream: Stream, keys: WebhookKeys) -> Json:
    """A webhook with the secret that is shown this once."""
    return stream_answer(stream) | {"secret": secret_text(keys), "public_key": public_text(keys)}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
