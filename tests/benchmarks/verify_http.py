"""`POST /v1/verifications` over HTTP: fresh codes, each judged, used up and answered, by one `ecard serve verifier`.

Against a bare FastAPI endpoint that gets the same bodies and answers as many bytes. Every answer is looked at.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx2

from ecard_issuer.cli.connections import listening
from ecard_keys.trust.root import root_to_json
from ecard_sdk.device import DeviceKey
from ecard_verifier.feed import CredentialIssued
from tests.benchmarks.measure import row
from tests.benchmarks.processor import spent
from tests.verifier.feed_kit import beat, signed, wait_for
from tests.verifier.http_kit import FeedServer, running
from tests.world import ISSUER, World

#: Verifications that are measured, before that made to warm up, and asked at once; turns, of which the best counts.
COUNT, WARM, AT_ONCE, TURNS = 1500, 300, 16, 3
_TOKEN = "bench-token"


def run() -> list[dict[str, object]]:
    """Rows for whole codes (`EC1:`, two signatures) and short ones (`EC0:`): per second, p99, processor per one."""
    with tempfile.TemporaryDirectory() as name, _verifier(Path(name)) as server:
        rows = []
        for form, name in (("EC1", "verify_http"), ("EC0", "verify_http_short")):
            make = server.phone.whole if form == "EC1" else server.phone.short
            turns = []
            size = _load(server.port, make(WARM), server.pid).size
            with _bare(size) as (port, pid):
                _load(port, make(WARM), pid, bare=True)
                for _ in range(TURNS):
                    turns.append(
                        (_load(server.port, make(COUNT), server.pid), _load(port, make(COUNT), pid, bare=True))
                    )
            ours = max((turn[0] for turn in turns), key=lambda one: one.rate)
            bare = max((turn[1] for turn in turns), key=lambda one: one.rate)
            peer = f"bare FastAPI, {size} bytes: "
            rows += [
                row(name, ours.rate, "1/s", f"{peer}{bare.rate:.0f}/s", ours.rate / bare.rate),
                row(f"{name}_p99", ours.p99, "ms", f"{peer}{bare.p99:.1f} ms", ours.p99 / bare.p99),
                row(f"{name}_cpu", ours.spent, "ms", f"{peer}{bare.spent:.2f} ms", ours.spent / bare.spent),
            ]
        return rows


def run_memory() -> list[dict[str, object]]:
    """MiB that the verifier has resident after `COUNT` verifications; `ratio` is that over a bare endpoint's."""
    with tempfile.TemporaryDirectory() as name, _verifier(Path(name)) as server:
        size = _load(server.port, server.phone.whole(COUNT), server.pid).size
        with _bare(size) as (port, pid):
            _load(port, server.phone.whole(WARM), pid, bare=True)
            ours, bare = _resident(server.pid), _resident(pid)
    return [row("verifier_memory", ours, "MiB", f"bare FastAPI: {bare:.0f} MiB", ours / bare)]


def _resident(pid: int) -> float:
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


@dataclass(frozen=True)
class Phone:
    """The device whose codes are shown."""

    device: DeviceKey
    credential: bytes

    def whole(self, count: int) -> list[str]:
        now = datetime.now(UTC)
        return [self.device.offline_code(self.credential, now) for _ in range(count)]

    def short(self, count: int) -> list[str]:
        now = datetime.now(UTC)
        return [self.device.online_code(self.credential, now) for _ in range(count)]


@dataclass(frozen=True)
class Server:
    """A verifier that has caught up with its issuer's feed."""

    port: int
    pid: int
    phone: Phone


