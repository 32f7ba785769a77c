"""A reading desk as its own process: PC/SC calls, one JSON line in, one JSON line out.

libpcsclite reads the socket's name once per process, and a driver that hangs takes its process along: so every client
of a test daemon is a process of its own.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from ecard_card.errors import EcardError
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.chip.pcsc import PcscReader, list_readers
from ecard_issuer.chip.prove import prove_chip
from ecard_issuer.chip.read import read_chip

_INSERTION_SECONDS = 10.0
_connection: Any = None


def _patiently(attempt: Callable[[], Any]) -> Any:
    """Repeat until the stack has noticed a change of cards: it looks only every 400 ms."""
    deadline = time.monotonic() + _INSERTION_SECONDS
    pause = threading.Event()
    while True:
        try:
            return attempt()
        except Exception as error:
            if time.monotonic() > deadline:
                raise TimeoutError("the stack has not noticed") from error
        pause.wait(0.02)


def readers() -> list[str]:
    return list_readers()


def connect(reader: str) -> str:
    """Raw pyscard, the card's ATR in hex."""
    from smartcard.System import readers as all_readers

    def attempt() -> str:
        global _connection
        _connection = next(one for one in all_readers() if str(one) == reader).createConnection()
        _connection.connect()
        return bytes(_connection.getATR()).hex().upper()

    return str(_patiently(attempt))


def transmit(apdu: str) -> str:
    data, sw1, sw2 = _connection.transmit(list(bytes.fromhex(apdu)))
    return bytes([*data, sw1, sw2]).hex().upper()


def clock(apdu: str, count: int) -> list[float]:
    """Milliseconds of each of `count` round trips."""
    command, times = list(bytes.fromhex(apdu)), []
    for _ in range(count):
        start = time.perf_counter()
        _connection.transmit(command)
        times.append((time.perf_counter() - start) * 1000)
    return times


def disconnect() -> None:
    global _connection
    if _connection is not None:
        _connection.disconnect()
        _connection.release()
    _connection = None


@contextlib.contextmanager
def _opened(reader: str, deadline: float) -> Iterator[PcscReader]:
    with _patiently(lambda: PcscReader(reader, deadline)) as opened:
        yield opened


def await_removal(reader: str) -> None:
    """Return once pcscd has noticed that the card is gone: its count of insertions and removals is even."""
    from smartcard import scard

    _, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)

    def gone() -> None:
        _, states = scard.SCardGetStatusChange(context, 0, [(reader, scard.SCARD_STATE_UNAWARE)])
        state = states[0][1]
        if not state & scard.SCARD_STATE_EMPTY or state >> 16 & 1:
            raise RuntimeError("still there")

    try:
        _patiently(gone)
    finally:
        scard.SCardReleaseContext(context)


def read(reader: str, deadline: float = 5.0) -> str:
    """The product's own reader: what was read, as evidence JSON."""
    with _opened(reader, deadline) as opened:
        return Evidence(read_chip(opened)).to_json()


def prove(reader: str, digest: str, deadline: float = 5.0) -> str:
    with _opened(reader, deadline) as opened:
        reading = read_chip(opened)
        return Evidence(reading, prove_chip(opened, reading, bytes.fromhex(digest))).to_json()


_OPERATIONS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (readers, connect, transmit, clock, disconnect, await_removal, read, prove)
}


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        reply: dict[str, Any]
        try:
            reply = {"result": _OPERATIONS[request.pop("do")](**request)}
        except EcardError as error:
            reply = {"error": error.code}
        except Exception as error:  # noqa: BLE001 - whatever pyscard raises: the test judges its name
            reply = {"error": type(error).__name__}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
