"""A chip that fails on cue: wraps any chip and spoils the answers that a cue picks out.

GET RESPONSE belongs to the command before it, so a cue on INTERNAL AUTHENTICATION also meets the bytes that come
after `61 08`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ecard_card.errors import ChipFault
from ecard_issuer.chip.simulator.chip import VirtualChip

_GET_RESPONSE = 0xC0


@dataclass(frozen=True, slots=True)
class Cue:
    """Which commands a fault meets: None matches any byte. From the `nth` match (1 = first) `times` in a row."""

    ins: int | None = None
    p1: int | None = None
    p2: int | None = None
    nth: int = 1
    times: int = 1 << 30

    def matches(self, header: bytes) -> bool:
        wanted = (self.ins, self.p1, self.p2)
        return len(header) >= 4 and all(
            want is None or want == byte for want, byte in zip(wanted, header[1:4], strict=True)
        )


#: Gets the honest answer of the chip, data ‖ SW1 SW2, and gives the one that is sent; or raises `ChipFault`.
Fault = Callable[[bytes], bytes]


def removal(_: bytes) -> bytes:
    """The card is pulled before its answer arrives."""
    raise ChipFault("chip_removed", "the chip was removed during a command")


def mute(_: bytes) -> bytes:
    """The card never answers."""
    raise ChipFault("chip_mute", "the chip does not answer")


def status(word: int) -> Fault:
    """No data, and this status word."""
    return lambda _: word.to_bytes(2, "big")


def truncated(size: int) -> Fault:
    """Only the first `size` data bytes, with the honest status word."""
    return lambda answer: answer[:-2][:size] + answer[-2:]


def longer_length(extra: int = 1) -> Fault:
    """The length byte of a one-byte-tag TLV says `extra` more than follows."""
    return lambda answer: answer if len(answer) < 4 else answer[:1] + bytes([min(answer[1] + extra, 0xFF)]) + answer[2:]


def wrong_tag(tag: int) -> Fault:
    """The answer's first byte, its tag, is another one."""
    return lambda answer: answer if len(answer) < 3 else bytes([tag]) + answer[1:]


def flipped(position: int = 0) -> Fault:
    """One bit of a data byte is wrong."""

    def flip(answer: bytes) -> bytes:
        if len(answer) < 3 + position:
            return answer
        return answer[:position] + bytes([answer[position] ^ 0x01]) + answer[position + 1 :]

    return flip


@dataclass(slots=True)
class Replay:
    """The answers of the first exchange again and again: for a signature that is an old one, for GET CHALLENGE
    a stale challenge. One object per chip; an exchange may be two answers long (61xx, then the data)."""

    parts: int = 1
    _recorded: list[bytes] = field(default_factory=list)
    _seen: int = 0

    def __call__(self, answer: bytes) -> bytes:
        if len(self._recorded) < self.parts:
            self._recorded.append(answer)
            return answer
        position, self._seen = self._seen % self.parts, self._seen + 1
        return self._recorded[position]


class FaultyChip:
    """`chip` with one `fault` on `cue`. A pulled card stays away until `insert`, a mute one until it is reset."""

    def __init__(self, chip: VirtualChip, fault: Fault, cue: Cue | None = None) -> None:
        self.chip = chip
        self._fault = fault
        self._cue = cue or Cue()
        self._header = b""
        self._matches = 0
        self._stuck: ChipFault | None = None

    @property
    def atr(self) -> bytes:
        return self.chip.atr

    def insert(self) -> None:
        """Put a pulled card back; it comes without power."""
        self._stuck = None
        self.chip.power_off()

    def power_on(self) -> None:
        self.chip.power_on()

    def power_off(self) -> None:
        self._recover()
        self.chip.power_off()

    def reset(self) -> None:
        self._recover()
        self.chip.reset()

    def transceive(self, command: bytes) -> bytes:
        if self._stuck is not None:
            raise self._stuck
        if command[1:2] != bytes([_GET_RESPONSE]):
            self._header = command[:4]
            if self._cue.matches(self._header):
                self._matches += 1
        answer = self.chip.transceive(command)
        due = self._cue.nth <= self._matches < self._cue.nth + self._cue.times
        if not (due and self._cue.matches(self._header)):
            return answer
        try:
            return self._fault(answer)
        except ChipFault as fault:
            self._stuck = fault
            raise

    def _recover(self) -> None:
        if self._stuck is not None and self._stuck.code == "chip_mute":
            self._stuck = None
