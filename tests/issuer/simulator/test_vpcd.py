"""The link to the virtual reader driver, against a driver played by the test: frames, controls, ends."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from ecard_card.errors import Unavailable
from ecard_issuer.chip.simulator import Cue, FaultyChip, VirtualChip, first_generation
from ecard_issuer.chip.simulator.faults import mute, removal
from ecard_issuer.chip.vpcd import VpcdLink

OFF, ON, RESET, ATR = b"\0", b"\1", b"\2", b"\4"
READ_VERSION, VERSION = bytes.fromhex("00B2032806"), bytes.fromhex("0304312E30309000")
SELECT_SSSE = bytes.fromhex("00A404000F7378312E73682EC9E7BBE1B1A3D5CF")


class Driver:
    """The other end: one listening slot."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(5)
        self.port: int = self._listener.getsockname()[1]
        self._wire = self._listener

    def accept(self) -> None:
        self._wire, _ = self._listener.accept()
        self._wire.settimeout(5)

    def send(self, *bodies: bytes) -> None:
        self._wire.sendall(b"".join(len(body).to_bytes(2, "big") + body for body in bodies))

    def receive(self) -> bytes:
        """One frame, which must have come in one piece; empty at the end of the stream."""
        data = self._wire.recv(70000)
        assert not data or len(data) == 2 + int.from_bytes(data[:2], "big")
        return data[2:]

    def quiet(self) -> bool:
        """Whether nothing comes for a while, and not even the end of the stream."""
        self._wire.settimeout(0.2)
        try:
            self._wire.recv(1)
        except TimeoutError:
            return True
        finally:
            self._wire.settimeout(5)
        return False

    def close(self) -> None:
        self._wire.close()
        self._listener.close()


@pytest.fixture
def driver() -> Iterator[Driver]:
    made = Driver()
    yield made
    made.close()


def start(driver: Driver, chip: VirtualChip) -> VpcdLink:
    link = VpcdLink(chip, port=driver.port)
    link.start()
    driver.accept()
    return link


def test_controls_and_apdus(driver: Driver) -> None:
    """The ATR and each APDU are answered with one frame in one piece; power and reset are obeyed in silence."""
    chip = first_generation(t0_answers=False)
    link = start(driver, chip)
    driver.send(ATR)
    assert driver.receive() == chip.atr
    driver.send(ON, SELECT_SSSE)
    assert driver.receive().endswith(b"\x90\0")
    driver.send(READ_VERSION)
    assert driver.receive() == VERSION
    driver.send(RESET, READ_VERSION)
    assert driver.receive().hex() == "6a82"  # the MF is current again
    driver.send(OFF, ON, ATR)
    assert driver.receive() == chip.atr
    link.stop()
    assert driver.receive() == b""


def test_a_frame_in_pieces_is_put_together(driver: Driver) -> None:
    """Length and body may come byte by byte."""
    link = start(driver, first_generation(t0_answers=False))
    driver.send(ON)
    for byte in len(SELECT_SSSE).to_bytes(2, "big") + SELECT_SSSE:
        driver._wire.sendall(bytes([byte]))
    assert driver.receive().endswith(b"\x90\0")
    link.stop()


def test_a_pulled_card_hangs_up(driver: Driver) -> None:
    """The driver sees the end of the stream instead of an answer; the link's thread ends."""
    link = start(driver, FaultyChip(first_generation(), removal, Cue(ins=0xB2)))
    driver.send(ON, READ_VERSION)
    assert driver.receive() == b""
    link.stop()
    assert not link.alive


def test_a_mute_card_says_nothing_until_reset(driver: Driver) -> None:
    """No answer, the link stays; the card answers after a reset."""
    chip = first_generation()
    link = start(driver, FaultyChip(chip, mute, Cue(ins=0xB2)))
    driver.send(ON, READ_VERSION)
    assert driver.quiet()
    driver.send(RESET, ATR)
    assert driver.receive() == chip.atr
    link.stop()


def test_stop_is_clean_at_any_time(driver: Driver) -> None:
    """Before the start, while waiting, twice, and after the driver hung up."""
    VpcdLink(first_generation(), port=driver.port).stop()
    with VpcdLink(first_generation(), port=driver.port) as link:
        driver.accept()
        alive_within = link.alive
    link.stop()
    assert (alive_within, link.alive) == (True, False)
    other = start(driver, first_generation())
    driver._wire.close()
    other.stop()
    assert not other.alive


def test_no_driver_is_a_clear_error() -> None:
    """Nobody listens: `vpcd_unreachable`."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable, match="vpcd_unreachable"):
            VpcdLink(first_generation(), port=taken.getsockname()[1]).start()
    with pytest.raises(Unavailable, match="vpcd_unreachable"):
        VpcdLink(first_generation()).serve()
