"""Serves a simulated chip to the virtual reader driver vpcd, so that the real PC/SC stack sees it as a card.

The chip is a TCP client of the driver. A frame is a 2-byte big-endian length and a body; a 1-byte body is a control
(0 power off, 1 power on, 2 reset, 4 send the ATR; only the last is answered), anything longer an APDU. The driver
listens without authentication: for loopback and isolated places only.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from types import TracebackType
from typing import Self

from ecard_card.errors import ChipFault, Unavailable
from ecard_issuer.chip.simulator.chip import VirtualChip

DEFAULT_PORT = 35963
_POWER_OFF, _POWER_ON, _RESET, _GET_ATR = 0, 1, 2, 4
_log = logging.getLogger(__name__)


class VpcdLink:
    """One chip in one slot of the driver, from `connect` to `stop`.

    `serve` blocks and belongs to one thread; `stop` may be called from any other. Closing the link is pulling the card.
    """

    def __init__(self, chip: VirtualChip, host: str = "127.0.0.1", port: int = DEFAULT_PORT) -> None:
        self._chip = chip
        self._address = (host, port)
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def connect(self, timeout: float = 5.0) -> None:
        """Put the card in. Raises `Unavailable` `vpcd_unreachable` where no driver listens."""
        try:
            link = socket.create_connection(self._address, timeout)
        except OSError:
            raise Unavailable("vpcd_unreachable", "no virtual reader driver listens at this address") from None
        link.settimeout(None)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = link

    def serve(self) -> None:
        """Answer frames until the driver hangs up, the chip is removed or `stop` is called."""
        link = self._socket
        if link is None:
            raise Unavailable("vpcd_unreachable", "the link was not connected")
        try:
            while (frame := _receive(link)) is not None:
                if not self._handle(link, frame):
                    break
        except OSError as error:
            if not self._stopped.is_set():
                _log.debug("virtual reader link ended: %s", error)
        finally:
            link.close()
            self._chip.power_off()

    def start(self) -> None:
        """`connect` unless done, then `serve` in a thread."""
        if self._socket is None:
            self.connect()
        self._thread = threading.Thread(target=self.serve, name="vpcd-link", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the card is still in: the thread of `start` serves."""
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """Pull the card and wait for the serving thread, if any. May be called twice."""
        self._stopped.set()
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        if self._thread is not None:
            self._thread.join()
        elif self._socket is not None:
            self._socket.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _handle(self, link: socket.socket, frame: bytes) -> bool:
        """Obey a control or answer an APDU; False once the card is gone."""
        if len(frame) == 1:
            self._control(link, frame[0])
            return True
        try:
            answer = self._chip.transceive(frame)
        except ChipFault as fault:
            # A mute chip leaves the driver waiting: nothing is sent, and only a power cycle or the end comes after.
            return fault.code == "chip_mute"
        _send(link, answer)
        return True

    def _control(self, link: socket.socket, control: int) -> None:
        if control == _POWER_OFF:
            self._chip.power_off()
        elif control == _POWER_ON:
            self._chip.power_on()
        elif control == _RESET:
            self._chip.reset()
        elif control == _GET_ATR:
            _send(link, self._chip.atr)


def _send(link: socket.socket, body: bytes) -> None:
    """Length and body in one write: two writes would meet Nagle and the delayed acknowledgement."""
    link.sendall(len(body).to_bytes(2, "big") + body)


def _receive(link: socket.socket) -> bytes | None:
    """One frame's body; None at the end of the stream."""
    head = _exactly(link, 2)
    return None if head is None else _exactly(link, int.from_bytes(head, "big"))


def _exactly(link: socket.socket, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        # The kernel drops quick acknowledgement by itself; the driver writes length and body apart and would
        # wait about 40 ms for a delayed one.
        if hasattr(socket, "TCP_QUICKACK"):
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        chunk = link.recv(size - len(data))
        if not chunk:
            return None
        data += chunk
    return data
