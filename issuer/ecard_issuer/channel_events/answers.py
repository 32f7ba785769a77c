"""From channel events to what webhooks and routes say. Nothing about a person passes here."""

from __future__ import annotations

from ecard_card import jose
from ecard_issuer.channel_events.values import ChannelEvent
from ecard_issuer.partners.streams import Stream
from ecard_verifier.verdict import rfc3339


def event_answer(event: ChannelEvent) -> dict[str, object]:
    """A `ChannelEventAnswer`: the same members as a webhook's `data`, and when it was."""
    return {
        "id": event.event_id,
        "number": event.number,
        "type": event.type.value,
        "occurred_at": rfc3339(event.occurred_at),
        **_told(event),
    }


def webhook_body(stream: Stream, event: ChannelEvent) -> bytes:
    """The body of a webhook, by Standard Webhooks 1.0. `number` counts in the channel's log, as a poll's does."""
    data: dict[str, object] = {"stream": stream.stream_id, "number": event.number, **_told(event)}
    return jose.dump_json({"type": event.type.value, "timestamp": rfc3339(event.occurred_at), "data": data})


def _told(event: ChannelEvent) -> dict[str, object]:
    said: dict[str, object] = {"link_id": event.link_id, "status": event.status}
    if event.action_type is not None:
        said["action_type"] = event.action_type
    if event.scene_type is not None:
        said["scene_type"] = event.scene_type
    return said
