"""The two services of the story, as two real processes on this machine: one issues, the other only hears its feed."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

import httpx2
from cryptography.hazmat.primitives.serialization import Encoding

from ecard_card.errors import Unavailable
from ecard_issuer.assembly import build
from ecard_issuer.chip.simulator import ChipAuthority
from ecard_issuer.config import load
from ecard_keys.trust.root import TrustRoot, root_to_json
from ecard_verifier.callers import Role

#: The one verifier hears of every list at once; a real one that works offline keeps a list for a day.
CACHE_SECONDS: Final = 1
REGION: Final = "000000"  # where no card was ever issued
_HOST: Final = "127.0.0.1"
_START: Final = 30.0  # seconds
_STOP: Final = 5.0
_TICK: Final = 0.02
_Seen = TypeVar("_Seen")


@dataclass(frozen=True, slots=True)
class Services:
    """Where the two services are, and what their callers need. The tokens are never shown."""

    issuer_url: str
    verifier_url: str
    root: TrustRoot
    verifier_data: Path
    operator_token: str = field(repr=False)
    second_operator_token: str = field(repr=False)
    counter_token: str = field(repr=False)


@contextmanager
def running(folder: Path, authority: ChipAuthority, now: datetime) -> Iterator[Services]:
    """Both services on free ports, with all they keep in `folder`; they end with the block, however it is left.

    Raises `Unavailable` `demo_service_failed` where one does not become ready.
    """
    issuer_port, verifier_port = _free_ports(2)
    issuer_url, verifier_url = f"http://{_HOST}:{issuer_port}", f"http://{_HOST}:{verifier_port}"
    anchors = _write(folder / "chip-authority.pem", authority.certificate.public_bytes(Encoding.PEM))
    issuer = {
        "ECARD_DATA_DIR": str(folder / "issuer"),
        "ECARD_HOST": _HOST,
        "ECARD_PORT": str(issuer_port),
        "ECARD_PUBLIC_ORIGIN": issuer_url,
        "ECARD_REGIONS": REGION,
        "ECARD_ALLOW_TEST_CHIPS": "true",
        "ECARD_CHIP_ANCHORS": str(anchors),
        "ECARD_VERIFIER_CACHE_SECONDS": str(CACHE_SECONDS),
    }
    root, operator, keeper, counter, follower = _found_authority(issuer, now)
    callers = [{"name": "counter 7", "role": "counter", "sha256": hashlib.sha256(counter.encode()).hexdigest()}]
    verifier = {
        "ECARD_VERIFIER_DATA": str(folder / "verifier"),
        "ECARD_VERIFIER_HOST": _HOST,
        "ECARD_VERIFIER_PORT": str(verifier_port),
        "ECARD_VERIFIER_ISSUER_URL": issuer_url,
        "ECARD_VERIFIER_FEED_TOKEN_FILE": str(_write(folder / "feed-token", follower.encode())),
        "ECARD_VERIFIER_TRUST_ROOT": str(_write(folder / "root.json", json.dumps(root_to_json(root)).encode())),
        "ECARD_VERIFIER_TOKENS": str(
            _write(folder / "callers.json", json.dumps({"format": "ecard-tokens/1", "tokens": callers}).encode())
        ),
    }
    with _process("issuer", issuer, folder) as first, _process("verifier", verifier, folder) as second:
        _ready(first, f"{issuer_url}/.well-known/ecard-trust-list", folder / "issuer.log")
        _ready(second, f"{verifier_url}/health/ready", folder / "verifier.log")
        yield Services(issuer_url, verifier_url, root, folder / "verifier", operator, keeper, counter)


def until(probe: Callable[[], _Seen], good: Callable[[_Seen], bool], seconds: float = 5.0) -> _Seen:
    """Ask again and again until the answer is good or the time is over; the last answer either way."""
    end = time.monotonic() + seconds
    while True:
        seen = probe()
        if good(seen) or time.monotonic() > end:
            return seen
        time.sleep(_TICK / 4)


def _found_authority(environment: Mapping[str, str], now: datetime) -> tuple[TrustRoot, str, str, str, str]:
    """First start, done here: keys, root, and a token each for the desk, a second operator, without whom nobody
    changes a key, the counter and the verifier's feed."""
    with _only(environment):
        issuer = build(load())
    try:
        desk = issuer.operators
        operator = desk.add("desk", Role.OPERATOR, now)
        keeper = desk.add("key keeper", Role.OPERATOR, now)
        counter = desk.add("counter 7", Role.COUNTER, now)
        follower = desk.add("verifier", Role.VERIFIER, now)
        return issuer.keys.root(), operator.token, keeper.token, counter.token, follower.token
    finally:
        issuer.close()


@contextmanager
def _only(environment: Mapping[str, str]) -> Iterator[None]:
    """These settings and none that the caller's shell may have: the demo never touches a real authority."""
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("ECARD_")}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name in environment:
            del os.environ[name]
        os.environ.update(kept)


@contextmanager
def _process(service: str, environment: Mapping[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`ecard serve SERVICE` in a session of its own, so that Ctrl-C reaches us and we end it in order."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ECARD_")}
    with (folder / f"{service}.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "ecard_sdk.cli", "serve", service],
            env={**inherited, **environment},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    def answers() -> bool:
        if process.poll() is not None:
            raise Unavailable("demo_service_failed", f"a service ended at once; it said: {_last_words(log)}")
        try:
            return http.get(url).status_code == 200
        except httpx2.HTTPError:
            return False

    with httpx2.Client(timeout=2, trust_env=False) as http:
        if not until(answers, bool, _START):
            raise Unavailable("demo_service_failed", f"a service does not answer; it said: {_last_words(log)}")


def _last_words(log: Path) -> str:
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip() and "ecop_" not in line]
    return " | ".join(lines[-3:])[:600]


def _write(path: Path, content: bytes) -> Path:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    return path


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind((_HOST, 0))
        return [int(item.getsockname()[1]) for item in sockets]
    finally:
        for item in sockets:
            item.close()
