"""Answers of the routes of channels' events."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

EventType = Literal[
    "link.claimed",
    "link.released",
    "card.lost",
    "card.found",
    "card.replaced",
    "card.cancelled",
    "card.changed",
    "level.changed",
    "password.changed",
]


class ChannelEventAnswer(BaseModel):
    """What happened to one of the channel's links. Nothing personal: ask for the link's state."""

    id: str = Field(description="The same however often the event is sent or read.")
    number: int = Field(description="Counts the channel's events from 1 without a gap.")
    type: EventType
    occurred_at: datetime
    link_id: str
    status: Literal["valid", "suspended", "invalid"] = Field(description="What the link's e-card is after it.")
    action_type: str | None = Field(
        default=None, description="`actionType` of the national callbacks, where one fits: 001, 003, 005."
    )
    scene_type: str | None = Field(default=None, description="`sceneType` of the national callbacks, where one fits.")


class ChannelEventsAnswer(BaseModel):
    """Events in order."""

    data: list[ChannelEventAnswer]
    cursor: str = Field(description="Where to go on from, also where there is no event yet.")
    next_cursor: str | None = Field(description="The same, while there are more events now.")


class ResentAnswer(BaseModel):
    """An event that is sent again."""

    id: str
    webhooks: list[str] = Field(description="The webhooks it goes to.")


class ChannelWebhook(BaseModel):
    """One registered webhook address, and how it stands."""

    webhook_id: str
    url: str
    status: Literal["enabled", "paused", "disabled"]
    reason: str


class ChannelWebhooks(BaseModel):
    """The registered addresses; they are changed with the channel's registration."""

    data: list[ChannelWebhook]


class ChannelWebhookSecret(BaseModel):
    """A webhook's keys. The secret is shown this once."""

    webhook_id: str
    secret: str | None
    public_key: str


class ChannelDelivery(BaseModel):
    """One event on its way to one webhook."""

    number: int
    event_id: str
    state: Literal["waiting", "done", "dead", "refused"]
    attempts: int
    result: str = Field(description="What became of the last attempt: `http_` and its status, or a short word.")
    next_at: datetime | None


class ChannelDeliveries(BaseModel):
    """Deliveries, newest first."""

    data: list[ChannelDelivery]
