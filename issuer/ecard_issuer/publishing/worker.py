"""The threads that keep what is published fresh: one for deltas, lists and decoys, one for snapshots of the feed.

Beside the dispatcher and not in it: keys of statuses may be at a Vault that hangs, and the beats of the feed must not
wait for it. A snapshot takes hours where there is much to fold, and the deltas must not wait for that.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ecard_card.errors import EcardError
from ecard_issuer.dispatch import Seldom
from ecard_issuer.publishing.decoys import Decoys
from ecard_issuer.publishing.deltas import Deltas
from ecard_issuer.publishing.publisher import Publisher
from ecard_issuer.publishing.snapshots import FeedSnapshots
from ecard_verifier.faults import described

TURN_SECONDS: Final = 1.0
REFRESH_SECONDS: Final = 30
TIDY_SECONDS: Final = 3600
SNAPSHOT_SECONDS: Final = 60
_log: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class _Task:
    work: Callable[[datetime], object]
    every: float
    due: float = 0.0  # as seconds since 1970


class _Worker:
    """Runs between `start` and `stop`. A task's fault is logged, the same one once a minute, and stops no other."""

    def __init__(
        self, name: str, tasks: Sequence[_Task], clock: Callable[[], datetime], seldom: Seldom | None = None
    ) -> None:
        self._tasks = tuple(tasks)
        self._clock = clock
        self._seldom = seldom or Seldom()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Finish the task in hand, then end."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=10)

    def turn(self) -> None:
        """One round: whatever is due. A clock that was set back makes nothing wait for it."""
        for task in self._tasks:
            now = self._clock()
            wait = task.due - now.timestamp()
            if 0 < wait <= task.every:
                continue
            task.due = now.timestamp() + task.every
            try:
                task.work(now)
            except EcardError as error:
                if self._seldom.due(f"error {error.code}"):
                    _log.warning("publishing: %s", error)
            except Exception as error:  # noqa: BLE001 - the one loop that must not end
                if self._seldom.due(described(error)):
                    _log.error("publishing: internal fault: %s", described(error))

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.turn()
            self._stopping.wait(TURN_SECONDS)


class PublishingWorker(_Worker):
    """Deltas, lists and decoys."""

    def __init__(
        self,
        publisher: Publisher,
        deltas: Deltas,
        decoys: Decoys,
        clock: Callable[[], datetime],
        *,
        seldom: Seldom | None = None,
    ) -> None:
        tasks = (
            _Task(deltas.turn, TURN_SECONDS),
            _Task(publisher.refresh, REFRESH_SECONDS),
            _Task(decoys.turn, REFRESH_SECONDS),
            _Task(deltas.tidy, TIDY_SECONDS),
        )
        super().__init__("ecard-publishing", tasks, clock, seldom)


class SnapshotWorker(_Worker):
    """Snapshots of the feed."""

    def __init__(self, snapshots: FeedSnapshots, clock: Callable[[], datetime]) -> None:
        super().__init__("ecard-snapshots", [_Task(snapshots.turn, SNAPSHOT_SECONDS)], clock)
        self._snapshots = snapshots

    def stop(self) -> None:
        """Give up what is being made, then end."""
        self._snapshots.halt()
        super().stop()
