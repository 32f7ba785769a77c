"""Who waits for news of which credential: one look at each event of the feed, however many pages wait.

The feed's publishing thread rings; each page's event loop is woken through its own `call_soon_threadsafe`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from typing import Final

from ecard_card import jose
from ecard_card.errors import InvalidInput
from ecard_issuer.feed_hub import FeedHub

#: A status entry: the address of its list, and its place there.
Entry = tuple[str, int]
#: What a page waits for that shows no credential yet: any change at all.
ANY: Final = ("", -1)


class Watch:
    """Rings for a page when an event names its credential, when the feed was too quick to tell, and when it closes."""

    def __init__(self, hub: FeedHub) -> None:
        self._hub = hub
        self._lock = threading.Lock()
        self._cursor = hub.attach(hub.head) or 0
        self._waiting: dict[Entry, set[Callable[[], None]]] = {}
        self._many = 0
        hub.listen(self._ring)

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return self._many

    @property
    def closed(self) -> bool:
        """Whether no more will come."""
        return self._hub.closed

    @contextlib.contextmanager
    def bell(self, session_id: str, entry: Entry | None) -> Iterator[asyncio.Event]:
        """An event of the running loop that is set with the next change of `entry`, or of anything where it is None,
        and when something happened to the session itself."""
        loop, event = asyncio.get_running_loop(), asyncio.Event()

        def ring() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has closed meanwhile
                loop.call_soon_threadsafe(event.set)

        keys = (entry or ANY, (session_id, -1))
        with self._lock:
            self._many += 1
            for key in keys:
                self._waiting.setdefault(key, set()).add(ring)
        try:
            yield event
        finally:
            with self._lock:
                self._many -= 1
                for key in keys:
                    self._waiting[key].discard(ring)
                    if not self._waiting[key]:
                        del self._waiting[key]

    def ended(self, session_id: str) -> None:
        """A session ended before its time."""
        self._wake({(session_id, -1)})

    def everybody(self) -> None:
        """Something happened that may bear on any session: each looks again."""
        self._wake(None)

    def _ring(self) -> None:
        found = self._hub.after(self._cursor)
        if found is None or self._hub.closed:
            self._cursor = self._hub.attach(self._hub.head) or 0
            self._wake(None)
            return
        messages, self._cursor = found
        entries = {entry for message in messages if message.kind == "set" for entry in _entries(message.token)}
        if entries:
            self._wake({*entries, ANY})

    def _wake(self, keys: set[Entry] | None) -> None:
        """Those who wait for one of `keys`, or everybody."""
        with self._lock:
            woken = self._waiting if keys is None else keys
            bells = [bell for key in woken for bell in self._waiting.get(key, ())]
        for bell in bells:
            bell()


def _entries(token: str) -> Iterator[Entry]:
    """The status entry that one of our own events is about."""
    try:
        events = json.loads(jose.b64url_decode(token.split(".")[1]))["events"]
    except (InvalidInput, ValueError, LookupError, TypeError):
        return
    for about in events.values():
        listed = about.get("status_list")
        if listed:
            yield listed["uri"], listed["idx"]
