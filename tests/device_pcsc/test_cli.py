"""`ecard chip` over the real stack: simulate in one process, list and read in another."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.chip.simulator import synthetic
from tests.device_pcsc.daemon import Daemon, wait_for

pytestmark = pytest.mark.pcsc
RUN = (
    "import argparse, sys; from ecard_issuer.cli import chip; from ecard_card.errors import EcardError\n"
    "p = argparse.ArgumentParser(); chip.register(p.add_subparsers()); o = p.parse_args()\n"
    "try: sys.exit(o.func(o))\n"
    "except EcardError as e: print(e.code, file=sys.stderr); sys.exit(9)"
)


def run(pcsc: Daemon, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", RUN, "chip", *arguments],
        check=False,
        env=os.environ | pcsc.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture(params=["test:ssse-1", "test:piv-p256"])
def simulated(request: pytest.FixtureRequest, pcsc: Daemon) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`ecard chip simulate` in the first reader; must end with 0 on SIGTERM."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "chip", "simulate", "--json", "--serial", "12",
         "--profile", request.param, "--port", str(pcsc.slots[0].port)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield request.param, process
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


def test_simulate_and_read(simulated: tuple[str, subprocess.Popen[str]], pcsc: Daemon) -> None:
    """The chip that one command simulates is the chip that the other reads; nothing of the holder unless asked."""
    profile, process = simulated
    assert process.stdout is not None
    facts = json.loads(process.stdout.readline())
    data = synthetic(12)
    assert (facts["profile"], facts["identification_code"]) == (profile, data.identification_code)
    assert ("BEGIN CERTIFICATE" in facts.get("authority", "")) is (profile == "test:piv-p256")

    reader = pcsc.slots[0].reader
    wait_for(lambda: run(pcsc, "read", "--reader", reader).returncode == 0, "the chip is noticed")
    shown = run(pcsc, "read")
    assert data.identification_code in shown.stdout
    assert profile in shown.stdout
    assert data.id_number not in shown.stdout
    document = run(pcsc, "read", "--json")
    evidence = Evidence.from_json(document.stdout)
    assert evidence.reading is not None
    assert evidence.reading.atr.hex().upper() == facts["atr"]
    assert evidence.reading.holder is None
    assert (data.name in run(pcsc, "read", "--holder").stdout) is (profile == "test:ssse-1")

    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_readers_are_listed(pcsc: Daemon) -> None:
    """One line each, or one JSON document."""
    names = [slot.reader for slot in pcsc.slots]
    assert run(pcsc, "readers").stdout.splitlines() == names
    assert json.loads(run(pcsc, "readers", "--json").stdout) == {"readers": names}


def test_faults_have_their_codes(pcsc: Daemon) -> None:
    """No chip, no such reader, no service, no driver, wrong usage."""
    empty = run(pcsc, "read")
    assert (empty.returncode, empty.stderr.strip(), empty.stdout) == (9, "chip_removed", "")
    assert run(pcsc, "read", "--reader", "none").stderr.strip() == "reader_missing"
    nowhere = Daemon(pcsc.socket_path.with_name("nobody"), pcsc.slots, 0, pcsc.log)
    assert run(nowhere, "readers").stderr.strip() == "reader_unavailable"
    assert run(pcsc, "simulate", "--port", "1").stderr.strip() == "vpcd_unreachable"
    assert run(pcsc, "simulate", "--profile", "real").returncode == 2
    assert run(pcsc, "simulate", "--port", "0").returncode == 2
