"""A `ChipReader` over PC/SC (pyscard, the extra `reader`): a desk's contact or contactless reader.

Facts this adapter is built on: a mute chip blocks a transmit without limit, so every call runs in a worker thread and
has a deadline; pyscard raises two unrelated families of exceptions; a pulled card may come with error code 0; another
program could select another file between two commands, so the card is opened exclusively.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, NoReturn, Self, TypeVar

from ecard_card.errors import ChipFault

DEFAULT_DEADLINE: Final = 5.0  # seconds; the slowest honest command, an on-chip signature, takes about one

#: PC/SC error numbers that are the reader's or its service's doing, and those of a chip that does not answer.
_READER_ERRORS: Final = frozenset({0x80100009, 0x8010000B, 0x80100017, 0x8010001D, 0x8010001E, 0x80100002, 0x80100003})
_MUTE_ERRORS: Final = frozenset({0x80100066, 0x80100067, 0x8010000A})
_REMOVED_ERRORS: Final = frozenset({0x80100069, 0x8010000C})

_T = TypeVar("_T")


def list_readers(deadline: float = DEFAULT_DEADLINE) -> list[str]:
    """The names of the readers that PC/SC knows now, in its order.

    Raises `ChipFault` `reader_unavailable`: pyscard is not installed, or the PC/SC service is not running.
    """
    pyscard = _Pyscard.load()
    worker = _Worker("list")
    try:
        return worker.run(lambda: [str(reader) for reader in pyscard.readers()], deadline)
    except TimeoutError:
        raise ChipFault("reader_unavailable", "the PC/SC service does not answer") from None
    except pyscard.errors as error:
        _raise_reader_fault(error)
    finally:
        worker.stop()


class PcscReader:
    """The chip in the reader of that name, powered and held exclusively until `close`.

    `deadline` is in seconds and holds for every command and for connecting. Raises `ChipFault` as `ChipReader` says;
    after a fault the object is used up and every call raises `reader_unavailable`.
    """

    def __init__(self, name: str, deadline: float = DEFAULT_DEADLINE) -> None:
        self._pyscard = _Pyscard.load()
        self._deadline = deadline
        self._worker = _Worker(name)
        self._connection: Any = None
        self._usable, self._abandoned = True, False
        self._strip_le = False
        try:
            self._atr = self._call(lambda: self._connect(name))
        except ChipFault:
            self.close()
            raise

    @property
    def atr(self) -> bytes:
        return self._atr

    def transceive(self, command: bytes) -> bytes:
        return self._call(lambda: self._transmit(command))

    def close(self) -> None:
        """Power the chip off and let the reader go. A reader that hangs is abandoned to its worker thread, which lets
        it go once its driver answers: with the pulled card at the latest."""
        self._usable = False
        if not self._abandoned:
            with contextlib.suppress(TimeoutError):
                self._worker.run(self._release, self._deadline)
        self._worker.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(*self._pyscard.errors):
                connection.release()

    def _connect(self, name: str) -> bytes:
        reader = next((reader for reader in self._pyscard.readers() if str(reader) == name), None)
        if reader is None:
            raise ChipFault("reader_missing", "PC/SC knows no reader of that name")
        connection = reader.createConnection()
        connection.connect(mode=self._pyscard.exclusive)
        self._connection = connection
        self._strip_le = connection.getProtocol() == self._pyscard.t0_protocol
        return bytes(connection.getATR())

    def _transmit(self, command: bytes) -> bytes:
        # T=0 has no frame for data and Le together (ISO 7816-3 §12.2): the chip answers 61xx instead.
        if self._strip_le and len(command) > 5 and len(command) == 6 + command[4]:
            command = command[:-1]
        data, sw1, sw2 = self._connection.transmit(list(command))
        return bytes(data) + bytes((sw1, sw2))

    def _call(self, work: Callable[[], _T]) -> _T:
        if not self._usable:
            raise ChipFault("reader_unavailable", "the reader is closed, or failed before")
        try:
            return self._worker.run(work, self._deadline)
        except TimeoutError:
            self._usable, self._abandoned = False, True
            self._worker.then(self._release)  # the thread sits in the driver, who knows how long
            raise ChipFault("chip_mute", "the chip did not answer within the deadline") from None
        except ChipFault:
            self._usable = False
            raise
        except self._pyscard.errors as error:
            self._usable = False
            _raise_chip_fault(error, connected=self._connection is not None)


@dataclass(frozen=True, slots=True)
class _Pyscard:
    """What we use of pyscard, imported on first use so that nobody needs it who has no reader."""

    readers: Callable[[], list[Any]]
    exclusive: int
    t0_protocol: int
    errors: tuple[type[Exception], ...]

    @classmethod
    def load(cls) -> _Pyscard:
        try:
            from smartcard.CardConnection import CardConnection
            from smartcard.Exceptions import SmartcardException
            from smartcard.pcsc.PCSCExceptions import BaseSCardException
            from smartcard.scard import SCARD_SHARE_EXCLUSIVE
            from smartcard.System import readers
        except ImportError:
            raise ChipFault("reader_unavailable", "pyscard is not installed: pip install 'ecard[reader]'") from None
        # The two families have no common ancestor of their own.
        errors = (SmartcardException, BaseSCardException)
        return cls(readers, SCARD_SHARE_EXCLUSIVE, CardConnection.T0_protocol, errors)


class _Worker:
    """One daemon thread, one call at a time. (An executor would be joined at exit, and a mute chip hang it.)"""

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._serve, name=f"pcsc {name}", daemon=True).start()

    def run(self, work: Callable[[], _T], deadline: float) -> _T:
        """The call's result or exception; `TimeoutError` when it has not ended within `deadline` seconds."""
        results: queue.SimpleQueue[tuple[_T, None] | tuple[None, BaseException]] = queue.SimpleQueue()

        def call() -> None:
            try:
                results.put((work(), None))
            except BaseException as error:  # noqa: BLE001  whatever it is, it is the caller's
                results.put((None, error))

        self._calls.put(call)
        try:
            value, error = results.get(timeout=deadline)
        except queue.Empty:
            raise TimeoutError from None
        if error is not None:
            raise error
        return value  # type: ignore[return-value]

    def then(self, work: Callable[[], None]) -> None:
        """After the call under way, and nobody waits for it."""
        self._calls.put(work)

    def stop(self) -> None:
        self._calls.put(None)

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


def _number(error: Exception) -> int:
    number = getattr(error, "hresult", 0)
    return number & 0xFFFFFFFF if isinstance(number, int) else 0


def _raise_reader_fault(error: Exception) -> NoReturn:
    raise ChipFault("reader_unavailable", f"the PC/SC service or reader failed ({_number(error):08X})") from None


def _raise_chip_fault(error: Exception, *, connected: bool) -> NoReturn:
    number = _number(error)
    if number in _MUTE_ERRORS:
        raise ChipFault("chip_mute", f"the chip does not answer ({number:08X})") from None
    if number in _READER_ERRORS or (not connected and number not in _REMOVED_ERRORS and not _says_no_card(error)):
        _raise_reader_fault(error)
    # A pulled card has several numbers, 0 among them: whatever else breaks an open connection counts as pulled.
    raise ChipFault("chip_removed", f"there is no chip in the reader, or it was pulled ({number:08X})") from None


def _says_no_card(error: Exception) -> bool:
    return type(error).__name__ == "NoCardException"
