"""What the routes about webhooks and about all partners' streams take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictInt, StrictStr

from ecard_issuer.web.models import Body
from ecard_issuer.web.shared_signals_models import StreamId

CardReference = Annotated[StrictStr, Field(pattern="^[0-9a-f]{1,64}$")]


class WebhookBody(Body):
    """A new webhook."""

    endpoint: StrictStr = Field(max_length=1024, description="An https URL.", examples=["https://partner.example/hook"])
    description: StrictStr = Field("", max_length=200)
    stream_id: StreamId | None = Field(
        None, description="32 random hex digits of your choice. A repeated request does not show the secret again."
    )


class StandingBody(Body):
    """What an operator decides about a stream."""

    status: Literal["enabled", "paused", "disabled"]
    reason: StrictStr = Field("", pattern="^([a-z][a-z_]{0,63})?$", description="A short word; the receiver is told.")


class RegionsBody(Body):
    """Of which regions the stream hears every card."""

    regions: list[Annotated[StrictStr, Field(pattern="^[0-9]{6}$")]] = Field(max_length=64)


class CardBody(Body):
    """A card that the stream shall hear of."""

    card_ref: CardReference


class CatchUpBody(Body):
    """Where to begin again."""

    seq: StrictInt = Field(ge=0, le=2**53 - 1, description="The last event of the feed that is not to come again.")


class PartnerStream(BaseModel):
    """A stream as it stands."""

    stream_id: str
    partner: str
    method: Literal["push", "poll", "webhook"]
    endpoint: str | None
    description: str
    regions: list[str] = Field(description="Regions whose every card is told.")
    status: Literal["enabled", "paused", "disabled"]
    reason: str = Field(description="`receiver_gone`, `receiver_unreachable`, or what an operator wrote.")
    cursor: int = Field(description="The last event of the feed that was looked at.")
    numbered: int = Field(description="The last number of this stream; every number below was given once.")
    failures: int = Field(description="Failed attempts since the last good one.")
    next_at: datetime | None
    created_at: datetime


class WebhookSecret(PartnerStream):
    """With the secret, which is shown this once; null where a request was repeated."""

    secret: str | None = Field(repr=False, description="For `v1`: HMAC-SHA256.")
    public_key: str = Field(description="For `v1a`: Ed25519.")


class StreamsAnswer(BaseModel):
    """Streams."""

    streams: list[PartnerStream]


class BacklogAnswer(BaseModel):
    """How one stream stands."""

    stream_id: str
    partner: str
    method: Literal["push", "poll", "webhook"]
    status: Literal["enabled", "paused", "disabled"]
    waiting: int
    oldest_waiting: datetime | None
    dead_letters: int
    feed_lag: int = Field(
        description="Events of the feed beyond the cursor; up to 500 are usual where none concerned it."
    )


class BacklogsAnswer(BaseModel):
    """How all streams stand."""

    streams: list[BacklogAnswer]


class DeliveryLine(BaseModel):
    """One line of the delivery log."""

    number: int
    event_id: str
    kind: Literal["status-changed", "credential-change", "verification", "stream-updated"]
    state: Literal["waiting", "done", "dead", "refused"]
    attempts: int
    result: str = Field(description="`http_` and the status, or why there was none.")
    next_at: datetime | None
    created_at: datetime
    updated_at: datetime


class DeliveriesAnswer(BaseModel):
    """The delivery log, newest first."""

    deliveries: list[DeliveryLine]


class MissedEvent(BaseModel):
    """An event once more: `set`, or a webhook's `body` with its `headers`."""

    number: int
    event_id: str
    set: str | None = None
    headers: dict[str, str] | None = None
    body: str | None = None


class MissedAnswer(BaseModel):
    """What was filed after a number."""

    events: list[MissedEvent]


class CalledAnswer(BaseModel):
    """What the partner calls the card."""

    reference: str
