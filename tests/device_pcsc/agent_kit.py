"""The desk agent as its own process, as a clerk starts it, and a page that is no browser: HTTP and a WebSocket."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Message,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)

ORIGIN = "https://desk.example"
_SECONDS = 15.0
#: Never used, since nothing here is TLS: made once, for a client would make one of its own each time, for 30 ms.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Refused(Exception):
    """The WebSocket was not accepted; `status` is the answer's."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class Socket:
    """A WebSocket client: what arrives, as JSON."""

    def __init__(self, port: int, headers: list[tuple[str, str]], protocols: list[str], host: str) -> None:
        self._link = socket.create_connection(("127.0.0.1", port), _SECONDS)
        self._connection = WSConnection(ConnectionType.CLIENT)
        self._events: list[Any] = []
        extra = [(name.encode(), value.encode()) for name, value in headers]
        self._send(Request(host=host, target="/events", subprotocols=protocols, extra_headers=extra))
        first = self._next()
        if isinstance(first, RejectConnection):
            self._link.close()
            raise Refused(first.status_code)
        assert isinstance(first, AcceptConnection), first
        self.protocol = first.subprotocol

    def receive(self, seconds: float = _SECONDS) -> dict[str, Any] | None:
        """The next message; None when the agent closed. Raises TimeoutError."""
        self._link.settimeout(seconds)
        text = ""
        while True:
            event = self._next()
            if event is None or isinstance(event, CloseConnection):
                return None
            if isinstance(event, TextMessage):
                text += event.data
                if event.message_finished:
                    told: dict[str, Any] = json.loads(text)
                    return told

    def wait(self, event: str, reader: str) -> None:
        """Until the agent tells of `event` at `reader`."""
        while True:
            told = self.receive()
            assert told is not None, f"closed while waiting for {event}"
            if (told["event"], told.get("reader")) == (event, reader):
                return

    def send(self, text: str) -> None:
        self._send(Message(data=text))

    def close(self) -> None:
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _send(self, event: Any) -> None:
        self._link.sendall(self._connection.send(event))

    def _next(self) -> Any:
        while not self._events:
            data = self._link.recv(65536)
            if not data:
                return None
            self._connection.receive_data(data)
            for event in self._connection.events():
                if isinstance(event, Ping):
                    self._send(event.response())
                else:
                    self._events.append(event)
        return self._events.pop(0)


@dataclass
class Agent:
    """A running agent. `codes` are the pairing codes that its terminal showed, `said` all of its lines."""

    port: int
    folder: Path
    codes: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)
    said: list[str] = field(default_factory=list)
    token: str = ""

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def page(self, origin: str | None = ORIGIN, token: str | None = None, **headers: str) -> httpx.Client:
        """A client that sends what a page of `origin` would."""
        given = self.token if token is None else token
        sent = headers | ({} if origin is None else {"Origin": origin})
        if given:
            sent["Authorization"] = f"Bearer {given}"
        return httpx.Client(base_url=self.base, headers=sent, timeout=30, trust_env=False, verify=NO_TLS)

    def code(self) -> str:
        """The code that the terminal shows now."""
        shown = self.codes.get(timeout=_SECONDS)
        with contextlib.suppress(queue.Empty):
            while True:
                shown = self.codes.get_nowait()
        return shown

    def pair(self) -> str:
        with self.page() as page:
            answer = page.post("/pairing", json={"code": self.code()})
        assert answer.status_code == 201, answer.text
        self.token = answer.json()["token"]
        return self.token

    def socket(
        self, origin: str | None = ORIGIN, token: str | None = None, host: str | None = None, **headers: str
    ) -> Socket:
        """Raises `Refused`."""
        given = self.token if token is None else token
        protocols = ["ecard-desk.1", *([f"ecard-token.{given}"] if given else [])]
        sent = list(headers.items()) + ([] if origin is None else [("Origin", origin)])
        return Socket(self.port, sent, protocols, host or f"127.0.0.1:{self.port}")

    def hear(self, line: str) -> None:
        """A line of the agent's terminal."""
        self.said.append(line.rstrip())
        if found := re.search(r"Pairing code: (\S+)", line):
            self.codes.put(found[1])


@dataclass
class RunningAgent(Agent):
    """An agent that is a process of its own."""

    process: subprocess.Popen[str] = field(kw_only=True)


def _listen(process: subprocess.Popen[str], agent: Agent) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        agent.hear(line)


@contextlib.contextmanager
def running(
    folder: Path, environment: dict[str, str], *, origin: str = ORIGIN, port: int = 0
) -> Iterator[RunningAgent]:
    """`ecard desk` with its state in `folder`, stopped by its pid."""
    command = [sys.executable, "-m", "ecard_sdk.cli", "desk", "--json", "--port", str(port), "--origin", origin]
    process = subprocess.Popen(
        [*command, "--data-dir", str(folder)],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, process.stderr and process.stderr.read()
        agent = RunningAgent(int(json.loads(line)["agent"].rpartition(":")[2]), folder, process=process)
        threading.Thread(target=_listen, args=(process, agent), daemon=True).start()
        yield agent
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        process.stdout.close()
        if process.stderr is not None:
            process.stderr.close()
