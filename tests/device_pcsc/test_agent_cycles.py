"""The agent over hundreds of cards: each put in, announced, read, pulled, announced; never one for another."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ecard_issuer.chip.simulator import (
    ChipAuthority,
    VirtualChip,
    first_generation,
    piv_style,
    synthetic,
    third_generation,
)
from ecard_issuer.chip.vpcd import VpcdLink
from tests.device_pcsc import daemon as private
from tests.device_pcsc.agent_kit import Agent, RunningAgent, running
from tests.device_pcsc.conftest import needs_pcsc

pytestmark = pytest.mark.pcsc
#: A cycle takes two looks of pcscd (400 ms each) and some ten milliseconds of work: so many slots wait side by side.
DAEMONS, CYCLES = 6, 26
NOW = datetime.now(UTC)


@contextlib.contextmanager
def _desks(count: int) -> Iterator[list[tuple[private.Daemon, RunningAgent]]]:
    library = needs_pcsc()
    with contextlib.ExitStack() as stack:
        desks = []
        for _ in range(count):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ecard-pcsc-")))
            daemon = stack.enter_context(private.running(folder, library))
            desks.append((daemon, stack.enter_context(running(folder / "state", daemon.environment))))
        for _, agent in desks:
            agent.pair()
        yield desks


def _chip(number: int, authority: ChipAuthority) -> VirtualChip:
    data = synthetic(number)
    match number % 3:
        case 0:
            return first_generation(data=data)
        case 1:
            return third_generation(data=data)
    return piv_style(now=NOW, authority=authority, data=data)


def test_three_hundred_cards_are_announced_read_and_taken_back() -> None:
    """Every card is read as itself in the reader it is in, in a bounded time, and its removal is told."""
    authority = ChipAuthority.create(NOW)
    waits: list[float] = []
    done = threading.Semaphore(0)

    def work(daemon: private.Daemon, agent: Agent, slot: private.Slot, first: int) -> None:
        with agent.page() as page, agent.socket() as events:
            for number in range(first, first + CYCLES):
                chip = _chip(number, authority)
                begun = time.monotonic()
                with VpcdLink(chip, port=slot.port):
                    events.wait("inserted", slot.reader)
                    waits.append(time.monotonic() - begun)
                    answer = page.post("/card/read", json={"reader": slot.reader})
                    assert answer.status_code == 200, answer.text
                    assert answer.json()["identification_code"] == synthetic(number).identification_code
                events.wait("removed", slot.reader)
                done.release()
            gone = page.post("/card/read", json={"reader": slot.reader})
            assert (gone.status_code, gone.json()["code"]) == (422, "chip_removed")

    with _desks(DAEMONS) as desks, ThreadPoolExecutor(2 * DAEMONS) as pool:
        jobs = [
            pool.submit(work, daemon, agent, slot, CYCLES * (2 * index + place))
            for index, (daemon, agent) in enumerate(desks)
            for place, slot in enumerate(daemon.slots)
        ]
        for job in jobs:
            job.result(300)
        assert all(agent.process.poll() is None for _, agent in desks)
        threads = [len(os.listdir(f"/proc/{agent.process.pid}/task")) for _, agent in desks]
    assert len(waits) == 2 * DAEMONS * CYCLES >= 300
    assert max(waits) < 15, f"slowest insertion {max(waits):.2f} s"
    assert max(threads) < 30, "a thread is left behind by no card"
