"""Events and webhooks, as a channel is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from ecard_sdk.channel_models import CardWord, EventType, Told, maybe, moment, text


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelEvent(Told):
    """Something that happened to a link or its card. `number` counts the app's events without a gap; `status` is what
    the e-card was after it; `action_type` and `scene_type` are those of the national callbacks, where one fits."""

    id: str
    number: int
    type: EventType
    link_id: str
    status: CardWord
    occurred_at: datetime
    action_type: str | None = None
    scene_type: str | None = None

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            id=text(data["id"]),
            number=int(data["number"]),
            type=EventType(data["type"]),
            link_id=text(data["link_id"]),
            status=CardWord(data["status"]),
            occurred_at=moment(data["occurred_at"]),
            action_type=maybe(text, data.get("action_type")),
            scene_type=maybe(text, data.get("scene_type")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBatch(Told):
    """Events in order, and where to go on from, also where there are none. `more`: there are others by now."""

    data: tuple[ChannelEvent, ...]
    cursor: str
    more: bool

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        events = tuple(ChannelEvent.part(event) for event in data["data"])
        return cls(data=events, cursor=text(data["cursor"]), more=data.get("next_cursor") is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook(Told):
    """A registered address, and how it stands."""

    webhook_id: str
    url: str
    status: str
    reason: str

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            webhook_id=text(data["webhook_id"]),
            url=text(data["url"]),
            status=text(data["status"]),
            reason=text(data["reason"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSecret(Told):
    """What `webhooks.unwrap` takes among its secrets: either of the two."""

    webhook_id: str
    secret: str | None = field(repr=False)
    public_key: str

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            webhook_id=text(data["webhook_id"]),
            secret=maybe(text, data["secret"]),
            public_key=text(data["public_key"]),
        )
