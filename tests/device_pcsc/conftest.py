"""Fixtures: a private daemon and a desk process for each test, and chips put into its readers."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ecard_issuer.chip.simulator import VirtualChip
from ecard_issuer.chip.vpcd import VpcdLink
from tests.device_pcsc import daemon as private
from tests.require import require

_REPOSITORY = Path(__file__).parents[2]


class DeskError(Exception):
    """The desk refused or failed; `name` is our error code, or the class name of pyscard's exception."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Desk:
    """A process that talks PC/SC to the test daemon."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.device_pcsc.desk"],
            cwd=_REPOSITORY,
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def ask(self, do: str, seconds: float = 30.0, **arguments: object) -> Any:
        """The operation's result; raises `DeskError`, or TimeoutError after `seconds`."""
        self.begin(do, **arguments)
        return self.result(seconds)

    def begin(self, do: str, **arguments: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        self._process.stdin.flush()

    def result(self, seconds: float = 30.0) -> Any:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        if not ready:
            raise TimeoutError("the desk does not answer")
        reply = json.loads(self._process.stdout.readline())
        if "error" in reply:
            raise DeskError(reply["error"])
        return reply["result"]

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._process.stdout.close()


def needs_pcsc() -> Path:
    """The virtual reader driver, where the whole stack is installed."""
    library = private.driver()
    require(Path(private.PCSCD).exists(), "pcscd", "apt-get install pcscd")
    require(library is not None, "the virtual reader driver vpcd", "apt-get install vsmartcard-vpcd")
    require(importlib.util.find_spec("smartcard") is not None, "pyscard", "pip install 'ecard[reader]'")
    assert library is not None
    return library


@pytest.fixture
def pcsc() -> Iterator[private.Daemon]:
    """A pcscd of our own, with two empty virtual readers; it starts in 30 ms.

    Each test has its own: pcscd looks for cards every 400 ms, and a card that is swapped between two looks after a
    failed power-down stays unseen until it is pulled.
    """
    library = needs_pcsc()
    with (
        tempfile.TemporaryDirectory(prefix="ecard-pcsc-", ignore_cleanup_errors=True) as folder,
        private.running(Path(folder), library) as daemon,
    ):
        yield daemon


@pytest.fixture
def slot(pcsc: private.Daemon) -> private.Slot:
    return pcsc.slots[0]


@pytest.fixture
def insert(slot: private.Slot) -> Iterator[Callable[[VirtualChip], VpcdLink]]:
    """Put a chip into the first reader; it is pulled when the test ends."""
    with contextlib.ExitStack() as links:
        yield lambda chip: links.enter_context(VpcdLink(chip, port=slot.port))


@pytest.fixture
def desk(pcsc: private.Daemon, insert: Callable[[VirtualChip], VpcdLink]) -> Iterator[Desk]:
    """Closed before the card is pulled: connections are released before the stack goes."""
    opened = Desk(pcsc.environment)
    yield opened
    opened.close()
