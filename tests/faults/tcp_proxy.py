"""A TCP proxy that can be cut: whoever is connected loses the connection, whoever comes is turned away."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from types import TracebackType
from typing import Self

_RESET = struct.pack("ii", 1, 0)  # closing sends RST


class TcpProxy:
    """Listens on a free port of this machine and passes everything on to `target`, another port."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._cut = self._ended = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended = True
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """From now on there is no way through."""
        with self._lock:
            self._cut = True
            gone, self._open = self._open, set()
        for item in gone:
            _reset(item)

    def mend(self) -> None:
        with self._lock:
            self._cut = False

    def _accept(self) -> None:
        while not self._ended:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        try:
            if self._cut:
                raise ConnectionRefusedError
            far = socket.create_connection(("127.0.0.1", self._target), 5)
        except OSError:
            _reset(near)
            return
        far.settimeout(None)
        with self._lock:
            if not self._cut:
                self._open |= {near, far}
        if near not in self._open:  # cut meanwhile
            _reset(near)
            _reset(far)
            return
        for one, other in ((near, far), (far, near)):
            threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65_536):
                other.sendall(data)
        with self._lock:
            self._open -= {one, other}
        for item in (one, other):
            with contextlib.suppress(OSError):
                item.shutdown(socket.SHUT_RDWR)
            item.close()


def _reset(item: socket.socket) -> None:
    with contextlib.suppress(OSError):
        item.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        # Closing alone wakes nobody who reads it, and its number might be given away under them.
        item.shutdown(socket.SHUT_RDWR)
    item.close()
