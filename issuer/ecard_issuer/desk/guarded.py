"""A `ChipReader` that lets through what one act needs, and nothing else, within one bound of time.

The desk page never writes a command. Should the agent, a profile or a chip's answer lead to one that the act does not
need, it ends here, before the chip: no page can burn a PIN's tries or write into a card by a way around.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from ecard_card.errors import ChipFault
from ecard_issuer.chip import apdu
from ecard_issuer.chip.evidence import split_challenge
from ecard_issuer.chip.prove import sign_command
from ecard_issuer.chip.reader import ChipReader

#: Seconds for a whole act: some sixty commands at a few milliseconds each, and one signature of about a second.
ACT: Final = 12.0
_READING: Final = frozenset({apdu.INS_SELECT, apdu.INS_READ_RECORD, apdu.INS_GET_RESPONSE, apdu.INS_GET_DATA})

Allowed = Callable[[bytes], bool]


def reading(command: bytes) -> bool:
    """Select, read a record, read a data object: nothing that a chip counts or keeps."""
    return len(command) >= 4 and command[0] == 0x00 and command[1] in _READING


def proving(digest: bytes) -> Allowed:
    """What reading needs, and the two questions that put exactly `digest` to the chip.

    Raises `InvalidInput` `bad_chip_challenge` unless it has 32 bytes.
    """
    asked = apdu.internal_authenticate(*split_challenge(digest)).encode(), sign_command(digest).encode()
    return lambda command: reading(command) or command in asked


def exactly(secret: bytes) -> Allowed:
    """What reading needs, and this one command."""
    return lambda command: reading(command) or command == secret


class GuardedReader:
    """`inner` for one act. Raises `ChipFault` `desk_command_refused`, `chip_mute` when the act's time is over, and what
    `inner` raises."""

    def __init__(
        self,
        inner: ChipReader,
        allowed: Allowed,
        seconds: float = ACT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner, self._allowed, self._clock = inner, allowed, clock
        self._until = clock() + seconds

    @property
    def atr(self) -> bytes:
        return self._inner.atr

    def transceive(self, command: bytes) -> bytes:
        if not self._allowed(command):
            raise ChipFault("desk_command_refused", "this act needs no such command")
        if self._clock() > self._until:
            raise ChipFault("chip_mute", "the chip is too slow for one act")
        return self._inner.transceive(command)
