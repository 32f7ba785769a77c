"""The thread that tells channels: looks when rung, and from time to time for what other processes did."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Final

from ecard_card.errors import EcardError
from ecard_issuer.channel_events.filing import ChannelFiling
from ecard_issuer.dispatch import Seldom
from ecard_verifier.faults import described

POLL_SECONDS: Final = 0.5
_log: Final = logging.getLogger(__name__)


class ChannelWorker:
    """Runs between `start` and `stop`. `told` is called after events became ready."""

    def __init__(self, filing: ChannelFiling, clock: Callable[[], datetime], told: Callable[[], None]) -> None:
        self._filing, self._clock, self._told = filing, clock, told
        self._stopping, self._wake = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="ecard-channels", daemon=True)
        self._seldom = Seldom()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the turn in hand."""
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=10)

    def ring(self) -> None:
        """There may be something to tell."""
        self._wake.set()

    def turn(self) -> int:
        """One round; how many events were new."""
        new = self._filing.turn(self._clock())
        if new:
            self._told()
        return new

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.turn()
            except Exception as error:  # noqa: BLE001 - the one loop that must not end
                said = str(error) if isinstance(error, EcardError) else described(error)
                if self._seldom.due(said):
                    _log.warning("channel events: %s", said)
                self._stopping.wait(1.0)
            self._wake.wait(POLL_SECONDS)
            self._wake.clear()
