"""Where the mock's webhooks arrive: a server on a free port, which keeps them until a test hands them on."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Self

from starlette.testclient import TestClient


class Hooks:
    """A context manager; `url` is where it listens."""

    def __init__(self) -> None:
        arrived: queue.Queue[tuple[bytes, dict[str, str]]] = queue.Queue()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                arrived.put((body, dict(self.headers.items())))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._arrived = arrived
        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hooks"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def deliver(self, app: TestClient, enough: Callable[[], bool], within: float = 30.0) -> None:
        """Hand on what arrives, each of it twice, until it is `enough`."""
        until = time.monotonic() + within
        while not enough():
            body, headers = self._arrived.get(timeout=max(0.1, until - time.monotonic()))
            wanted = {name: value for name, value in headers.items() if name.lower().startswith("webhook-")}
            for _ in range(2):
                assert app.post("/hooks", content=body, headers=wanted).status_code in (204, 422)
