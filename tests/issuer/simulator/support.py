"""Talking to a simulated chip in hex, and one deterministic source of challenges."""

from __future__ import annotations

from collections.abc import Callable

from ecard_issuer.chip.simulator import SimulatedChip, VirtualChip

SELECT_SSSE = "00A404000F7378312E73682EC9E7BBE1B1A3D5CF"
SELECT_PIV = "00A4040005A000000308"


def send(chip: VirtualChip, command: str) -> str:
    """One APDU in hex (blanks allowed), the answer with its status word in upper-case hex."""
    return chip.transceive(bytes.fromhex(command)).hex().upper()


def fetch(chip: VirtualChip, command: str) -> str:
    """`send`, then GET RESPONSE for as long as the chip announces more."""
    answer = send(chip, command)
    data, status = answer[:-4], answer[-4:]
    while status.startswith("61"):
        answer = send(chip, f"00C00000{status[2:]}")
        data, status = data + answer[:-4], answer[-4:]
    return data + status


def powered(chip: SimulatedChip) -> SimulatedChip:
    """The chip, powered and with SSSE selected."""
    chip.power_on()
    assert fetch(chip, SELECT_SSSE).endswith("9000")
    return chip


def counting() -> Callable[[int], bytes]:
    """Bytes 00, 01, 02 … in a row: a source of challenges that a test can foretell."""
    position = 0

    def take(size: int) -> bytes:
        nonlocal position
        taken = bytes((position + offset) & 0xFF for offset in range(size))
        position += size
        return taken

    return take
