"""Events of a channel's links: their types, what they say, and how they are made from what happened. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from ecard_card.status import CardChange, EcardStatus


class ChannelEventType(StrEnum):
    """The types. Names are promises: add, never rename."""

    LINK_CLAIMED = "link.claimed"
    LINK_RELEASED = "link.released"
    CARD_LOST = "card.lost"
    CARD_FOUND = "card.found"
    CARD_REPLACED = "card.replaced"
    CARD_CANCELLED = "card.cancelled"
    CARD_CHANGED = "card.changed"
    LEVEL_CHANGED = "level.changed"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105 - the name of a type


#: The word for what a link's e-card is after the event.
STATUS_WORDS: Final[Mapping[EcardStatus, str]] = MappingProxyType(
    {EcardStatus.VALID: "valid", EcardStatus.INVALID: "invalid", EcardStatus.SUSPENDED: "suspended"}
)
_OF_CHANGE: Final[Mapping[CardChange, ChannelEventType]] = MappingProxyType(
    {
        CardChange.REPORT_TEMPORARY_LOSS: ChannelEventType.CARD_LOST,
        CardChange.REPORT_LOSS: ChannelEventType.CARD_LOST,
        CardChange.RELEASE: ChannelEventType.CARD_FOUND,
        CardChange.REPLACE: ChannelEventType.CARD_REPLACED,
        CardChange.CANCEL: ChannelEventType.CARD_CANCELLED,
    }
)


def type_of_change(change: CardChange) -> ChannelEventType:
    """What a change of a card is called to a channel."""
    return _OF_CHANGE.get(change, ChannelEventType.CARD_CHANGED)


@dataclass(frozen=True, slots=True)
class Told:
    """An event to be put into a channel's log: all but its number. `status` is one of `STATUS_WORDS`.

    `action_type` (001 level 1 issued, 002 password set anew, 003 unbound, 005 payment opened) and `scene_type` (004
    proven by a password) are those of the national callbacks, where one fits.
    """

    app_id: str
    event_id: str
    link_id: str
    type: ChannelEventType
    status: str
    occurred_at: datetime
    action_type: str | None = None
    scene_type: str | None = None


@dataclass(frozen=True, slots=True)
class ChannelEvent:
    """An event of a channel's log. `number` counts from 1 without a gap."""

    app_id: str
    number: int
    event_id: str
    link_id: str
    type: ChannelEventType
    status: str
    action_type: str | None
    scene_type: str | None
    occurred_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class ToldLink:
    """A link that is told of its card: whose it is, and during which time."""

    app_id: str
    link_id: str
    since: datetime
    until: datetime | None = None

    def hears(self, at: datetime) -> bool:
        """Whether something of `at` is this link's to know. Both ends belong to it: what ended it is told too."""
        return self.since <= at and (self.until is None or at <= self.until)


@dataclass(frozen=True, slots=True)
class LinkNote:
    """Something that happened to a link itself, as the room of links wrote it down with the change."""

    app_id: str
    note_id: str
    link_id: str
    type: ChannelEventType
    at: datetime
    status: str
    about: Mapping[str, object] = field(default_factory=dict)


def event_id(*parts: str) -> str:
    """32 hex digits: the same for the same parts, so that what is filed twice is one event."""
    return hashlib.sha256("\n".join(("channel-event", *parts)).encode()).hexdigest()[:32]


def told_of_note(note: LinkNote) -> Told:
    """The event of a link's own note."""
    return Told(
        app_id=note.app_id,
        event_id=event_id(note.link_id, note.note_id, note.type.value),
        link_id=note.link_id,
        type=note.type,
        status=note.status,
        occurred_at=note.at,
        action_type=_action_type(note),
        scene_type="004" if note.about.get("holder_proof") == "pin" else None,
    )


def told_of_card(link: ToldLink, outbox_id: str, change: CardChange, status: EcardStatus, occurred_at: int) -> Told:
    """The event of a change of the card, for one link. `occurred_at` is a NumericDate."""
    kind = type_of_change(change)
    return Told(
        app_id=link.app_id,
        event_id=event_id(link.link_id, outbox_id, kind.value),
        link_id=link.link_id,
        type=kind,
        status=STATUS_WORDS[status],
        occurred_at=datetime.fromtimestamp(occurred_at, UTC),
    )


def told_of_proof(link: ToldLink, outbox_id: str, status: EcardStatus, occurred_at: datetime) -> Told:
    """The event that a new card's chip was proven, for one link: `card.changed`, with what the e-card is now."""
    kind = ChannelEventType.CARD_CHANGED
    return Told(
        app_id=link.app_id,
        event_id=event_id(link.link_id, outbox_id, kind.value),
        link_id=link.link_id,
        type=kind,
        status=STATUS_WORDS[status],
        occurred_at=occurred_at,
    )


def _action_type(note: LinkNote) -> str | None:
    match note.type:
        case ChannelEventType.LINK_CLAIMED:
            return "001"
        case ChannelEventType.PASSWORD_CHANGED:
            return "002"
        case ChannelEventType.LINK_RELEASED:
            return "003"
        case ChannelEventType.LEVEL_CHANGED if note.about.get("level") == 2:
            return "005"
        case _:
            return None
