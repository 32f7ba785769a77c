"""The card's file system application: SSSE and its directories, records, keys and PIN.

Command frames and status words follow the public tables of LD/T 32.5; what differs between cards in the field
(SELECT form, exact or lenient Le, 9F0C in the FCI) is `Behaviour`, that is data.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ecard_issuer.chip.simulator import secret_commands
from ecard_issuer.chip.simulator.authentication import CIPHER_PROFILES, CipherProfile
from ecard_issuer.chip.simulator.command import (
    SW_FILE_NOT_FOUND,
    SW_INCOMPATIBLE_FILE,
    SW_INS_NOT_SUPPORTED,
    SW_NO_CURRENT_EF,
    SW_SECURITY_NOT_SATISFIED,
    SW_WRONG_DATA,
    SW_WRONG_LENGTH,
    SW_WRONG_OFFSET,
    SW_WRONG_P1_P2,
    Command,
    Refused,
    tlv,
)
from ecard_issuer.chip.simulator.files import Directory, ElementaryFile, SecurityState

MF_ID = 0x3F00


class LePolicy(StrEnum):
    """What READ RECORD says to an Le that is not value length + 2."""

    EXACT = "exact"  # 6C xx
    REFUSE = "refuse"  # 6700
    LENIENT = "lenient"  # Le 00 or too long: the record; too short: its first bytes


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Differences between cards in the field. `select_forms`: the P1 values that select an EF by its id.

    `external_key_ids`: P2 of EXTERNAL AUTHENTICATION to key name.
    """

    le_policy: LePolicy = LePolicy.EXACT
    select_forms: frozenset[int] = frozenset({0x00, 0x02})
    fci_algorithm: bool = True
    external_key_ids: Mapping[int, str] = field(default_factory=lambda: {0x0A: "RKSSSE", 0x06: "PUK", 0x04: "UKSSSE"})


