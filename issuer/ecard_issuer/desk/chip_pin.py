"""The PIN object on the chip itself: one PIN under the social security environment, with its own counter of tries.

The command and its packing are those of public readers (LD/T 32.5 CHANGE PIN, six digits in three bytes of BCD).
Nothing is ever repeated: each failure burns a try.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ecard_card.errors import ChipFault, InvalidInput
from ecard_issuer.chip import apdu
from ecard_issuer.chip.profiles import environment
from ecard_issuer.chip.read import select_environment
from ecard_issuer.chip.reader import ChipReader

_BLOCKED = 0x6983
_SEPARATOR = b"\xff"


class PinOutcome(StrEnum):
    CHANGED = "changed"
    WRONG = "wrong"
    LOCKED = "locked"


@dataclass(frozen=True, slots=True)
class PinChange:
    """`tries_left` is what the chip said, None where it said nothing."""

    outcome: PinOutcome
    tries_left: int | None = None


def change_command(old: str, new: str) -> bytes:
    """CHANGE PIN, `80 5E 01 00`. Raises `InvalidInput` `secret_not_six_digits`, `secret_unchanged`."""
    if not all(len(pin) == 6 and pin.isascii() and pin.isdigit() for pin in (old, new)):
        raise InvalidInput("secret_not_six_digits", "a PIN has six digits")
    if old == new:
        raise InvalidInput("secret_unchanged", "the new one is the old one")
    data = bytes.fromhex(old) + _SEPARATOR + bytes.fromhex(new)
    return apdu.Command(0x80, apdu.INS_CHANGE_PIN, 0x01, 0x00, data).encode()


def change_pin(reader: ChipReader, command: bytes) -> PinChange:
    """Send `command` once. Raises `ChipFault` `chip_unknown` for a chip without the environment, `chip_refused` with
    the status word, and what the reader raises."""
    if select_environment(reader, environment("ssse"), read_all=False) is None:
        raise ChipFault("chip_unknown", "the chip has no social security environment, and so no such PIN")
    answer = reader.transceive(command)
    if len(answer) != 2:
        raise ChipFault("chip_answer_malformed", "CHANGE PIN answers with a status word alone")
    status = int.from_bytes(answer, "big")
    if status == apdu.SUCCESS:
        return PinChange(PinOutcome.CHANGED)
    if status == _BLOCKED or status == 0x63C0:
        return PinChange(PinOutcome.LOCKED, 0)
    if status & 0xFFF0 == 0x63C0:
        return PinChange(PinOutcome.WRONG, status & 0x0F)
    raise ChipFault("chip_refused", f"CHANGE PIN was answered with status word {status:04X}")
