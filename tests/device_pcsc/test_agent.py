"""The agent at a desk where things go wrong: mute and pulled cards, two readers, a service that dies, foreign chips."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ecard_card.card import ChipAssurance
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.chip.simulator import Cue, FaultyChip, VirtualChip, first_generation, synthetic
from ecard_issuer.chip.simulator.faults import mute, removal
from ecard_issuer.chip.vpcd import VpcdLink
from tests.device_pcsc import daemon as private
from tests.device_pcsc.agent_kit import Agent, Socket, running
from tests.device_pcsc.conftest import needs_pcsc
from tests.device_pcsc.jcecard_chip import JcecardChip
from tests.issuer.chip.support import NOW, challenge
from tests.issuer.chip.support import Desk as Province
from tests.require import require

pytestmark = pytest.mark.pcsc
DATA = synthetic(77)


@pytest.fixture(scope="module")
def stack() -> Iterator[tuple[private.Daemon, Agent]]:
    """One service and one paired agent for the module: each test leaves both readers empty."""
    library = needs_pcsc()
    with tempfile.TemporaryDirectory(prefix="ecard-pcsc-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        with (
            private.running(place, library) as daemon,
            running(place / "state", daemon.environment) as agent,
        ):
            agent.pair()
            yield daemon, agent


@pytest.fixture
def agent(stack: tuple[private.Daemon, Agent]) -> Agent:
    return stack[1]


@pytest.fixture
def slots(stack: tuple[private.Daemon, Agent]) -> tuple[private.Slot, private.Slot]:
    return stack[0].slots


@pytest.fixture
def page(agent: Agent) -> Iterator[httpx.Client]:
    with agent.page() as client:
        yield client


@contextlib.contextmanager
def card_in(agent: Agent, slot: private.Slot, chip: VirtualChip) -> Iterator[VpcdLink]:
    """The chip is in and was announced; afterwards it is out and that was announced."""
    with agent.socket() as events:
        with VpcdLink(chip, port=slot.port) as link:
            events.wait("inserted", slot.reader)
            yield link
        events.wait("removed", slot.reader)


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def prove(page: httpx.Client, slot: private.Slot, digest: bytes) -> dict[str, Any]:
    answer = page.post("/card/prove", json={"reader": slot.reader, "challenge": digest.hex()})
    assert answer.status_code == 200, answer.text
    answered: dict[str, Any] = answer.json()
    return answered


def judged(province: Province, answered: dict[str, Any], asked: Any) -> ChipAssurance:
    text = httpx.Request("POST", "http://x", json=answered["evidence"]).content
    return province.judge(Evidence.from_json(text), asked).assurance


@pytest.mark.parametrize("kind", ["first", "third", "piv"])
def test_each_card_answers_the_servers_challenge(
    kind: str, agent: Agent, slots: tuple[private.Slot, private.Slot], page: httpx.Client
) -> None:
    """What the page hands to the server proves the chip, and carries nothing of the holder."""
    province, asked = Province(), challenge()
    with card_in(agent, slots[0], getattr(province, kind)(DATA)):
        answered = prove(page, slots[0], asked.digest())
    expected = ChipAssurance.SIGNATURE if kind == "piv" else ChipAssurance.CHALLENGE
    assert judged(province, answered, asked) is expected
    assert "holder_records" not in answered["evidence"]["reading"]
    assert answered["card"]["identification_code"] == DATA.identification_code


@pytest.mark.filterwarnings("ignore:TripleDES has been moved")  # inside jcecard
def test_a_chip_made_by_others_signs_through_the_agent(
    agent: Agent, slots: tuple[private.Slot, private.Slot], page: httpx.Client, tmp_path: Path
) -> None:
    """jcecard's key, our test authority's certificate, a page in between."""
    require(importlib.util.find_spec("jcecard") is not None, "jcecard", "pip install jcecard")
    province, asked, chip = Province(), challenge(), JcecardChip(tmp_path)
    chip.personalise(province.authority, DATA.identification_code, NOW)
    with card_in(agent, slots[1], chip):
        answered = prove(page, slots[1], asked.digest())
    assert judged(province, answered, asked) is ChipAssurance.SIGNATURE
    assert answered["card"]["signs"] is True
    assert answered["card"]["holder"] is None


def test_two_readers_keep_their_cards_apart_and_one_must_be_chosen(
    agent: Agent, slots: tuple[private.Slot, private.Slot], page: httpx.Client
) -> None:
    """By name each gives its own card; without a name two cards are one too many."""
    one, two = synthetic(1), synthetic(2)
    with card_in(agent, slots[0], first_generation(data=one)), card_in(agent, slots[1], first_generation(data=two)):
        for slot, data in zip(slots, (one, two), strict=True):
            read = page.post("/card/read", json={"reader": slot.reader}).json()
            assert read["identification_code"] == data.identification_code
        assert code_of(page.post("/card/read", json={})) == (400, "desk_reader_choice")
        listed = page.get("/readers").json()
        assert [reader["card"] for reader in listed["readers"]] == ["present", "present"]
    assert code_of(page.post("/card/read", json={"reader": "none"})) == (422, "reader_missing")
    assert code_of(page.post("/card/read", json={})) == (422, "chip_removed")


def test_a_mute_card_is_said_within_a_bound_and_the_other_reader_goes_on(
    agent: Agent, slots: tuple[private.Slot, private.Slot], page: httpx.Client
) -> None:
    """The first command without an answer ends the act; asked again it is said at once; the next card is read."""
    with card_in(agent, slots[0], FaultyChip(first_generation(data=DATA), mute, Cue(ins=0xB2))):
        begun = time.monotonic()
        assert code_of(page.post("/card/read", json={"reader": slots[0].reader})) == (422, "chip_mute")
        assert time.monotonic() - begun < 10
        begun = time.monotonic()
        assert code_of(page.post("/card/read", json={"reader": slots[0].reader})) == (422, "chip_mute")
        assert time.monotonic() - begun < 1
        with card_in(agent, slots[1], first_generation(data=synthetic(5))):
            assert page.post("/card/read", json={"reader": slots[1].reader}).status_code == 200
    with card_in(agent, slots[0], first_generation(data=DATA)):
        read = page.post("/card/read", json={"reader": slots[0].reader})
        assert read.json()["identification_code"] == DATA.identification_code


def test_a_card_pulled_in_mid_command_is_said_and_the_next_one_is_read(
    agent: Agent, slots: tuple[private.Slot, private.Slot], page: httpx.Client
) -> None:
    with card_in(agent, slots[0], FaultyChip(first_generation(), removal, Cue(ins=0xB2, nth=3))):
        assert code_of(page.post("/card/read", json={})) == (422, "chip_removed")
    with card_in(agent, slots[0], first_generation(data=DATA)):
        assert page.post("/card/read", json={}).json()["identification_code"] == DATA.identification_code


def _change(page: httpx.Client, code: str, old: str, new: str) -> httpx.Response:
    return page.post("/card/pin", json={"identification_code": code, "old_pin": old, "new_pin": new})


def test_the_chips_own_pin_is_changed_once_and_a_wrong_one_burns_one_try(
    agent: Agent, slots: tuple[private.Slot, private.Slot], page: httpx.Client
) -> None:
    """A page alone cannot lock a card: after a wrong PIN the card has to be pulled."""
    chip = first_generation(data=DATA)
    code = DATA.identification_code
    with card_in(agent, slots[0], chip):
        assert _change(page, code, "123456", "846207").json() == {"outcome": "changed", "tries_left": None}
        wrong = _change(page, code, "123456", "111222").json()
        assert wrong["outcome"] == "wrong"
        assert code_of(_change(page, code, "846207", "111222")) == (409, "desk_reinsert_card")
    with card_in(agent, slots[0], chip):
        assert code_of(_change(page, synthetic(8).identification_code, "846207", "1")) == (400, "secret_not_six_digits")
        assert code_of(_change(page, synthetic(8).identification_code, "846207", "111222")) == (409, "desk_other_card")
        assert _change(page, code, "846207", "111222").json()["outcome"] == "changed"
    with card_in(agent, slots[0], Province().piv(DATA, with_files=False)):
        assert code_of(_change(page, code, "846207", "111222")) == (422, "chip_unknown")


def test_a_service_that_dies_and_comes_back_is_told_and_found_again() -> None:
    """The card that was in is gone for the page; readers and cards are there again without anybody's help."""
    library = needs_pcsc()
    with tempfile.TemporaryDirectory(prefix="ecard-pcsc-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        with contextlib.ExitStack() as stack:
            daemon = stack.enter_context(private.running(place, library))
            agent = stack.enter_context(running(place / "state", daemon.environment))
            agent.pair()
            page, events = stack.enter_context(agent.page()), stack.enter_context(agent.socket())
            slot = daemon.slots[0]
            with VpcdLink(first_generation(data=DATA), port=slot.port):
                events.wait("inserted", slot.reader)
                os.kill(daemon.pid, signal.SIGKILL)
                for event, reader in (("removed", slot.reader), ("reader_gone", slot.reader), ("service_gone", "")):
                    events.wait(event, reader)
            assert page.get("/readers").json() == {"service": "stopped", "readers": []}
            assert code_of(page.post("/card/read", json={})) == (422, "reader_unavailable")
            with private.running(place, library, slot.port):
                events.wait("service_back", "")
                events.wait("reader_added", slot.reader)
                with VpcdLink(first_generation(data=DATA), port=slot.port):
                    events.wait("inserted", slot.reader)
                    assert page.post("/card/read", json={}).status_code == 200


def test_a_service_that_hangs_is_said_and_found_again(stack: tuple[private.Daemon, Agent], page: httpx.Client) -> None:
    """Stopped in its tracks: the act under way ends in its time, the next ones at once, and then all goes on."""
    daemon, agent = stack
    slot = daemon.slots[0]
    with card_in(agent, slot, first_generation(data=DATA)):
        os.kill(daemon.pid, signal.SIGSTOP)
        try:
            begun = time.monotonic()
            assert page.post("/card/read", json={}).json()["code"] in ("chip_mute", "reader_unavailable")
            assert time.monotonic() - begun < 10
            private.wait_for(lambda: page.get("/readers").json()["service"] == "stuck", "it is said")
            begun = time.monotonic()
            assert code_of(page.post("/card/read", json={})) == (422, "reader_unavailable")
            assert time.monotonic() - begun < 2
        finally:
            os.kill(daemon.pid, signal.SIGCONT)
        private.wait_for(lambda: page.get("/readers").json()["service"] == "running", "it goes on")
    with card_in(agent, slot, first_generation(data=DATA)):
        assert page.post("/card/read", json={}).status_code == 200


def test_the_terminal_reads_masked_and_watches(stack: tuple[private.Daemon, Agent]) -> None:
    """`ecard read`: numbers and names covered unless asked for, one exit status for each kind of failure."""
    daemon, _ = stack
    slot = daemon.slots[0]
    with contextlib.ExitStack() as opened:
        events: Socket = opened.enter_context(stack[1].socket())
        assert read(daemon).exit == (1, "chip_removed")
        assert read(daemon, "--reader", "none").exit == (5, "reader_missing")
        with VpcdLink(first_generation(data=DATA), port=slot.port):
            events.wait("inserted", slot.reader)
            masked, shown = read(daemon, "--json"), read(daemon, "--json", "--show")
            plain = read(daemon)
        events.wait("removed", slot.reader)
    assert masked.exit == (0, "")
    for secret in (DATA.identification_code, DATA.card_number, DATA.id_number, DATA.name):
        assert secret in shown.out
        assert secret not in masked.out
        assert secret not in plain.out
    elsewhere = private.Daemon(Path("/nonexistent/pcscd.comm"), daemon.slots, 0, daemon.log)
    assert read(elsewhere, "--readers").exit == (3, "reader_unavailable")


def test_the_terminal_tells_of_each_card_until_it_is_interrupted(stack: tuple[private.Daemon, Agent]) -> None:
    """`ecard read --watch --json`: one line an event, masked; a faulty card does not end it."""
    daemon, _ = stack
    command = [sys.executable, "-m", "ecard_sdk.cli", "read", "--watch", "--json"]
    watching = subprocess.Popen(command, env=os.environ | daemon.environment, stdout=subprocess.PIPE, text=True)
    assert watching.stdout is not None
    lines = watching.stdout

    def until(event: str) -> dict[str, Any]:
        while True:
            told: dict[str, Any] = json.loads(lines.readline())
            if told["event"] == event:
                return told

    try:
        until("reader_added")
        with VpcdLink(FaultyChip(first_generation(), removal, Cue(ins=0xB2)), port=daemon.slots[0].port):
            assert until("inserted")["error"] == "chip_removed"
            until("removed")
        with VpcdLink(first_generation(data=DATA), port=daemon.slots[0].port):
            card = until("inserted")["card"]
        assert card["card_number"] == "*****" + DATA.card_number[-4:]
        until("removed")
        watching.send_signal(signal.SIGINT)
        assert watching.wait(15) == 0
    finally:
        watching.kill()
        watching.wait(10)
        lines.close()


class _Ended:
    def __init__(self, daemon: private.Daemon, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "ecard_sdk.cli", "read", *arguments],
            env=os.environ | daemon.environment | {"LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.out = done.stdout
        said = done.stderr.partition("ecard: ")[2].partition(":")[0]
        self.exit = (done.returncode, said)


read: Callable[..., _Ended] = _Ended
