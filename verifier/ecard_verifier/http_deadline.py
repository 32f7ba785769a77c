"""An end to a whole HTTP exchange: the timeouts of a client count each read by itself, and a host that sends one byte
of a header every two seconds keeps within them for days."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self

#: What the client says once a connection stands, and again under TLS: the socket is another one then.
_CONNECTED: Final = ("connection.connect_tcp.complete", "connection.start_tls.complete")


class Deadline:
    """Shuts the connection of one request down `seconds` after it was entered, whatever it is waiting for.

    Give `extensions` to the request: whoever reads then gets the client's own error. Connecting and the TLS handshake
    are bounded by the client's timeout.
    """

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._ended = False

    @property
    def extensions(self) -> Mapping[str, Callable[[str, Mapping[str, object]], None]]:
        """How the deadline learns of the connection."""
        return {"trace": self._trace}

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.met()

    def met(self) -> None:
        """From here on the exchange may last."""
        self._timer.cancel()

    def _trace(self, event: str, info: Mapping[str, object]) -> None:
        if event not in _CONNECTED:
            return
        stream = info["return_value"]
        found = stream.get_extra_info("socket")  # type: ignore[attr-defined]
        with self._lock:
            self._socket = found if isinstance(found, socket.socket) else None
        if self._ended:
            self._shut_down()

    def _end(self) -> None:
        self._ended = True
        self._shut_down()

    def _shut_down(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            if self._socket is not None:
                # Not the TLS socket's own method: that one takes the connection from under whoever reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
