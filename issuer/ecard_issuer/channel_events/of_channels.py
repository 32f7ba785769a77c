"""Where channels want their webhooks: port `Addresses` over their registrations."""

from __future__ import annotations

from collections.abc import Sequence

from ecard_issuer.channels.states import ChannelState
from ecard_issuer.channels.store import ChannelStore


class HookAddresses:
    """The addresses of channels that are admitted and not suspended."""

    def __init__(self, store: ChannelStore) -> None:
        self._store = store

    def of(self, app_id: str) -> Sequence[str] | None:
        channel = self._store.find(app_id)
        if channel is None or channel.state is not ChannelState.ACTIVE:
            return None
        return channel.registration.webhook_urls
