"""A `ChipReader` over a chip object of this process: what the demo and most tests read from."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from ecard_card.errors import ChipFault


class InProcessChip(Protocol):
    """What `ecard_issuer.chip.simulator` offers; it may raise `ChipFault` `chip_removed` or `chip_mute` on cue."""

    @property
    def atr(self) -> bytes: ...
    def power_on(self) -> None: ...
    def power_off(self) -> None: ...
    def transceive(self, command: bytes) -> bytes: ...


class InProcessReader:
    """Powers the chip on when made, and off when closed; a chip that was pulled stays pulled for this object."""

    def __init__(self, chip: InProcessChip) -> None:
        self._chip = chip
        self._usable = True
        chip.power_on()

    @property
    def atr(self) -> bytes:
        return self._chip.atr

    def transceive(self, command: bytes) -> bytes:
        if not self._usable:
            raise ChipFault("reader_unavailable", "the chip was pulled, went mute, or the reader is closed")
        try:
            return self._chip.transceive(command)
        except ChipFault:
            self._usable = False
            raise

    def close(self) -> None:
        if self._usable:
            self._usable = False
            self._chip.power_off()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