class FileSystem:
    """Dispatches commands over a file tree; `random` gives the challenges."""

    def __init__(
        self,
        root: Directory,
        behaviour: Behaviour | None = None,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.root = root
        self.behaviour = behaviour or Behaviour()
        self.random = random
        self.state = SecurityState()
        self.challenge: bytes | None = None
        self.directory = root
        self.file: ElementaryFile | None = None
        self._record_number = 0

    def reset(self) -> None:
        """Back to the MF with nothing proven."""
        self.state.clear()
        self.challenge = None
        self._enter(self.root)

    def select_by_name(self, name: bytes) -> bytes | None:
        """Select a directory by its whole DF name and return its FCI; None where there is none of that name."""
        directory = self.root.named(name)
        if directory is None:
            return None
        self._enter(directory)
        return self._control_information(directory)

    def handle(self, command: Command) -> bytes:
        """The answer's data; raises `Refused` with any other status word than 9000."""
        match command.cla, command.ins:
            case 0x00, 0xA4:
                return self._select(command)
            case 0x00, 0xB2:
                return self._read_record(command)
            case 0x00, 0xB0:
                return self._read_binary(command)
            case 0x00, 0xDC:
                return self._update_record(command)
        handler = secret_commands.HANDLERS.get((command.cla, command.ins))
        if handler is None:
            raise Refused(SW_INS_NOT_SUPPORTED)
        return handler(self, command)

    def cipher(self) -> CipherProfile:
        """The cipher of the environment that is selected."""
        directory: Directory | None = self.directory
        while directory is not None and directory.algorithm is None:
            directory = directory.parent
        algorithm = directory.algorithm if directory is not None else None
        return CIPHER_PROFILES[algorithm or 0x01]

    def environment(self) -> Directory:
        """The DDF that the current directory stands in, or the MF."""
        directory = self.directory
        while directory.parent is not None and directory.parent.parent is not None:
            directory = directory.parent
        return directory

    def _enter(self, directory: Directory) -> None:
        before = self.environment()
        self.directory = directory
        self.file = None
        self._record_number = 0
        if self.environment() is not before:
            self.state.clear()
            self.challenge = None

    def _control_information(self, directory: Directory) -> bytes:
        """FCI: 6F { 84 name, A5 { 88 SFI, 9F0C { 86 algorithm } } }; 30 bytes for SSSE."""
        if not directory.name:
            return b""
        proprietary = b""
        if directory.algorithm is not None:
            proprietary = tlv(0x88, b"\x01")
            if self.behaviour.fci_algorithm:
                proprietary += tlv(0x9F0C, tlv(0x86, bytes([directory.algorithm])))
            proprietary = tlv(0xA5, proprietary)
        return tlv(0x6F, tlv(0x84, directory.name) + proprietary)

    def _select(self, command: Command) -> bytes:
        if command.p1 not in (0x00, 0x02) or command.p2 != 0x00:
            raise Refused(SW_WRONG_P1_P2)
        if len(command.data) != 2:
            raise Refused(SW_WRONG_LENGTH)
        file_id = int.from_bytes(command.data, "big")
        if command.p1 == 0x00 and (directory := self._directory(file_id)):
            self._enter(directory)
            return self._control_information(directory)
        if command.p1 not in self.behaviour.select_forms:
            raise Refused(SW_WRONG_P1_P2)
        file = self.directory.files.get(file_id)
        if file is None:
            raise Refused(SW_FILE_NOT_FOUND)
        self.file, self._record_number = file, 0
        return b""

    def _directory(self, file_id: int) -> Directory | None:
        """The MF, the current directory, its parent, its child, or a sibling: what a file id may reach."""
        here = self.directory
        if file_id == MF_ID:
            return self.root
        if file_id == here.file_id:
            return here
        if here.parent is not None and file_id == here.parent.file_id:
            return here.parent
        nearby = here.directories if file_id in here.directories or here.parent is None else here.parent.directories
        return nearby.get(file_id)

    def _addressed(self, short_id: int) -> ElementaryFile:
        if short_id:
            for file in self.directory.files.values():
                if file.short_id == short_id:
                    self.file, self._record_number = file, 0
                    return file
            raise Refused(SW_FILE_NOT_FOUND)
        if self.file is None:
            raise Refused(SW_NO_CURRENT_EF)
        return self.file

    def _record_place(self, command: Command) -> tuple[ElementaryFile, int | None]:
        """The file, and the tag (by identifier) or None (by number), that P2 names."""
        short_id, form = command.p2 >> 3, command.p2 & 0x07
        if form not in (0x00, 0x04) or short_id == 0x1F:
            raise Refused(SW_WRONG_P1_P2)
        current = self.file
        number = self._record_number
        file = self._addressed(short_id)
        if file is current:
            self._record_number = number
        if not file.has_records:
            raise Refused(SW_INCOMPATIBLE_FILE)
        return file, command.p1 if form == 0x00 else None

    def _number(self, file: ElementaryFile, tag: int | None, p1: int) -> int:
        number = file.number_of(tag) if tag is not None else p1 or self._record_number
        file.record(number)
        return number

    def _read_record(self, command: Command) -> bytes:
        if command.data or command.le is None:
            raise Refused(SW_WRONG_LENGTH)
        file, tag = self._record_place(command)
        if not file.read.allows(self.directory, self.state):
            raise Refused(SW_SECURITY_NOT_SATISFIED)
        number = self._number(file, tag, command.p1)
        record = file.record(number)
        policy = self.behaviour.le_policy
        if policy is LePolicy.LENIENT:
            record = record[: command.limit]
        elif command.le != len(record):
            raise Refused(0x6C00 | len(record) if policy is LePolicy.EXACT else SW_WRONG_LENGTH)
        self._record_number = number
        return record

    def _read_binary(self, command: Command) -> bytes:
        if command.data or command.le is None:
            raise Refused(SW_WRONG_LENGTH)
        by_short_id = bool(command.p1 & 0x80)
        if by_short_id and command.p1 & 0x60:
            raise Refused(SW_WRONG_P1_P2)
        file = self._addressed(command.p1 & 0x1F if by_short_id else 0)
        if file.has_records:
            raise Refused(SW_INCOMPATIBLE_FILE)
        if not file.read.allows(self.directory, self.state):
            raise Refused(SW_SECURITY_NOT_SATISFIED)
        offset = command.p2 if by_short_id else command.p1 << 8 | command.p2
        if offset >= len(file.content):
            raise Refused(SW_WRONG_OFFSET)
        rest = file.content[offset:]
        if command.le and command.le > len(rest):
            raise Refused(0x6C00 | len(rest))
        return rest[: command.limit]

    def _update_record(self, command: Command) -> bytes:
        file, tag = self._record_place(command)
        if not file.update.allows(self.directory, self.state):
            raise Refused(SW_SECURITY_NOT_SATISFIED)
        number = self._number(file, tag, command.p1)
        record = file.record(number)
        if len(command.data) != len(record):
            raise Refused(SW_WRONG_LENGTH)
        if command.data[:2] != record[:2]:
            raise Refused(SW_WRONG_DATA)
        file.records[number - 1] = command.data
        self._record_number = number
        return b""
