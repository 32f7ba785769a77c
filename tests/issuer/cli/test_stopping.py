"""A server that is asked to stop before it listens to signals stops all the same."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from ecard_issuer.cli import serving
from ecard_issuer.cli.connections import listening

PATIENCE = 20.0  # seconds, after which the test asks again so that it ends


@pytest.fixture
def handlers() -> Iterator[None]:
    """Signals go where they went before, afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_that_comes_just_before_the_server_runs_is_obeyed(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, asked_again = serving._Server.run, threading.Event()

    def struck(server: serving._Server, **given: object) -> None:
        signal.raise_signal(number)
        run(server, **given)  # type: ignore[arg-type]

    def ask_again() -> None:
        asked_again.set()
        os.kill(os.getpid(), number)

    monkeypatch.setattr(serving._Server, "run", struck)
    watch = threading.Timer(PATIENCE, ask_again)
    watch.start()
    with listening("127.0.0.1", 0) as listener:
        serving.serve_until_stopped(FastAPI(), listener, before_exit=lambda: None)
    watch.cancel()
    assert not asked_again.is_set()
