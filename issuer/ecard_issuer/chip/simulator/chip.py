"""A chip that answers APDUs byte for byte: power, choice of application, and how answers travel (61xx)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ecard_card.errors import ChipFault
from ecard_issuer.chip.simulator.command import (
    SW_CLA_NOT_SUPPORTED,
    SW_CONDITIONS_NOT_SATISFIED,
    SW_DONE,
    SW_FILE_NOT_FOUND,
    SW_INS_NOT_SUPPORTED,
    SW_WRONG_P1_P2,
    Command,
    Refused,
    parse_command,
)
from ecard_issuer.chip.simulator.environment import FileSystem

_CLASSES = (0x00, 0x80, 0x84)
_SELECT, _GET_RESPONSE, _BY_NAME = 0xA4, 0xC0, 0x04


class VirtualChip(Protocol):
    """What a reader, or the virtual reader driver, can do with a chip."""

    @property
    def atr(self) -> bytes: ...

    def power_on(self) -> None: ...

    def power_off(self) -> None: ...

    def reset(self) -> None: ...

    def transceive(self, command: bytes) -> bytes:
        """Answer data ‖ SW1 SW2. Raises `ChipFault` `chip_removed` or `chip_mute`, and nothing else."""


class Application(Protocol):
    """One application on the card."""

    def reset(self) -> None: ...

    def select_by_name(self, name: bytes) -> bytes | None: ...

    def handle(self, command: Command) -> bytes: ...


class SimulatedChip:
    """A powered chip with its applications.

    `t0_answers`: answers to commands that carry data are announced by 61xx and fetched with GET RESPONSE, as T=0
    cards do; else they come at once. Answers above 256 bytes come in pieces either way.
    """

    def __init__(
        self, atr: bytes, historical: bytes, applications: Sequence[Application], *, t0_answers: bool = True
    ) -> None:
        self._atr = atr
        self.historical = historical
        self.applications = tuple(applications)
        self.t0_answers = t0_answers
        self._powered = False
        self._current: Application | None = None
        self._pending = b""
        self._reset()

    @property
    def atr(self) -> bytes:
        return self._atr

    def power_on(self) -> None:
        if not self._powered:
            self._powered = True
            self._reset()

    def power_off(self) -> None:
        self._powered = False
        self._reset()

    def reset(self) -> None:
        """Warm reset: everything that was proven is forgotten; error counters stay."""
        self._reset()

    def transceive(self, command: bytes) -> bytes:
        if not self._powered:
            raise ChipFault("chip_mute", "the chip has no power")
        try:
            data, status = self._answer(parse_command(command))
        except Refused as refused:
            data, status = b"", refused.status
        return data + status.to_bytes(2, "big")

    def _reset(self) -> None:
        self._pending = b""
        for application in self.applications:
            application.reset()
        self._current = self._files()

    def _files(self) -> FileSystem | None:
        return next((app for app in self.applications if isinstance(app, FileSystem)), None)

    def _answer(self, command: Command) -> tuple[bytes, int]:
        if (command.cla, command.ins) == (0x00, _GET_RESPONSE):
            return self._get_response(command)
        self._pending = b""
        if command.cla not in _CLASSES:
            raise Refused(SW_CLA_NOT_SUPPORTED)
        if (command.cla, command.ins) == (0x00, _SELECT):
            data = self._select(command)
        elif self._current is None:
            raise Refused(SW_INS_NOT_SUPPORTED)
        else:
            data = self._current.handle(command)
        if command.data and data and self.t0_answers and not command.extended:
            self._pending = data
            return b"", 0x6100 | (len(data) if len(data) < 256 else 0)
        return self._piece(data, command.limit)

    def _select(self, command: Command) -> bytes:
        if command.p1 != _BY_NAME:
            files = self._files()
            if files is None:
                raise Refused(SW_WRONG_P1_P2)
            self._make_current(files)
            return files.handle(command)
        if command.p2 != 0x00:
            raise Refused(SW_WRONG_P1_P2)
        for application in self.applications:
            data = application.select_by_name(command.data)
            if data is not None:
                self._make_current(application)
                return data
        raise Refused(SW_FILE_NOT_FOUND)

    def _make_current(self, application: Application) -> None:
        """Leaving an application forgets what was proven to it."""
        if self._current is not None and self._current is not application:
            self._current.reset()
        self._current = application

    def _get_response(self, command: Command) -> tuple[bytes, int]:
        if not self._pending or command.p1 or command.p2 or command.data or command.le is None:
            self._pending = b""
            raise Refused(SW_CONDITIONS_NOT_SATISFIED)
        if command.le and command.le > len(self._pending):
            raise Refused(0x6C00 | len(self._pending))
        return self._piece(self._pending, command.limit)

    def _piece(self, data: bytes, limit: int) -> tuple[bytes, int]:
        data, self._pending = data[:limit], data[limit:]
        if self._pending:
            return data, 0x6100 | (len(self._pending) if len(self._pending) < 256 else 0)
        return data, SW_DONE