@contextmanager
def _verifier(folder: Path) -> Iterator[Server]:
    """`ecard serve verifier` behind a feed that goes on beating."""
    world, device = World(now=datetime.now(UTC).replace(microsecond=0)), DeviceKey.generate()
    phone = Phone(device, world.compact(world.credential(device)))
    issuer = FeedServer(world.trust_document())
    issuer.store(1, signed(world, CredentialIssued(phone.credential), 1))
    tokens = [{"name": "bench", "role": "counter", "sha256": hashlib.sha256(_TOKEN.encode()).hexdigest()}]
    (folder / "tokens.json").write_text(json.dumps({"format": "ecard-tokens/1", "tokens": tokens}))
    (folder / "root.json").write_text(json.dumps(root_to_json(world.root)))
    (folder / "feed-token").write_text("secret")
    with listening("127.0.0.1", 0) as listener:
        port = int(listener.getsockname()[1])
    with running(issuer.app) as url:
        settings = {
            "DATA": folder / "data",
            "PORT": port,
            "ISSUER_URL": url,
            "ISSUER": ISSUER,
            "TOKENS": folder / "tokens.json",
            "TRUST_ROOT": folder / "root.json",
            "FEED_TOKEN_FILE": folder / "feed-token",
        }
        environment = os.environ | {f"ECARD_VERIFIER_{key}": str(value) for key, value in settings.items()}
        command = [sys.executable, "-m", "ecard_sdk.cli", "serve", "verifier"]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        try:
            with _beating(lambda: issuer.say(beat(world, 1, datetime.now(UTC)))):
                wait_for(lambda: _ready(port), 60)
                yield Server(port, process.pid, phone)
        finally:
            process.terminate()
            process.wait(20)


@contextmanager
def _beating(say: Callable[[], None]) -> Iterator[None]:
    over = threading.Event()

    def beats() -> None:
        while not over.wait(1):
            say()

    thread = threading.Thread(target=beats, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _ready(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/health/ready", trust_env=False).status_code == 200
    except httpx2.HTTPError:
        return False


@contextmanager
def _bare(size: int) -> Iterator[tuple[int, int]]:
    with listening("127.0.0.1", 0) as listener:
        descriptor = listener.fileno()
        command = [sys.executable, "-m", "tests.benchmarks.verify_server", str(descriptor), str(size)]
        process = subprocess.Popen(command, pass_fds=(descriptor,))
        try:
            yield int(listener.getsockname()[1]), process.pid
        finally:
            process.terminate()
            process.wait(20)


@dataclass(frozen=True)
class Outcome:
    """Verifications per second, the p99 of one and what one takes of the server's processor in milliseconds, and the
    bytes of an answer."""

    rate: float
    p99: float
    spent: float
    size: int


def _load(port: int, codes: Sequence[str], pid: int, *, bare: bool = False) -> Outcome:
    return asyncio.run(_loaded(port, [_request(code) for code in codes], pid, bare=bare))


def _request(code: str) -> bytes:
    body = json.dumps({"code": code, "counter": "counter 7"}).encode()
    head = "POST /v1/verifications HTTP/1.1\r\nHost: verifier.example\r\nContent-Type: application/json\r\n"
    return f"{head}Authorization: Bearer {_TOKEN}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def _loaded(port: int, requests: Sequence[bytes], pid: int, *, bare: bool) -> Outcome:
    took, answers, left = list[float](), list[bytes](), iter(requests)

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in left:
            started = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            at = head.lower().index(b"content-length:") + 15
            answers.append(await reader.readexactly(int(head[at : head.index(b"\r\n", at)])))
            took.append(time.perf_counter() - started)
        writer.close()

    before, started = spent((pid,)), time.perf_counter()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    seconds, after = time.perf_counter() - started, spent((pid,))
    if not bare:
        seen = [json.loads(answer) for answer in answers]
        if {(one["outcome"], one["reason"]) for one in seen} != {("valid", "ok")}:
            raise RuntimeError(f"not every good code is valid: {seen[-1]}")
        if len({one["verification_id"] for one in seen}) != len(requests):
            raise RuntimeError("two answers of one name")
    return Outcome(
        len(took) / seconds,
        sorted(took)[int(0.99 * len(took))] * 1000,
        1000 * (after - before) / len(took),
        len(answers[-1]),
    )
