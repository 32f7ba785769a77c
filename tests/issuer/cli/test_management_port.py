"""`ecard serve` with a management port: health and metrics beside the service, on this machine only, gone with it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.verifier.feed_kit import wait_for

DEADLINE = 60.0


def serve(folder: Path, talk: Path, **settings: str) -> subprocess.Popen[bytes]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ECARD_")}
    with talk.open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "ecard_sdk.cli", "serve", "issuer", "--port", "0", "--data-dir", str(folder)],
            env=kept | settings,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )


def seen(talk: Path, pattern: str, process: subprocess.Popen[bytes]) -> str:
    """What the process said, as soon as it said it."""
    wait_for(lambda: bool(re.search(pattern, talk.read_text())) or process.poll() is not None, DEADLINE)
    found = re.search(pattern, talk.read_text())
    assert found is not None, f"it said: {talk.read_text()[-500:]}"
    return found[1]


def test_the_management_port_answers_beside_the_service_and_ends_with_it(tmp_path: Path) -> None:
    talk = tmp_path / "talk"
    process = serve(tmp_path / "data", talk, ECARD_MANAGEMENT_PORT="0")
    try:
        watched = seen(talk, r"Health and metrics at (http://127\.0\.0\.1:\d+)/metrics", process)
        service = seen(talk, r"e-card issuer at (http://\S+)", process)
        wait_for(lambda: httpx2.get(f"{watched}/health/started").status_code == 200, DEADLINE)
        assert httpx2.get(f"{service}/health/live").status_code == 200
        assert httpx2.get(f"{watched}/health/ready").json() == {"ready": True}
        metrics = httpx2.get(f"{watched}/metrics")
        assert metrics.headers["content-type"].startswith("text/plain")
        assert f'ecard_register_up{{issuer="{service}"}} 1.0' in metrics.text
        assert httpx2.get(f"{watched}/v1/keys").status_code == 404, "nothing of the service is there"
        assert httpx2.get(f"{service}/metrics").status_code == 404, "and nothing of it at the service"
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(20)
    assert status == 0
    with pytest.raises(httpx2.HTTPError):
        httpx2.get(f"{watched}/health/live", timeout=2)


def test_a_management_port_that_is_taken_stops_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        talk = tmp_path / "talk"
        process = serve(tmp_path / "data", talk, ECARD_MANAGEMENT_PORT=str(port))
        assert process.wait(DEADLINE) == 3
    assert "port_unavailable" in talk.read_text()
