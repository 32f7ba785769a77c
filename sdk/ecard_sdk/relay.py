"""Events of an app brought to a receiver on the developer's machine, as the authority's own webhooks would be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

import httpx2

from ecard_card.errors import InvalidInput
from ecard_sdk.events_models import ChannelEvent
from ecard_sdk.sync.client import ECardClient
from ecard_sdk.webhook_signing import WebhookSigner

_TIMEOUT: Final = 5.0  # seconds, as the authority waits
_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What became of one event. `status` is None where nobody answered."""

    event: ChannelEvent
    status: int | None
    milliseconds: int

    @property
    def taken(self) -> bool:
        """Whether the receiver said that it has the event."""
        return self.status is not None and 200 <= self.status < 300


class Relay:
    """Reads the app's log and posts each event to `forward_to`, in order, once each.

    Raises `InvalidInput` `bad_setting` for another address than http or https.
    """

    def __init__(
        self, client: ECardClient, signer: WebhookSigner, forward_to: str, now: Callable[[], datetime]
    ) -> None:
        try:
            parts = urlsplit(forward_to)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidInput(
                "bad_setting", "--forward-to wants an http or https address, such as http://127.0.0.1:8000/hook"
            )
        self._client, self._signer, self._forward_to, self._now = client, signer, forward_to, now

    def head(self) -> str:
        """Where the log ends now. Raises what the client raises."""
        batch = self._client.events.wait(None, seconds=0, limit=_PAGE)
        while batch.more:
            batch = self._client.events.wait(batch.cursor, seconds=0, limit=_PAGE)
        return batch.cursor

    def events(self, cursor: str) -> Iterator[Forwarded]:
        """For ever: each event after `cursor`, forwarded. Raises what the client raises."""
        with httpx2.Client(timeout=_TIMEOUT, follow_redirects=False, trust_env=False) as receiver:
            while True:
                batch = self._client.events.wait(cursor, limit=_PAGE)
                for event in batch.data:
                    yield self._forward(receiver, event)
                cursor = batch.cursor

    def _forward(self, receiver: httpx2.Client, event: ChannelEvent) -> Forwarded:
        body, headers = self._signer.message(event, self._now())
        begun = time.monotonic()
        try:
            status: int | None = receiver.post(self._forward_to, content=body, headers=headers).status_code
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError):
            status = None
        return Forwarded(event, status, round(1000 * (time.monotonic() - begun)))
