"""The card's file tree: directories, elementary files, records, and who may read or write them.

Record files hold T-L-V records (1-byte tag, 1-byte length, value); a record has a number, its place in the file
from 1, and an identifier, its tag.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from ecard_issuer.chip.simulator.command import SW_RECORD_NOT_FOUND, Refused


class FileType(IntEnum):
    """EF types of the personalisation format."""

    FIXED = 1  # 定长记录
    VARIABLE = 2  # 变长记录
    TRANSPARENT = 3  # 透明
    CYCLIC = 4  # 循环
    INTERNAL = 5  # 内部: keys, never readable


@dataclass(slots=True)
class SecurityState:
    """What was proven to the card since the last reset: (directory, key name) pairs, and directories' PINs."""

    keys: set[tuple[int, str]] = field(default_factory=set)
    pins: set[int] = field(default_factory=set)

    def clear(self) -> None:
        self.keys.clear()
        self.pins.clear()


@dataclass(frozen=True, slots=True)
class Access:
    """One access expression: "" free, "PIN", a key name, "PIN|KEY", "PIN+KEY", "KEY|KEY", or "FF" never.

    The left operand of a pair is a key of the parent directory, the right one of the file's own; PIN is the
    parent's PIN and stands only on the left. A lone key is looked for in the own directory, then in the parent.
    """

    expression: str = ""

    def __post_init__(self) -> None:
        left, operator, right = self._parts()
        if operator and (not left or not right or right in ("PIN", "FF") or left == "FF" or set(right) & set("|+")):
            raise ValueError(f"not an access expression: {self.expression}")

    def _parts(self) -> tuple[str, str, str]:
        for operator in "|+":
            if operator in self.expression:
                left, _, right = self.expression.partition(operator)
                return left, operator, right
        return self.expression, "", ""

    def allows(self, directory: Directory, state: SecurityState) -> bool:
        """Whether a file in `directory` is open to whoever proved `state`."""
        left, operator, right = self._parts()
        if left == "FF":
            return False
        own, parent = directory.file_id, directory.parent.file_id if directory.parent else None
        pin_proven = parent is not None and parent in state.pins
        parent_key_proven = parent is not None and (parent, left) in state.keys
        if not operator:
            if left == "PIN":
                return pin_proven
            return not left or (own, left) in state.keys or parent_key_proven
        left_proven = pin_proven if left == "PIN" else parent_key_proven
        right_proven = (own, right) in state.keys
        return left_proven and right_proven if operator == "+" else left_proven or right_proven


FREE = Access("")
NEVER = Access("FF")


@dataclass(slots=True)
class ElementaryFile:
    """An EF with records (`records`: whole T-L-V each) or, if transparent, with `content`."""

    file_id: int
    kind: FileType
    records: list[bytes] = field(default_factory=list)
    content: bytes = b""
    read: Access = FREE
    update: Access = NEVER

    @property
    def short_id(self) -> int:
        """The short file identifier: the low five bits of the file id."""
        return self.file_id & 0x1F

    @property
    def has_records(self) -> bool:
        return self.kind in (FileType.FIXED, FileType.VARIABLE, FileType.CYCLIC)

    def number_of(self, tag: int) -> int:
        """The number of the first record with this identifier; raises `Refused` 6A83."""
        for number, record in enumerate(self.records, 1):
            if record[0] == tag:
                return number
        raise Refused(SW_RECORD_NOT_FOUND)

    def record(self, number: int) -> bytes:
        """The record with this number, from 1; raises `Refused` 6A83."""
        if not 1 <= number <= len(self.records):
            raise Refused(SW_RECORD_NOT_FOUND)
        return self.records[number - 1]


@dataclass(slots=True)
class SecretKey:
    """A 16-byte key of a directory: up to four versions, one error counter."""

    name: str
    versions: dict[int, bytes] = field(repr=False)
    try_limit: int = 3
    tries: int = 3


@dataclass(slots=True)
class Pin:
    """The PIN object of a directory: 2 to 6 bytes, digits packed two a byte."""

    value: bytes = field(default=b"\x12\x34\x56", repr=False)  # the public initial value 123456
    try_limit: int = 3
    tries: int = 3


@dataclass(slots=True)
class Directory:
    """MF, DDF or ADF. `name` is its DF name or AID; `algorithm` stands in the FCI as 9F0C/86 where set."""

    file_id: int
    name: bytes = b""
    files: dict[int, ElementaryFile] = field(default_factory=dict)
    directories: dict[int, Directory] = field(default_factory=dict)
    keys: dict[str, SecretKey] = field(default_factory=dict, repr=False)
    pin: Pin | None = None
    algorithm: int | None = None
    parent: Directory | None = field(default=None, repr=False)

    def add_file(self, file: ElementaryFile) -> None:
        self.files[file.file_id] = file

    def add_directory(self, directory: Directory) -> None:
        directory.parent = self
        self.directories[directory.file_id] = directory

    def named(self, name: bytes) -> Directory | None:
        """The directory at or under this one with exactly this DF name, or None."""
        if name and self.name == name:
            return self
        for directory in self.directories.values():
            if found := directory.named(name):
                return found
        return None
