"""The array of statuses of a Token Status List (draft-ietf-oauth-status-list-21 §4): packed bits, and their zlib form.

Entry `i` of a list with `bits` per entry stands in byte `i * bits // 8`, the first entry in the least significant
bits. The values are those of `EcardStatus`.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Final, Protocol

from ecard_card.errors import InvalidInput

_BITS: Final = frozenset({1, 2, 4, 8})


class Compressible(Protocol):
    """What a token is made of: a list, or what was compressed before."""

    @property
    def bits(self) -> int: ...

    def compressed(self, level: int = 6) -> bytes: ...


@dataclass(frozen=True, slots=True)
class EncodedList:
    """A list that is kept in its zlib form, so that signing it anew compresses nothing anew."""

    bits: int
    data: bytes = field(repr=False)

    def compressed(self, level: int = 6) -> bytes:
        """The bytes as they were made, whatever the level."""
        return self.data


class StatusList:
    """`size` entries of `bits` bits each, all 0 (valid) at first. Not safe for writing from two threads."""

    __slots__ = ("_packed", "bits", "size")

    def __init__(self, size: int, bits: int = 2) -> None:
        """Raises `InvalidInput` `bad_status_list` unless `size` is positive and `bits` is 1, 2, 4 or 8."""
        if type(bits) is not int or bits not in _BITS or size < 1:
            raise InvalidInput("bad_status_list", "want at least one entry of 1, 2, 4 or 8 bits")
        self.size: Final = size
        self.bits: Final = bits
        self._packed = bytearray((size * bits + 7) // 8)

    @classmethod
    def from_packed(cls, packed: bytes, bits: int) -> StatusList:
        """The list whose `packed()` is `packed`, with as many entries as its bytes hold."""
        statuses = cls(len(packed) * 8 // bits if bits in _BITS else 0, bits)
        statuses._packed[:] = packed
        return statuses

    @classmethod
    def from_compressed(cls, lst: bytes, bits: int, *, limit: int = 1 << 23) -> StatusList:
        """The list whose `compressed()` may be `lst`. At most `limit` bytes are ever unpacked.

        Raises `InvalidInput` `bad_status_list` for what is no single zlib stream (RFC 1950) or unpacks to more.
        """
        unpacker = zlib.decompressobj()
        try:
            packed = unpacker.decompress(lst, limit + 1)
        except zlib.error:
            raise InvalidInput("bad_status_list", "not a zlib stream") from None
        if len(packed) > limit or not unpacker.eof or unpacker.unused_data:
            raise InvalidInput("bad_status_list", "cut short, followed by more bytes, or too large when unpacked")
        return cls.from_packed(packed, bits)

    def get(self, index: int) -> int:
        """The value of entry `index`; `InvalidInput` `status_index_out_of_range` where the list has no such entry."""
        if not 0 <= index < self.size:
            raise InvalidInput("status_index_out_of_range", "the list has no such entry")
        place = index * self.bits
        return self._packed[place >> 3] >> (place & 7) & ((1 << self.bits) - 1)

    def set(self, index: int, value: int) -> None:
        """Writes entry `index`. Raises as `get` does, and `bad_status_list` for a value of more than `bits` bits."""
        if not 0 <= index < self.size:
            raise InvalidInput("status_index_out_of_range", "the list has no such entry")
        mask = (1 << self.bits) - 1
        if not 0 <= value <= mask:
            raise InvalidInput("bad_status_list", "the value does not fit an entry")
        place = index * self.bits
        shift = place & 7
        self._packed[place >> 3] = self._packed[place >> 3] & ~(mask << shift) | value << shift

    def packed(self) -> bytes:
        """The bytes of the list, unused bits of the last one zero."""
        return bytes(self._packed)

    def compressed(self, level: int = 6) -> bytes:
        """zlib form of `packed()`. Level 6 suits immediate publication (4 ms per million entries), 9 the hourly one."""
        return zlib.compress(self._packed, level)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StatusList):
            return NotImplemented
        return (self.size, self.bits, self._packed) == (other.size, other.bits, other._packed)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"StatusList(size={self.size}, bits={self.bits})"
