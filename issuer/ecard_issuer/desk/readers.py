"""Which readers and cards there are, kept up to date by a thread of its own.

PC/SC tells of changes; a service that stops, starts again or hangs is noticed within `LOOK` or `STUCK` seconds, and the
watch goes on by itself. A card that is changed between two looks counts as one pulled and one put in: PC/SC numbers
each such change.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from ecard_card.errors import ChipFault

LOOK: Final = 0.5  # seconds; a new reader or a service that came back is seen after that
STUCK: Final = 5.0  # seconds without a finished look: the service hangs
_PRESENT, _MUTE = 0x20, 0x200  # SCARD_STATE_PRESENT, SCARD_STATE_MUTE
_COUNT: Final = 16  # bits that the number of changes is shifted by


class Change(StrEnum):
    """What happened at a reader, or to the PC/SC service."""

    READER_ADDED = "reader_added"
    READER_GONE = "reader_gone"
    INSERTED = "inserted"
    REMOVED = "removed"
    SERVICE_GONE = "service_gone"
    SERVICE_BACK = "service_back"


@dataclass(frozen=True, slots=True)
class News:
    """One change; `reader` is empty for the service's."""

    change: Change
    reader: str = ""


class Card(StrEnum):
    NONE = "none"
    PRESENT = "present"
    MUTE = "mute"  # it does not even answer being powered


class Service(StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"
    STUCK = "stuck"
    MISSING = "missing"  # pyscard is not installed


@dataclass(frozen=True, slots=True)
class Shown:
    """The readers as they were at the last look, in PC/SC's order."""

    service: Service
    readers: Mapping[str, Card]


class LookFailed(Exception):
    """The PC/SC service is not there, or has just gone."""


class Looking(Protocol):
    """One connection to the service."""

    def readers(self) -> list[str]:
        """Raises `LookFailed`."""
        ...

    def states(self, known: Mapping[str, int], seconds: float) -> dict[str, int]:
        """The state word of each reader in `known`, as soon as one differs or `seconds` are over.

        Raises `LookFailed`.
        """
        ...

    def close(self) -> None: ...


class ReaderWatch:
    """Tells `listener` of every change, in order, from its own thread; `shown` may be asked from any."""

    def __init__(
        self,
        listener: Callable[[News], None],
        connect: Callable[[], Looking] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._listener, self._connect, self._clock = listener, connect or PcscLooking, clock
        self._states: dict[str, int] = {}
        self._service = Service.STOPPED
        self._looked_at = clock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reader watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """A service that hangs keeps its thread, which dies with the process."""
        self._end.set()
        self._thread.join(2 * LOOK)

    def shown(self) -> Shown:
        stuck = self._service is Service.RUNNING and self._clock() - self._looked_at > STUCK
        states = dict(self._states)
        return Shown(Service.STUCK if stuck else self._service, {name: _card(word) for name, word in states.items()})

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                looking = self._connect()
            except LookFailed:
                self._set_service(Service.STOPPED)
            except ChipFault:
                self._set_service(Service.MISSING)
            else:
                try:
                    self._follow(looking)
                except LookFailed:
                    self._set_service(Service.STOPPED)
                finally:
                    looking.close()
            self._end.wait(LOOK)

    def _follow(self, looking: Looking) -> None:
        while not self._end.is_set():
            names = looking.readers()
            self._looked_at = self._clock()
            self._set_service(Service.RUNNING)
            for gone in [name for name in self._states if name not in names]:
                self._lose(gone)
            for name in names:
                if name not in self._states:
                    self._states[name] = 0
                    self._tell(Change.READER_ADDED, name)
            for name, word in looking.states(dict(self._states), LOOK).items():
                self._note(name, word)
            self._looked_at = self._clock()

    def _note(self, name: str, word: int) -> None:
        before = self._states[name]
        self._states[name] = word
        was, now = before & _PRESENT, word & _PRESENT
        if was and (not now or before >> _COUNT != word >> _COUNT):
            self._tell(Change.REMOVED, name)
            was = 0
        if now and not was:
            self._tell(Change.INSERTED, name)

    def _lose(self, name: str) -> None:
        if self._states.pop(name) & _PRESENT:
            self._tell(Change.REMOVED, name)
        self._tell(Change.READER_GONE, name)

    def _set_service(self, service: Service) -> None:
        before, self._service = self._service, service
        if service is not Service.RUNNING:
            for name in list(self._states):
                self._lose(name)
        if (before is Service.RUNNING) is not (service is Service.RUNNING):
            self._tell(Change.SERVICE_BACK if service is Service.RUNNING else Change.SERVICE_GONE)

    def _tell(self, change: Change, reader: str = "") -> None:
        self._listener(News(change, reader))


class PcscLooking:
    """`Looking` through pyscard. Raises `LookFailed`, and `ChipFault` `reader_unavailable` without pyscard."""

    def __init__(self) -> None:
        try:
            from smartcard import scard
        except ImportError:
            raise ChipFault("reader_unavailable", "pyscard is not installed") from None
        self._scard: Any = scard
        result, self._context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
        self._need(result)

    def readers(self) -> list[str]:
        result, names = self._scard.SCardListReaders(self._context, [])
        if result == self._scard.SCARD_E_NO_READERS_AVAILABLE:
            return []
        self._need(result)
        return [str(name) for name in names]

    def states(self, known: Mapping[str, int], seconds: float) -> dict[str, int]:
        if not known:
            # Nothing to wait for: the next list of readers shows a new one.
            threading.Event().wait(seconds)
            return {}
        asked = list(known.items())
        result, states = self._scard.SCardGetStatusChange(self._context, int(1000 * seconds), asked)
        if result == self._scard.SCARD_E_TIMEOUT:
            return {}
        if result == self._scard.SCARD_E_UNKNOWN_READER:  # gone since they were listed
            return {}
        self._need(result)
        return {str(name): int(word) for name, word, _ in states}

    def close(self) -> None:
        self._scard.SCardReleaseContext(self._context)

    def _need(self, result: int) -> None:
        if result != self._scard.SCARD_S_SUCCESS:
            raise LookFailed


def _card(word: int) -> Card:
    if not word & _PRESENT:
        return Card.NONE
    return Card.MUTE if word & _MUTE else Card.PRESENT
