"""Port `ChannelStore`: channels and the record of every decision about them."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from ecard_issuer.channels.states import ChannelState
from ecard_issuer.channels.values import Channel, ChannelChange
from ecard_issuer.rows import Grant


class ChannelStore(Protocol):
    """Every verb raises `Unavailable` where the store does not answer."""

    def add(self, channel: Channel, actor: str) -> Channel:
        """Store an application, unless there is one of this id: the stored one is returned."""

    def save(
        self, channel: Channel, action: str, actor: str, reason: str, now: datetime, *, grant: Grant | None = None
    ) -> Channel:
        """Store a change of the channel that was read with `channel.number`, and use `grant` up.

        Returns it with its next number. Raises `Conflict` `app_changed_meanwhile` where it was changed since."""

    def find(self, app_id: str) -> Channel | None:
        """The channel as it is now."""

    def list(self, state: ChannelState | None, after: str, limit: int) -> tuple[Channel, ...]:
        """In order of their ids, those beyond `after`."""

    def changes(self, app_id: str) -> tuple[ChannelChange, ...]:
        """Oldest first."""
