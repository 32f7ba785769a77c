"""Ports of what channels are told: their logs, where the news come from, and where webhooks go."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from ecard_issuer.channel_events.values import ChannelEvent, LinkNote, Told, ToldLink
from ecard_issuer.partners.streams import Stream


class EventLog(Protocol):
    """The logs of all channels, in the register. Times are aware UTC."""

    def place(self, head: int) -> int:
        """How far the feed was read for channels; from `head` where it never was."""

    def append(self, told: Sequence[Told], now: datetime, moved: tuple[int, int] | None) -> int | None:
        """Give each event the next number of its channel, in this order; one whose id is there already is left out.

        `moved` is how far the feed was read before, and how far now: in the same transaction. How many were new; None
        where another worker moved it meanwhile, and then nothing is written.
        """

    def head(self, app_id: str) -> int:
        """The last number of a channel; 0: none yet."""

    def since(self, app_id: str, after: int, limit: int) -> tuple[ChannelEvent, ...]:
        """Events with numbers above `after`, in order."""

    def event(self, app_id: str, number: int) -> ChannelEvent | None: ...

    def called(self, app_id: str, event_id: str) -> ChannelEvent | None: ...

    def oldest(self, app_id: str) -> int | None:
        """The first number that is still kept."""

    def behind(self, limit: int) -> tuple[Stream, ...]:
        """Webhooks of channels that were not given everything of their channel's log, and have room."""

    def purge(self, before: datetime, limit: int) -> int:
        """Forget events recorded before then, at most `limit`; says how many."""


class Links(Protocol):
    """What this room needs of the room of links."""

    def told(self, card_ref: str) -> Sequence[ToldLink]:
        """The links of the e-card that this card has, or had: also those that ended."""

    def end_with_card(self, card_ref: str, now: datetime) -> int:
        """End the live links of this card's e-card, if that has ended with the card; how many. Each has a note."""

    def notes(self, limit: int) -> Sequence[LinkNote]:
        """What happened to links and was not settled yet, the oldest first."""

    def settle(self, notes: Collection[LinkNote]) -> None:
        """These were put into the logs."""


class Addresses(Protocol):
    """Where channels want their webhooks."""

    def of(self, app_id: str) -> Sequence[str] | None:
        """The registered addresses; None for a channel that is not admitted, or not now."""
